"""What the tests of this folder share: a production of their module's own, with a plan that is ready to be approved."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.kills.arena import Arena, arena
from tests.kills.chase import digest_of
from tests.support import postgres


@pytest.fixture(scope="module")
def prepared(
    tmp_path_factory: pytest.TempPathFactory, postgres_pool: postgres.Pool
) -> Iterator[tuple[Arena, str]]:
    """A production on PostgreSQL, and the digest of what is pending there."""
    with ExitStack() as stack:
        server = postgres_pool(postgres.DEFAULT_VERSION)
        made = stack.enter_context(arena(tmp_path_factory.mktemp("arena"), "shrink", server))
        yield made, digest_of(made)
