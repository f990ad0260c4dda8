"""Flags, recipes and the one config they make; no torch."""
