"""The world: sensors, a modular driving stack, a car, and the safety of what it does.

``simulate`` brings numba with it and is therefore imported by those who need it, not here.
"""
