"""Pictures and texts to embeddings, with the caches."""
