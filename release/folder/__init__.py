"""A folder that open_clip loads, there whole or not at all."""
