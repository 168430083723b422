"""A scratch server in a container: reached with a password nobody sees, and gone with whoever made it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.containers import Engine, scratch
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import boot_id
from tests.support.docker import run

ROOT = Path(__file__).resolve().parents[2]
IMAGE = "postgres:15"
MAKER = """
import sys, time
from deployguard.containers import Engine, scratch
with Engine() as engine, scratch.postgres(engine, sys.argv[1]) as (container, _):
    print(container.name, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as found:
        yield found


def test_the_password_and_nobodys_network_are_in_the_argv() -> None:
    argv = scratch.start_argv("n", IMAGE, "1:2:b")
    assert argv == [
        *("docker", "run", "--detach", "--rm", "--pull", "never", "--name", "n"),
        *("--label", "deployguard.drill=1:2:b", "--env", "POSTGRES_PASSWORD"),
        *("--env", "POSTGRES_USER=deployguard", "--env", "POSTGRES_DB=postgres"),
        *("--publish", "127.0.0.1::5432", IMAGE),
        *("postgres", "-c", "max_wal_size=4GB", "-c", "maintenance_work_mem=256MB"),
    ]


@pytest.mark.docker
def test_a_server_answers_in_the_block_and_is_gone_behind_it(engine: Engine) -> None:
    with scratch.postgres(engine, IMAGE) as (container, password):
        assert container.published["5432/tcp"][0] == "127.0.0.1"
        asked = engine.exec(
            container.name,
            ["psql", "-h", "127.0.0.1", "-Atc", "SELECT 1"],
            environment={"PGPASSWORD": password, "PGUSER": scratch.USER, "PGDATABASE": "postgres"},
            timeout=60,
        )
        assert asked.stdout == "1\n", asked.stderr
        assert scratch.sweep(engine) == ()  # we live
    assert engine.container(container.name) is None


@pytest.mark.docker
def test_what_a_killed_process_left_is_swept_by_the_next_one(engine: Engine) -> None:
    maker = subprocess.Popen(
        [sys.executable, "-c", MAKER, IMAGE], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert maker.stdout is not None
    name = maker.stdout.readline().strip()
    assert engine.container(name) is not None
    maker.kill()
    maker.wait()
    maker.stdout.close()
    assert engine.container(name) is not None
    assert name in scratch.sweep(engine)
    assert engine.container(name) is None


@pytest.mark.docker
def test_an_image_that_is_not_here_is_not_pulled(engine: Engine) -> None:
    with (
        pytest.raises(EnvironmentUnreachable, match="from the image postgres:0"),
        scratch.postgres(engine, "postgres:0"),
    ):
        pass


@pytest.mark.docker
@pytest.mark.parametrize("mark", ["", "x:y:z", "999999999:5:another-boot", "1:5:"])
def test_of_what_another_machine_may_have_made_nothing_is_removed(
    engine: Engine, mark: str
) -> None:
    name = run(
        *("docker", "run", "-d", "--rm", "--label", f"{scratch.LABEL}={mark}", IMAGE, "sleep", "60")
    ).strip()
    try:
        assert scratch.sweep(engine) == ()
        assert boot_id() not in mark
        assert engine.container(name) is not None
    finally:
        run("docker", "rm", "-f", "-v", name)
