"""Pictures to files of embeddings."""
