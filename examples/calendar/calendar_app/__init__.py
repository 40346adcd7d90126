"""A small shared calendar."""
