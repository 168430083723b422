"""The saga: what a deploy does, how it fails, and how it comes back. Start reading at ``steps.py``."""
