"""What a run recorded, as a model card."""
