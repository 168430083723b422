"""The command line: one file a command; each parses, wires the rooms together, prints, and decides nothing."""

from deployguard.cli.main import main

__all__ = ["main"]
