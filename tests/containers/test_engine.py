"""The engine is asked about containers and images, and says kindly when it does not answer."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployguard.containers import Engine, Log
from deployguard.containers.engine import exec_argv
from deployguard.errors import EnvironmentUnreachable
from tests.support.docker import run
from tests.support.projects import BASE, Project


def eventually(condition: Callable[[], object], within: float = 20) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def named(compose_project: Project) -> Callable[..., str]:
    """Start a labelled container; it goes with the project."""

    def start(name: str, *command: str, options: tuple[str, ...] = ()) -> str:
        full = f"{compose_project.name}-{name}"
        label = f"com.docker.compose.project={compose_project.name}"
        run("docker", "run", "-d", "--name", full, "--label", label, *options, BASE, *command)
        return full

    return start


def test_no_engine_is_one_kind_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(
        EnvironmentUnreachable, match="No Docker engine answers at unix://"
    ) as caught:
        Engine().ping()
    assert caught.value.next_commands == ("docker info",)
    assert caught.value.exit_code == 3


def test_importing_the_room_does_not_load_docker() -> None:
    code = "import sys, deployguard.containers as c; c.Engine(); sys.exit('docker' in sys.modules)"
    import sys

    run(sys.executable, "-c", code)


def test_exec_argv_names_variables_and_never_their_values() -> None:
    argv = exec_argv("db", ["pg_dump", "x"], {"PGPASSWORD": "canary"}, True, 60)
    assert argv == [
        *("docker", "exec", "-i", "-e", "PGPASSWORD", "db"),
        *("timeout", "-k", "10", "60", "pg_dump", "x"),
    ]


@pytest.mark.docker
def test_state_and_exit_code_of_a_container(engine: Engine, named: Callable[..., str]) -> None:
    name = named("c", "sh", "-c", "sleep 4; exit 6")
    container = engine.container(name)
    assert container is not None
    assert (container.status, container.running, container.code) == ("running", True, None)
    eventually(lambda: (c := engine.container(name)) and not c.running)
    container = engine.container(name)
    assert container is not None
    assert (container.status, container.code) == ("exited", 6)
    assert engine.container("no-such-container") is None


@pytest.mark.docker
def test_remove_leaves_what_runs(engine: Engine, named: Callable[..., str]) -> None:
    name = named("c", "sleep", "60", options=("--init",))
    assert engine.remove(name) is False
    assert engine.container(name) is not None
    engine.signal(name, "SIGTERM")
    eventually(lambda: (c := engine.container(name)) and not c.running)
    engine.signal(name, "SIGTERM")
    assert engine.remove(name) is True
    assert engine.container(name) is None
    assert engine.remove(name) is True


@pytest.mark.docker
def test_log_lines_come_once_in_order_while_it_runs(
    engine: Engine, named: Callable[..., str]
) -> None:
    script = (
        "for i in $(seq 60); do echo line $i; [ $((i % 7)) = 0 ] && sleep 0.4; done; printf end"
    )
    name = named("c", "sh", "-c", script)
    seen: list[str] = []
    log = Log(name)
    early = 0
    while (container := engine.container(name)) and container.running:
        log.advance(engine, seen.append)
        early = early or len(seen)
        time.sleep(0.01)
    log.advance(engine, seen.append, final=True)
    assert 0 < early < 60
    assert seen == [*(f"line {i}" for i in range(1, 61)), "end"]


@pytest.mark.docker
def test_logs_of_a_container_that_is_gone_are_empty(engine: Engine) -> None:
    assert engine.logs("no-such-container") == b""


@pytest.mark.docker
def test_exec_streams_files_and_hides_the_environment(
    engine: Engine, named: Callable[..., str], tmp_path: Path
) -> None:
    name = named("c", "sleep", "60", options=("--init",))
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(bytes(range(256)) * 4000)
    done = engine.exec(
        name,
        ["sh", "-c", 'cat; echo "$PW $(cat /proc/$PPID/cmdline | tr -d canary)" >&2; exit 3'],
        environment={"PW": "canary"},
        stdin_path=source,
        stdout_path=target,
        timeout=20,
    )
    assert done.code == 3
    assert done.stderr.startswith("canary ")
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.docker
def test_exec_ends_inside_the_container_at_its_timeout(
    engine: Engine, named: Callable[..., str]
) -> None:
    name = named("c", "sleep", "60", options=("--init",))
    done = engine.exec(name, ["sleep", "50"], timeout=1)
    assert done.code == 124
    assert "sleep 50" not in run("docker", "top", name, "-o", "pid,args")


@pytest.mark.docker
def test_exec_of_what_moves_is_not_ended_and_of_what_stands_still_is(
    engine: Engine, named: Callable[..., str], tmp_path: Path
) -> None:
    name, target = named("c", "sleep", "120", options=("--init",)), tmp_path / "out"

    def moving() -> int:
        return target.stat().st_size if target.exists() else 0

    script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1; echo x; done"
    done = engine.exec(name, ["sh", "-c", script], stdout_path=target, timeout=10, moving=moving)
    assert done.ok
    assert done.seconds > 10
    still = engine.exec(name, ["sleep", "50"], stdout_path=target, timeout=1, moving=moving)
    assert still.timed_out


@pytest.mark.docker
def test_images_are_found_by_every_name(engine: Engine, compose_project: Project) -> None:
    first = compose_project.build("v1", "one")
    repository = compose_project.name
    assert engine.image_id(f"{repository}:v1") == first
    engine.tag(first, f"{repository}:kept")
    assert engine.image_id(f"{repository}:kept") == first
    assert "PATH" in engine.image_environment(first)
    assert engine.image_environment("no-such-image:x") == {}


@pytest.mark.docker
def test_service_containers_are_those_of_the_service(
    engine: Engine, compose_project: Project
) -> None:
    compose_project.write("""
services:
  web: {image: "@BASE", command: [sleep, "60"], init: true, deploy: {replicas: 2}}
  other: {image: "@BASE", command: [sleep, "60"], init: true}
""")
    compose_project.call("up", "-d")
    compose_project.call("run", "-d", "web", "sleep", "60")
    found = engine.service_containers(compose_project.name, "web")
    assert [c.name.rsplit("-", 1)[1] for c in found] == ["1", "2"]
    assert {c.reference for c in found} == {BASE}
    assert len(engine.service_containers(compose_project.name)) == 3
    compose_project.call("stop", "-t", "1", "web")
    assert engine.service_containers(compose_project.name, "web") == ()
    assert len(engine.service_containers(compose_project.name, "web", stopped=True)) == 2
