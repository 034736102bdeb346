"""The world that localisation and diagnosis are tested in: two simulated years of Blue Waters' probes.

Everything here is simulated; what it is calibrated on, and what it adds of its own, stands at the top of each module.
"""
