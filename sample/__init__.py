"""Openly licensed photos, drawn specimens and the loopback server behind the demo and the tests."""
