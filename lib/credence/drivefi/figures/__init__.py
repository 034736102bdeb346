"""Figures of the DriveFI study: frames in, plotly figures out."""
