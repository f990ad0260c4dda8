"""Labels to unit vectors, kept by model, prompts and list."""
