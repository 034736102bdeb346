"""Plotly figures of the BayesPerf study: frame in, figure out."""
