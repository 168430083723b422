"""The warm process that the tests of the fixtures share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.migrations_fixtures.scenarios import Warm
from tests.migrations_fixtures.scenarios import warm as started


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with started(tmp_path_factory.mktemp("warm")) as running:
        yield running
