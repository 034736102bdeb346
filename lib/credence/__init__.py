"""Credence: re-runs systems papers and says, claim by claim, how much to believe them."""

__version__ = "0.1.0"
