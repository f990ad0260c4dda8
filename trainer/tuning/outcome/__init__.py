"""What a search tells and leaves: progress, the best trial, tables, the comparison on test."""
