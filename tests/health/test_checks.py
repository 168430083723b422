"""Checks that are not HTTP: ports, statements, containers, programs; and how they are made from the configuration."""

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployguard.config import CheckConfig, HealthConfig, parse_url
from deployguard.containers import Container
from deployguard.database import Database, connect
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.health import KINDS, Scene, checks
from deployguard.health.command import CommandCheck
from deployguard.health.container import ContainerCheck
from deployguard.health.http import HttpCheck
from deployguard.health.sql import SqlCheck
from deployguard.health.tcp import TcpCheck
from deployguard.process import Redactor


@contextmanager
def listening() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_a_port_that_takes_connections_is_good_and_one_that_does_not_is_bad() -> None:
    with listening() as port:
        assert TcpCheck("127.0.0.1", port, 5).ask().ok
    answer = TcpCheck("127.0.0.1", port, 5).ask()
    assert answer.ok is False
    assert f"127.0.0.1:{port} cannot be connected to: Connection refused" in answer.detail


def test_a_host_that_nobody_knows_is_bad() -> None:
    assert TcpCheck("nowhere.invalid", 80, 5).ask().ok is False


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return connect(parse_url(f"sqlite:///{tmp_path / 'app.db'}", "here"), directory=tmp_path)


def test_a_statement_is_asked_of_the_database(database: Database, tmp_path: Path) -> None:
    (tmp_path / "app.db").touch()
    assert SqlCheck("SELECT 1", lambda: database).ask().ok
    bad = SqlCheck("SELECT 0", lambda: database).ask()
    assert bad.ok is False
    assert "SELECT 0" in bad.detail
    assert SqlCheck("SELECT * FROM nowhere", lambda: database).ask().ok is False


def test_a_database_that_cannot_be_reached_says_nothing_of_the_application() -> None:
    def gone() -> Database:
        raise EnvironmentUnreachable("The server is not there.")

    answer = SqlCheck("SELECT 1", gone).ask()
    assert answer.ok is None
    assert "The server is not there." in answer.detail


def command(*argv: str, timeout: float = 30) -> CommandCheck:
    return CommandCheck(argv, Path.cwd(), {}, Redactor(["hunter2"]), timeout)


def test_a_program_says_by_how_it_ends() -> None:
    assert command(sys.executable, "-c", "").ask().ok
    said = "print('ready: no'); raise SystemExit(3)"
    answer = command(sys.executable, "-c", said).ask()
    assert answer.ok is False
    assert answer.detail.endswith("ended with 3: ready: no")


def test_a_program_that_hangs_is_bad_and_is_ended() -> None:
    answer = command(sys.executable, "-c", "import time; time.sleep(600)", timeout=0.5).ask()
    assert answer.ok is False
    assert "did not end within 0.5 s" in answer.detail


def test_a_program_that_is_not_there_says_nothing_of_the_application() -> None:
    answer = command("no-such-program-here").ask()
    assert answer.ok is None
    assert "could not be run" in answer.detail


def test_no_secret_of_a_program_is_shown() -> None:
    answer = command(sys.executable, "-c", "raise SystemExit('hunter2')", "hunter2").ask()
    assert "hunter2" not in answer.detail
    assert "***" in answer.detail


def container(status: str = "running", health: str = "", code: int | None = None) -> Container:
    return Container("i", "web-1", "sha256:1", "web", status, code, "", health, {}, {}, {}, {})


@pytest.mark.parametrize(
    ("found", "ok", "said"),
    [
        ((container(),), True, "1 container of 'web' running"),
        (
            (container(health="healthy"), container(health="healthy")),
            True,
            "2 containers of 'web' healthy",
        ),
        ((container(health="healthy"), container()), True, "2 containers of 'web' running"),
        ((container(), container(health="starting")), False, "container web-1 is starting"),
        ((container(health="unhealthy"),), False, "container web-1 is unhealthy"),
        ((container("exited", code=137),), False, "container web-1 is exited with 137"),
        ((container("restarting"),), False, "container web-1 is restarting"),
        ((container("paused"),), False, "container web-1 is paused"),
        ((), False, "'web' has no container"),
    ],
)
def test_every_container_of_the_service_must_run_and_be_healthy(
    found: tuple[Container, ...], ok: bool, said: str
) -> None:
    answer = ContainerCheck("web", lambda _: found).ask()
    assert (answer.ok, answer.detail) == (ok, said)


def test_an_engine_that_cannot_be_asked_says_nothing_of_the_application() -> None:
    def gone(service: str) -> tuple[Container, ...]:
        raise EnvironmentUnreachable("No engine.")

    answer = ContainerCheck("web", gone).ask()
    assert answer.ok is None
    assert "No engine." in answer.detail


def scene(config: HealthConfig) -> Scene:
    def nothing() -> Database:
        raise AssertionError

    return Scene(config, Path.cwd(), {}, Redactor(), nothing, lambda _: ())


def test_every_kind_is_made_from_its_entry_and_urls_come_first() -> None:
    entries = (
        CheckConfig("http", url="http://h/deep", body="ok", latency=0.5, status=204),
        CheckConfig("tcp", address="[::1]:5432"),
        CheckConfig("sql", statement="SELECT 1"),
        CheckConfig("container", service="web"),
        CheckConfig("command", command=("true",)),
    )
    assert {entry.kind for entry in entries} == set(KINDS)
    made = checks(scene(HealthConfig(urls=("http://h/",), expect_status=203, checks=entries)))
    assert made[0] == HttpCheck("http://h/", 5.0, 203)
    assert made[1] == HttpCheck("http://h/deep", 5.0, 204, "ok", latency=0.5)
    assert made[2] == TcpCheck("::1", 5432, 5.0)
    assert [type(check) for check in made[3:]] == [SqlCheck, ContainerCheck, CommandCheck]


def test_nothing_to_ask_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="neither urls nor checks"):
        checks(scene(HealthConfig()))
