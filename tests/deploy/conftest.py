"""One small production for each test of the saga."""

from pathlib import Path

import pytest

from deployguard.deploy.world import World
from tests.deploy.fakes import Production, make_world


@pytest.fixture
def production(tmp_path: Path) -> Production:
    return Production(tmp_path)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path)
