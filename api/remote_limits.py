"""How much a client of engine ``remote`` may say at a time."""

MAX_REPORTS = 1000
"""Reports, and answers to commands."""
MAX_SAMPLES = 1000
MAX_LAYERS = 10_000
MAX_CELLS = 20_000
"""Samples times layers of one trace."""
