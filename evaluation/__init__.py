"""Checkpoint and benchmark to results and report; never imports the trainer."""
