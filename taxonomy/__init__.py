"""Shared vocabulary of taxa, captions and shards. Standard library only; imports nothing of the project."""
