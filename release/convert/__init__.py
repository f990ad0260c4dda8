"""Published weights to a folder that is safe to load."""
