"""Weights between two models, each point evaluated."""
