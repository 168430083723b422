"""One stack for all of these tests; each begins at v1 with the same rows, and no deploy ever made."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.production import HEADS, Production
from tests.support import docker


@pytest.fixture(scope="session")
def host(
    bookings_images: docker.Images, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Production]:
    folder: Path = tmp_path_factory.mktemp("production")
    for tag in ("broken18", "broken3"):
        bookings_images.build(tag, head=HEADS[tag], broken=True)
    made = Production(
        docker.Stack(bookings_images.name, file=folder / "docker-compose.prod.yml"), folder
    )
    if threading.current_thread() is threading.main_thread():
        # `timeout` and a cancelled job send SIGTERM: what runs is torn down then, too.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        made.set_up()
        yield made
    finally:
        made.tear_down()


@pytest.fixture
def production(host: Production) -> Iterator[Production]:
    """v1 in service with rows in every table, through nginx; nothing was deployed yet."""
    host.begin_again()
    try:
        yield host
    finally:
        host.end_all()
