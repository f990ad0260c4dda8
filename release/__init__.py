"""A run to what others load, cite and run."""
