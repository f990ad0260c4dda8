"""A model and pictures to names and embeddings."""
