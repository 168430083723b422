"""What holds writers still: a file that the proxy looks for, commands, and services of Compose."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from deployguard.config import QuiesceConfig, TargetConfig
from deployguard.containers import Compose, Engine
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.process import Redactor
from deployguard.targets import UpdateFailed
from deployguard.targets.quiesce import Quiescer
from tests.support.projects import Project
from tests.targets.room import OLD, Shop


def quiescer(
    folder: Path,
    *,
    compose: Compose | None = None,
    engine: Engine | None = None,
    slept: Callable[[float], None] = lambda _: None,
    lines: list[str] | None = None,
    **config: object,
) -> Quiescer:
    redact = Redactor(("hunter2",))
    environ = compose.environ if compose else dict(os.environ)
    return Quiescer(
        QuiesceConfig(**config),  # type: ignore[arg-type]
        compose or Compose(TargetConfig(), folder, environ, redact),
        engine or Engine(),
        folder,
        environ,
        redact,
        60,
        (lines if lines is not None else []).append,
        slept,
    )


def test_the_maintenance_file_is_there_between_closing_and_opening(tmp_path: Path) -> None:
    slept: list[float] = []
    made = quiescer(tmp_path, maintenance_file="on", drain=7, slept=slept.append)
    made.preflight()
    assert made.writers() == ()
    made.close((), "d1")
    assert (tmp_path / "on").read_text() == "deployguard d1\n"
    assert stat.S_IMODE((tmp_path / "on").stat().st_mode) == 0o644  # the proxy is another user
    assert slept == [7]
    made.close((), "d1")
    made.open((), "d1")
    assert not (tmp_path / "on").exists()
    made.open((), "d1")
    assert made.by_hand(()) == (f"rm -f {tmp_path / 'on'}",)


def test_a_folder_that_is_missing_is_found_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder") as caught:
        quiescer(tmp_path, maintenance_file="www/on").preflight()
    assert caught.value.next_commands == (f"mkdir {tmp_path / 'www'}",)


def test_a_file_that_cannot_be_made_or_removed_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "on").mkdir()
    with pytest.raises(UpdateFailed, match="cannot be written"):
        quiescer(tmp_path, maintenance_file="on").close((), "d1")
    with pytest.raises(UpdateFailed, match="cannot be removed"):
        quiescer(tmp_path, maintenance_file="on").open((), "d1")


def test_commands_close_and_open_in_order_and_know_the_deploy(tmp_path: Path) -> None:
    lines: list[str] = []
    made = quiescer(
        tmp_path,
        lines=lines,
        drain=0,
        on=(("sh", "-c", "echo on $DEPLOYGUARD_DEPLOY"), ("sh", "-c", "echo hunter2")),
        off=(("sh", "-c", "echo off"),),
    )
    made.preflight()
    made.close((), "d1")
    made.open((), "d1")
    assert lines == ["on d1", "***", "off"]
    assert made.by_hand(()) == ("sh -c echo off",)


def test_a_command_that_fails_or_is_not_there_is_an_error(tmp_path: Path) -> None:
    made = quiescer(tmp_path, on=(("sh", "-c", "echo no >&2; exit 3"),), off=(("gone-program",),))
    with pytest.raises(UpdateFailed, match="exit code 3: no"):
        made.close((), "d1")
    with pytest.raises(UpdateFailed, match="cannot be run"):
        made.open((), "d1")
    with pytest.raises(EnvironmentUnreachable, match="gone-program"):
        made.preflight()


def test_the_proxy_is_told_of_what_was_started_before_traffic_is_let_in(tmp_path: Path) -> None:
    shop = Shop(tmp_path, switch=(("sh", "-c", "ls on; echo $DEPLOYGUARD_CONTAINERS"),))
    for name in ("web-1", "web-2", "worker-1"):
        shop.room.add(name, OLD, "", "exited")
    lines: list[str] = []
    made = quiescer(
        tmp_path,
        compose=shop.compose,
        engine=shop.room,
        lines=lines,
        services=("web", "worker"),
        drain=0,
        maintenance_file="on",
        off=(("echo", "off"),),
    )
    made.close(("web", "worker"), "d1")
    made.open(("worker",), "d1")
    assert lines == ["off"]
    made.close(("web", "worker"), "d1")
    made.open(("web", "worker"), "d1")
    assert lines == ["off", "on", "web-1 web-2", "off"]
    assert shop.routes() == ["web-1", "web-2"]
    shop.switch = (("false",),)
    made = quiescer(
        tmp_path,
        compose=shop.compose,
        engine=shop.room,
        services=("web",),
        drain=0,
        maintenance_file="on",
    )
    made.close((), "d1")
    with pytest.raises(UpdateFailed, match="The command false failed"):
        made.open(("web",), "d1")
    assert (tmp_path / "on").exists()


FILE = """
services:
  worker: {image: "@BASE", command: [sleep, "600"], init: true, deploy: {replicas: 2}}
  cron: {image: "@BASE", command: [sleep, "600"], init: true}
  brief: {image: "@BASE", command: ["true"]}
"""


@pytest.mark.docker
def test_exactly_the_services_that_ran_are_started_again(compose_project: Project) -> None:
    compose_project.write(FILE)
    compose_project.call("up", "-d", "worker", "cron")
    compose_project.call("stop", "-t", "1", "cron")
    made = quiescer(
        compose_project.folder,
        compose=compose_project.compose("worker", "cron"),
        services=("worker", "cron"),
    )
    made.preflight()
    running = set(compose_project.call("ps", "-q", "worker").split())
    assert made.writers() == ("worker",)
    made.close(made.writers(), "d1")
    assert compose_project.call("ps", "-q", "worker").split() == []
    assert made.writers() == ()
    made.open(("worker",), "d1")
    assert set(compose_project.call("ps", "-q", "worker").split()) == running
    assert made.writers() == ("worker",)
    made.open(("worker",), "d1")
    assert made.by_hand(("worker",))[0].endswith("start worker")


@pytest.mark.docker
def test_a_service_that_does_not_stay_up_is_told(compose_project: Project) -> None:
    compose_project.write(FILE)
    compose_project.call("up", "-d", "brief")
    made = quiescer(
        compose_project.folder, compose=compose_project.compose("brief"), services=("brief",)
    )
    with pytest.raises(UpdateFailed, match="brief was started again and does not run"):
        made.open(("brief",), "d1")
    unknown = quiescer(
        compose_project.folder, compose=compose_project.compose("brief"), services=("nobody",)
    )
    with pytest.raises(UsageError, match="has no service 'nobody'"):
        unknown.preflight()
