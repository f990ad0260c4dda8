"""Batches to updated parameters: model, losses, accumulation, optimizer, guard."""
