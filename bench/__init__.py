"""Measurements of the pipeline and the generated metadata they run on. Each module prints its own table."""
