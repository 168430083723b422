"""The configuration of a project that has none yet: what ``deployguard init`` would write, without writing it."""

import tomllib
from pathlib import Path

from deployguard.config.discover import discover
from deployguard.config.example import render_annotated
from deployguard.config.load import FILE_NAME, parse
from deployguard.config.schema import Config


def assumed(directory: Path) -> Config:
    """What the files in ``directory`` show. Raises UsageError when no alembic.ini is in it or just below."""
    text = render_annotated(discover(directory))
    return parse(tomllib.loads(text), directory / FILE_NAME)
