"""A throwaway compose project and the engine."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.containers import Engine
from tests.support.projects import Project, project


@pytest.fixture
def compose_project(tmp_path: Path) -> Iterator[Project]:
    with project(tmp_path) as made:
        yield made


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as made:
        yield made
