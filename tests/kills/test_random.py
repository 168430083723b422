"""Kills at random moments, with a fixed seed and a bound; scripts/soak is the same without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kills.chase import Tally
from tests.kills.soak import Productions, journey
from tests.support import postgres

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
KILLS = 20  # on each kind of database


@pytest.fixture
def productions(tmp_path: Path, postgres_pool: postgres.Pool) -> Iterator[Productions]:
    with ExitStack() as stack:
        yield Productions(tmp_path, postgres_pool(postgres.DEFAULT_VERSION), stack)


@pytest.mark.parametrize("store", ["postgresql", "sqlite"])
def test_random_kills_leave_no_illegal_state(productions: Productions, store: str) -> None:
    tally, seed = Tally(), 7
    while tally.blows < KILLS:
        chase = journey(productions, (store,), seed, tally)
        assert not tally.illegal, "\n".join([*chase.arena.log, *tally.illegal])
        seed += 1
    assert sum(count for name, count in tally.counts.items() if name.startswith("journey")) > 1
