"""Pictures and class names to embeddings, embeddings to guesses."""
