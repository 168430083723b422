"""The oracle sees each kind of illegal state; it has to, for nothing else would tell."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.kills.arena import Arena, arena
from tests.support import postgres


@pytest.fixture(params=["postgresql", "sqlite"])
def production(
    request: pytest.FixtureRequest, tmp_path: Path, postgres_pool: postgres.Pool
) -> Iterator[Arena]:
    with ExitStack() as stack:
        server = postgres_pool(postgres.DEFAULT_VERSION) if request.param == "postgresql" else None
        yield stack.enter_context(arena(tmp_path, "grow", server))


def wrong(production: Arena) -> str:
    end, found = production.judge("before old", "after new")
    assert found, end
    return "; ".join(found)


def test_what_it_takes_for_legal(production: Arena) -> None:
    assert production.judge("before old", "after new") == ("before old", [])


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("DELETE FROM rooms WHERE id = 7", "rows of rooms"),
        ("UPDATE rooms SET size = 'other' WHERE id = 7", "rows of rooms"),
        ("CREATE TABLE left_over (x int)", "left_over"),
        ("CREATE INDEX left_over ON rooms (size)", "left_over"),
        ("UPDATE alembic_version SET version_num = 'r2'", "at r2"),
        ("DELETE FROM visits", "LOST ROWS: 1 of 1"),
    ],
)
def test_a_database_that_is_neither_the_old_nor_the_new_one(
    production: Arena, statement: str, told: str
) -> None:
    production.acknowledged.add("the first")
    production._execute(statement)
    assert told in wrong(production)


def test_the_new_application_on_the_old_schema(production: Arena) -> None:
    (production.folder / "version").write_text("new")
    assert "the application is 'new'" in wrong(production)


def half_a_backup(production: Arena) -> None:
    folder = production.folder / ".deployguard" / "backups" / "kills-1"
    folder.mkdir(parents=True)
    (folder / "dump").write_text("half")


def a_damaged_backup(production: Arena) -> None:
    assert production.run("backup", "create").code == 0
    [folder] = (production.folder / ".deployguard" / "backups").glob("kills-*")
    largest = max(folder.iterdir(), key=lambda one: one.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])


def maintenance(production: Arena) -> None:
    (production.folder / "maintenance").touch()


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (half_a_backup, "half a backup"),
        (a_damaged_backup, "a damaged backup"),
        (maintenance, "the maintenance page is up"),
    ],
)
def test_what_is_left_on_the_host(
    production: Arena, harm: Callable[[Arena], None], told: str
) -> None:
    harm(production)
    assert told in wrong(production)


def test_a_lock_that_is_held_and_a_program_that_runs_on(production: Arena) -> None:
    lock = production.folder / ".deployguard" / "lock-production"
    lock.parent.mkdir()
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert "a held lock" in "; ".join(production.host.litter())
    argv = [sys.executable, "-c", "input()"]
    with subprocess.Popen(argv, env=production.environ(), stdin=subprocess.PIPE) as left:
        assert f"a process: {left.pid}" in "; ".join(production.host.litter())
        left.communicate()
    assert not production.host.litter()


def test_what_a_restore_or_a_session_leaves_on_a_server(production: Arena) -> None:
    server = production.server
    if server is None:
        (production.folder / ".app.db.restoring-1").touch()
        assert "a file: .app.db.restoring-1" in wrong(production)
        return
    name = production.name
    server.create_database(f"{name}_restoring_1")
    slot = f"SELECT pg_create_logical_replication_slot('{name}', 'pgoutput')"
    server.sql(slot, name)
    production._execute("INSERT INTO visits (label) VALUES ('twice'), ('twice')")
    with pytest.raises(RuntimeError):
        production._execute("CREATE UNIQUE INDEX CONCURRENTLY bad ON visits (label)")
    argv = [server.tree.program("psql"), "-X", "-c", "SELECT pg_advisory_lock(1), pg_sleep(60)"]
    session = subprocess.Popen(
        argv,
        env=server.environment(name) | {"PGAPPNAME": "left over"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(200):
            told = "; ".join(production.database.look().litter)
            if "an advisory lock" in told:
                break
    finally:
        session.kill()
        session.wait()
        server.sql(f"SELECT pg_drop_replication_slot('{name}')")
    for kind in ("a database", "a replication slot", "an invalid index", "a session: left over"):
        assert kind in told
