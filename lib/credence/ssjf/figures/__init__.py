"""Plotly figures of the SSJF study: frame in, figure out."""
