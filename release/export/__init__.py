"""A model to a folder for open_clip, with its card."""
