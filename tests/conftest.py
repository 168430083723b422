"""Real parts for tests: PostgreSQL servers, the bookings project, and the bookings stack in Docker."""

from __future__ import annotations

import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadFileScheduling

from tests.support import docker, postgres
from tests.support.required import missing

FIXTURES = Path(__file__).resolve().parent.parent / "migrations_fixtures"
NO_DOCKER = "no Docker engine"


def pytest_configure() -> None:
    # A job in the background starts with Ctrl-C ignored, and everything that the tests start would inherit that.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says more of the machine's other work than of the code.
    # CI judges a change, so it draws the same examples each time; a person's run draws new ones.
    settings.register_profile(
        "any-machine",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=os.environ.get("CI", "").lower() in ("1", "true"),
    )
    settings.load_profile("any-machine")


@pytest.fixture(scope="session", autouse=True)
def _own_cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept between checks is sealed with a secret of the user's; tests have one of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache-home")))
        yield


# --- how files are spread over processes ---------------------------------------------------------

# A file runs in one process, since what its tests share is dear; these would keep one busy for too long.
SPLIT = {
    "test_locks_measured.py": re.compile(r"\[\d+-"),
    "test_truth.py": re.compile(r"::test_[a-z]+"),
    "test_boundaries.py": re.compile(r"\[\w+\]"),
    "test_random.py": re.compile(r"\[\w+\]"),
}


class ByFile(LoadFileScheduling):
    """Like ``--dist loadfile``, with the longest files in parts."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        split = SPLIT.get(Path(file).name)
        part = split.search(nodeid) if split else None
        return f"{file}{part[0]}" if part else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> ByFile:
    return ByFile(config, log)


# --- Docker tests run where an engine answers, and say loudly when they don't --------------------


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("docker") is None:
        return
    reason = docker.missing()
    if reason is None:
        return
    missing(f"{NO_DOCKER}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    skipped = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if NO_DOCKER in str(report.longrepr)
    ]
    if skipped:
        terminalreporter.section("DOCKER TESTS DID NOT RUN", sep="!", yellow=True, bold=True)
        terminalreporter.line(
            f"{len(skipped)} tests need a Docker engine with Compose and were left out: "
            f"{docker.missing()}."
        )
        terminalreporter.line("Start one and run again; with CI=true this is a failure.")


# --- PostgreSQL ---------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgres_pool() -> Iterator[postgres.Pool]:
    """Servers by major version: `postgres_pool(16)`; started once, stopped at the end."""
    with postgres.pool() as get:
        yield get


@pytest.fixture(scope="session")
def postgres_server(
    request: pytest.FixtureRequest, postgres_pool: postgres.Pool
) -> postgres.Server:
    """A running server: version 16, or the one given by `indirect` parametrisation."""
    return postgres_pool(getattr(request, "param", postgres.DEFAULT_VERSION))


@pytest.fixture(scope="session")
def postgres_servers(postgres_pool: postgres.Pool) -> tuple[postgres.Server, ...]:
    """A running server of every version that is here, oldest first."""
    return tuple(postgres_pool(tree.version) for tree in postgres.trees())


@pytest.fixture
def postgres_database(
    request: pytest.FixtureRequest, postgres_server: postgres.Server
) -> Iterator[str]:
    """The URL of a fresh, empty database: postgresql://user:secret@127.0.0.1:port/name."""
    readable = re.sub(r"\W+", "_", request.node.name)[:40].strip("_").lower()
    name = f"{readable}_{os.urandom(3).hex()}"
    yield postgres_server.create_database(name)
    postgres_server.drop_database(name)


# --- the bookings project -----------------------------------------------------------------------

CopyBookings = Callable[..., Path]


@pytest.fixture
def copy_bookings(tmp_path: Path) -> CopyBookings:
    """`copy_bookings(head="b014")`: a copy of the project as the release with that head had it."""

    def copy(name: str = "bookings", *, head: str | None = None) -> Path:
        target = tmp_path / name
        leave = shutil.ignore_patterns("wheels", "__pycache__", "*.db", ".deployguard")
        shutil.copytree(FIXTURES / "bookings", target, ignore=leave)
        for file in (target / "migrations" / "versions").glob("b*.py"):
            if head is not None and file.name.split("_")[0] > head:
                file.unlink()
        return target

    return copy


@pytest.fixture(scope="session")
def bookings_images() -> Iterator[docker.Images]:
    """Images v1 (b013), v2 (b014), v3 (b019) and broken (b014) under a name of this session."""
    images = docker.Images()
    try:
        images.build_all()
        yield images
    finally:
        images.remove()


@pytest.fixture
def bookings_stack(bookings_images: docker.Images) -> Iterator[docker.Stack]:
    """The whole stack at v1 with rows in every table, healthy; gone without a trace afterwards."""
    stack = docker.Stack(bookings_images.name)
    try:
        stack.up()
        stack.seed()
        yield stack
    finally:
        stack.down()
