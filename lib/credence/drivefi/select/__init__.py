"""Selectors of faults: which of a pool to simulate next, under a budget that they cannot exceed."""
