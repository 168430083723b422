"""The warm process that the tests of the fixtures share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

# Its assertions are to show both sides, like those of a test module.
pytest.register_assert_rewrite("tests.migrations_fixtures.checking")

from tests.migrations_fixtures.scenarios import Warm  # noqa: E402 - after the line above
from tests.migrations_fixtures.scenarios import warm as started  # noqa: E402


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with started(tmp_path_factory.mktemp("warm")) as running:
        yield running
