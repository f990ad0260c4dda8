"""Flags, TOML and the one config they make; no torch."""
