"""Embeddings to guesses."""
