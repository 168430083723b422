"""Alembic: the graph of revisions, those that are pending, and what each would do, up and down."""

from collections.abc import Callable
from typing import Any


def process_run() -> Callable[..., Any]:
    """`process.run`, loaded when something is run."""
    from deployguard.process import run

    return run
