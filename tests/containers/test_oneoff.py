"""Programs in containers of their own: nobody sees the password, nothing is pulled, and nothing is left."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployguard.containers import Container, Engine, oneoff, scratch
from deployguard.process import Completed, identify
from tests.support.docker import run

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "postgres:15"
SECRET = "s3cret-of-the-one-off"
MAKER = """
import sys
from deployguard.containers.oneoff import OneOff
OneOff(sys.argv[1])(("sleep", "600"), timeout=600)
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as found:
        yield found


def made_by(engine: Engine, pid: int) -> list[Container]:
    found = engine.containers(labels=(oneoff.LABEL,), stopped=True)
    return [each for each in found if each.labels[oneoff.LABEL].startswith(f"{pid}:")]


def until(look: Callable[[], list[Container]]) -> Container:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if found := [each for each in look() if each.running]:
            return found[0]
        time.sleep(0.1)
    raise AssertionError("no container came up")


def cmdlines() -> str:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(path.read_bytes().decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(lines)


def test_the_argv_names_variables_and_shows_the_files_of_tls() -> None:
    around = {"PGPASSWORD": SECRET, "PGSSLROOTCERT": "/ca.pem", "PGSSLCERT": "system"}
    argv = oneoff.once_argv(
        ("n", "1:2:b", IMAGE), ["pg_dump", "-v"], around, interactive=True, timeout=60.2
    )
    assert argv == [
        *("docker", "run", "--rm", "--pull", "never", "--name", "n"),
        *("--label", "deployguard.once=1:2:b", "--network", "host", "--log-driver", "none"),
        *("--interactive", "--env", "PGPASSWORD", "--env", "PGSSLCERT", "--env", "PGSSLROOTCERT"),
        *("--mount", "type=bind,source=/ca.pem,target=/ca.pem,readonly"),
        *("--entrypoint", "timeout", IMAGE, "-k", "10", "60", "pg_dump", "-v"),
    ]
    still = oneoff.once_argv(("n", "m", IMAGE), ["x"], {}, interactive=False, timeout=0)
    assert "--interactive" not in still
    assert still[-4:] == ["-k", "10", "1", "x"]


@pytest.mark.docker
def test_an_engine_of_another_machine_does_not_do(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert oneoff.find_oneoffs(engine, (IMAGE,)) == (oneoff.OneOff(IMAGE),)
    monkeypatch.setenv("DOCKER_HOST", "ssh://elsewhere")
    assert engine.ping()  # this one would answer, but not the docker program
    assert oneoff.find_oneoffs(engine, (IMAGE,)) == ()


@pytest.mark.docker
def test_only_images_that_are_here_are_found(engine: Engine) -> None:
    assert oneoff.find_oneoffs(engine, ("postgres:0", IMAGE)) == (oneoff.OneOff(IMAGE),)
    assert oneoff.find_oneoffs(engine, ("postgres:0",), host="nobody-answers-to-this") == ()
    assert oneoff.find_oneoffs(engine, (IMAGE,), environ={"PATH": "/nowhere"}) == ()
    assert not oneoff.OneOff("postgres:0")(("true",), timeout=60).ok


@pytest.mark.docker
def test_the_image_of_the_container_that_answers_to_the_host_comes_first(engine: Engine) -> None:
    name = run("docker", "run", "-d", "--rm", "python:3.11-slim", "sleep", "300").strip()
    try:
        found = engine.container(name)
        assert found is not None
        both = (oneoff.OneOff("python:3.11-slim"), oneoff.OneOff(IMAGE))
        assert oneoff.find_oneoffs(engine, (IMAGE,), host=found.name) == both
    finally:
        run("docker", "rm", "-f", name)


@pytest.mark.docker
def test_bytes_go_in_and_out_unchanged_and_files_are_where_they_lie(tmp_path: Path) -> None:
    source, target, authority = tmp_path / "in", tmp_path / "out", tmp_path / "ca.pem"
    source.write_bytes(bytes(range(256)) * 40_000)
    authority.write_text("trusted")
    once = oneoff.OneOff(IMAGE)
    copied = once(("cat",), stdin_path=source, stdout_path=target, timeout=120)
    assert copied.ok, copied.stderr
    assert target.read_bytes() == source.read_bytes()
    read = once(("cat", str(authority)), environment={"PGSSLROOTCERT": str(authority)}, timeout=120)
    assert read.stdout == "trusted", read.stderr
    assert once(("sh", "-c", "exit 3"), timeout=120).code == 3


@pytest.mark.docker
def test_it_ends_in_time_and_leaves_nothing(engine: Engine) -> None:
    done = oneoff.OneOff(IMAGE)(("sleep", "600"), timeout=1)
    assert done.code == 124
    me = identify()
    assert me is not None
    assert made_by(engine, me.pid) == []


@pytest.mark.docker
def test_a_password_is_in_no_argv(engine: Engine) -> None:
    """Neither on this machine nor in what the engine would start again."""
    done: list[Completed] = []
    me = identify()
    assert me is not None

    def go() -> None:
        argv = ("sh", "-c", 'echo "$PGPASSWORD"; sleep 600')
        done.append(oneoff.OneOff(IMAGE)(argv, environment={"PGPASSWORD": SECRET}, timeout=600))

    working = threading.Thread(target=go)
    working.start()
    try:
        found = until(lambda: made_by(engine, me.pid))
        everything = cmdlines()
        assert found.name in everything
        assert SECRET not in everything
        told = run(
            "docker", "inspect", "-f", "{{json .Config.Cmd}} {{json .Args}} {{.Path}}", found.name
        )
        assert "PGPASSWORD" in told
        assert SECRET not in told
        assert oneoff.find_oneoffs(engine, ()) == ()
        assert engine.container(found.name) is not None  # we live
    finally:
        for each in made_by(engine, me.pid):
            run("docker", "rm", "-f", "-v", each.name)
        working.join(120)
    assert done[0].stdout.strip() == SECRET


@pytest.mark.docker
def test_what_a_killed_process_left_is_swept_by_the_next_one(engine: Engine) -> None:
    maker = subprocess.Popen([sys.executable, "-c", MAKER, IMAGE], cwd=ROOT)
    found = until(lambda: made_by(engine, maker.pid))
    maker.kill()
    maker.wait()
    left = engine.container(found.name)
    assert left is not None
    assert left.running
    assert found.name not in scratch.sweep(engine)  # a drill's label is another one
    oneoff.find_oneoffs(engine, ())
    assert engine.container(found.name) is None
