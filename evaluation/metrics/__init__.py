"""Guesses to figures with intervals. NumPy and SciPy only."""
