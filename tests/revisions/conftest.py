"""The versions of SQLAlchemy and Alembic that the recording child must understand."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.revisions import projects
from tests.support import matrix

# What is run in full; the others only have to record.
MAIN = (matrix.OURS, "sqlalchemy-1.4-oldest", "sqlalchemy-2.0-newest")
ENDS = (matrix.OURS, "sqlalchemy-1.4-oldest")


@contextmanager
def chosen(name: str) -> Iterator[str]:
    """`projects.reading` uses this combination; gives its name."""
    projects.INTERPRETER.append(matrix.python(name))
    yield name
    projects.INTERPRETER.pop()


@pytest.fixture(params=matrix.names())
def every_version(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each combination in turn, by name."""
    with chosen(request.param) as name:
        yield name


@pytest.fixture(params=MAIN)
def main_versions(request: pytest.FixtureRequest) -> Iterator[str]:
    """The combinations that projects have most, by name."""
    with chosen(request.param) as name:
        yield name


@pytest.fixture(params=ENDS)
def oldest_and_ours(request: pytest.FixtureRequest) -> Iterator[str]:
    """The two ends of the matrix, by name."""
    with chosen(request.param) as name:
        yield name
