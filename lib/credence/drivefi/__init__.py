"""DriveFI: Bayesian fault injection for autonomous vehicles (Jha et al., DSN 2019)."""
