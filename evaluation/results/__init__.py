"""Figures to files: one JSON per task, the published lines, wandb."""
