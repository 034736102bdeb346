"""Plotly figures of the Kaleidoscope study: frame in, figure out."""
