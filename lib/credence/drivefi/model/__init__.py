"""DriveFI's model: the 3-slice temporal Bayesian network over the module outputs of a driving stack, in PyMC for
reading.
"""
