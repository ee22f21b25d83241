"""Plotly charts of scores, runs and the model card."""
