"""The ship registry."""
