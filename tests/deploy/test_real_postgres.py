"""The saga on a real PostgreSQL server: writers, locks, swaps and sessions that SQLite does not have."""

import dataclasses
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deployguard.config import load
from deployguard.database.postgresql import PostgresDatabase
from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.deploy.wiring import wire
from deployguard.deploy.world import World
from deployguard.errors import ApprovalMissing, Busy, NeedsHuman, RolledBack
from deployguard.gate import Mode
from deployguard.model import Release
from deployguard.state import Status
from tests.deploy.fakes import Recorder
from tests.deploy.real import EXPAND, ROOMS, Small, small
from tests.deploy.test_real_sqlite import CHILD
from tests.support.postgres import Server

DESTROY = (
    """op.drop_column("rooms", "size")""",
    """op.add_column("rooms", sa.Column("size", sa.Text))""",
)
SETTINGS = """
[migrate]
lock_timeout = 1
retries = 3
"""


class Stoppable:
    """The commands of the small project, with a way to stop: a fake in that nothing really runs."""

    can_stop = True

    def __init__(self, project: Small, real: object) -> None:
        self._project, self._real = project, real

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def stop(self) -> None:
        (self._project.folder / "running").write_text("nothing")

    def start(self) -> None:
        (self._project.folder / "running").write_text("new")

    def put_back(self, release: Release, deploy: str) -> Release:
        (self._project.folder / "running").write_text("old")
        return release


class Postgres(Small):
    server: Server
    name: str

    def query(self, statement: str, database: str = "") -> str:
        return self.server.sql(statement, database or self.name)

    def current(self) -> str:
        return self.query("SELECT version_num FROM alembic_version")

    def rooms(self, database: str = "") -> str:
        return self.query("SELECT count(*) FROM rooms", database)

    def world(self, state: str = ".deployguard", *, stoppable: bool = False) -> World:
        config = load(None, self.folder)
        config = dataclasses.replace(
            config, project=dataclasses.replace(config.project, state=state)
        )
        made = wire(
            config,
            config.environment(),
            reporter=Recorder(),
            by="ann",
            environ=self.environ(),
        )
        if stoppable:
            return dataclasses.replace(made, target=Stoppable(self, made.target))  # type: ignore[arg-type]
        return made


@pytest.fixture
def project(tmp_path: Path, postgres_server: Server, postgres_database: str) -> Iterator[Postgres]:
    url = postgres_database.replace("postgresql://", "postgresql+psycopg://")
    before = _databases(postgres_server)
    with small(tmp_path, url) as made:
        made.__class__ = Postgres
        assert isinstance(made, Postgres)
        made.server, made.name = postgres_server, postgres_database.rpartition("/")[2]
        made.query(ROOMS)
        toml = made.folder / "deployguard.toml"
        text = toml.read_text().replace("[migrate]\nretries = 0\n", SETTINGS)
        pg_bin = f'[backup]\npg_bin = "{postgres_server.bin}"\n\n[environments.'
        toml.write_text(text.replace("[environments.", pg_bin))
        yield made
        for name in _databases(postgres_server) - before:
            postgres_server.drop_database(name)  # what restores have kept


def _databases(server: Server) -> set[str]:
    return set(server.sql("SELECT datname FROM pg_database").splitlines())


def approved(world: World) -> DeployOptions:
    return DeployOptions(Mode.AUTO, health_check=True, approve=world.assess().digest)


def kept_database(world: World) -> str:
    """Where the last restore kept the database that it replaced."""
    for row in world.journal.history():
        for event in world.journal.events(row.id):
            if (event.step, event.kind) == ("restore", "done"):
                return str(event.evidence["kept_as"])
    raise AssertionError("nothing was restored")


def test_a_critical_deploy_goes_through_with_a_backup(project: Postgres) -> None:
    project.revision("r2", *DESTROY)
    world = project.world()
    outcome = saga.deploy(world, approved(world))
    assert outcome.status is Status.DONE
    assert (project.current(), project.running()) == ("r2", "new")
    backup = world.find_backup("pre-deploy", outcome.deploy)
    assert backup is not None
    assert backup.counts["rooms"] == 3
    world.journal.close()


def test_an_unhealthy_critical_deploy_is_restored_when_nobody_wrote(project: Postgres) -> None:
    project.revision("r2", *DESTROY)
    project.sick.add("new")
    world = project.world(stoppable=True)
    with pytest.raises(RolledBack) as caught:
        saga.deploy(world, approved(world))
    assert "not healthy" in caught.value.message
    assert (project.current(), project.running()) == ("r1", "old")
    assert project.query("SELECT name, size FROM rooms ORDER BY id") == "a|s\nb|m\nc|l"
    kept = kept_database(world)
    assert kept in caught.value.state
    assert project.rooms(kept) == "3"
    world.journal.close()


def test_a_write_since_the_backup_leaves_the_decision_to_a_person(project: Postgres) -> None:
    project.revision("r2", *DESTROY)
    project.sick.add("new")
    world = project.world(stoppable=True)
    writing = world.target.update

    class Writing(Stoppable):
        def update(self, deploy: str, former: Release) -> Release:
            project.query("INSERT INTO rooms (name) VALUES ('d')")
            return writing(deploy, former)

    world = dataclasses.replace(world, target=Writing(project, world.target))  # type: ignore[arg-type]
    with pytest.raises(NeedsHuman, match="1 transaction"):
        saga.deploy(world, approved(world))
    assert project.rooms() == "4"
    [row] = world.journal.history()
    reporter = Recorder(types=row.id)
    world = dataclasses.replace(world, reporter=reporter)
    saga.rollback(world, RollbackOptions(row.id, restore=True))
    [warning] = [text for kind, text in reporter.told if kind == "confirm"]
    assert "rooms: 4 rows now, 3 in the backup" in warning
    assert (project.current(), project.rooms()) == ("r1", "3")
    kept = kept_database(world)
    assert project.rooms(kept) == "4"
    world.journal.close()


def test_a_failing_revision_leaves_nothing_behind(project: Postgres) -> None:
    project.revision("r2", *DESTROY)
    project.revision("r3", 'op.drop_column("rooms", "no_such_column")', "pass")
    world = project.world(stoppable=True)
    with pytest.raises(RolledBack) as caught:
        saga.deploy(world, approved(world))
    assert "come to revision r2" in caught.value.message
    assert (project.current(), project.running()) == ("r1", "old")
    assert project.query("SELECT name, size FROM rooms ORDER BY id") == "a|s\nb|m\nc|l"
    world.journal.close()


def test_a_table_that_is_in_use_is_waited_for_with_retries(project: Postgres) -> None:
    project.revision("r2", 'op.add_column("rooms", sa.Column("colour", sa.Text))', "pass")
    with psycopg.connect(project.url.replace("+psycopg", "")) as blocker:
        blocker.execute("SELECT * FROM rooms")
        retried: list[str] = []

        class Releasing(Recorder):
            def note(self, text: str) -> None:
                if "trying again" in text:
                    retried.append(text)
                    blocker.rollback()

        world = dataclasses.replace(project.world(), reporter=Releasing())
        outcome = saga.deploy(world, DeployOptions(Mode.AUTO, health_check=True))
    assert outcome.status is Status.DONE
    assert len(retried) == 1
    assert project.current() == "r2"
    world.journal.close()


def test_a_deploy_from_another_host_is_kept_out(project: Postgres) -> None:
    project.revision("r2", *EXPAND)
    here, there = project.world(), project.world(state=".elsewhere")
    with (
        here.database() as database,
        database.advisory_lock(database.identity()),
        pytest.raises(Busy),
    ):
        saga.deploy(there, DeployOptions(Mode.AUTO))
    assert project.current() == "r1"
    assert saga.deploy(there, DeployOptions(Mode.AUTO)).status is Status.DONE
    here.journal.close()
    there.journal.close()


def test_an_invalid_index_is_found_although_the_revision_was_not_committed(
    project: Postgres,
) -> None:
    project.query("INSERT INTO rooms (name) VALUES ('a')")
    up = """with op.get_context().autocommit_block():
    op.create_index("ix_rooms_name", "rooms", ["name"], unique=True, postgresql_concurrently=True)"""
    project.revision("r2", up, 'op.drop_index("ix_rooms_name")')
    world = project.world(stoppable=True)
    with pytest.raises(NeedsHuman, match="ix_rooms_name") as caught:
        saga.deploy(world, DeployOptions(Mode.AUTO, approve=world.assess().digest))
    [row] = world.journal.history()
    assert row.status is Status.NEEDS_HUMAN
    [command] = [c for c in caught.value.next_commands if "DROP INDEX" in c]
    project.query(command.split("'")[1])
    with pytest.raises(RolledBack):  # what a person dropped needs no person any more
        saga.resume(world)
    world.journal.close()


def test_kill_9_during_the_migration_then_resume(project: Postgres) -> None:
    up = """import os, pathlib
if os.environ.get("PGAPPNAME"):  # the migration, not the reading of it
    pathlib.Path("migrating").touch()
op.execute("SELECT pg_sleep(2)")
op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))"""
    project.revision("r2", up, 'op.drop_table("notes")')
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(project.folder)], env=project.environ()
    )
    deadline = time.monotonic() + 60
    while not (project.folder / "migrating").exists():
        assert child.poll() is None, "it ended before it migrated"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    world = project.world()
    assert saga.resume(world).status is Status.DONE
    assert (project.current(), project.running(), project.rooms()) == ("r2", "new", "3")
    world.journal.close()


def test_a_session_that_survives_its_client_is_ended(
    project: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as on a server before version 14, which does not look whether its client is there
    monkeypatch.setattr(PostgresDatabase, "can_check_clients", lambda _: False)
    up = """import os, pathlib
if os.environ.get("PGAPPNAME"):
    pathlib.Path("migrating").write_text(str(os.getpid()))
with op.get_context().autocommit_block():
    op.execute("SELECT pg_sleep(20)")"""
    project.revision("r2", up, "pass")
    world = project.world(stoppable=True)

    def kill() -> None:
        marker = project.folder / "migrating"
        while not (marker.exists() and marker.read_text()):
            time.sleep(0.05)
        time.sleep(1)
        os.kill(int(marker.read_text()), signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(RolledBack):
        saga.deploy(world, DeployOptions(Mode.AUTO, approve=world.assess().digest))
    thread.join()
    assert isinstance(world.reporter, Recorder)
    assert any("were terminated" in text for kind, text in world.reporter.told if kind == "note")
    assert (
        project.query("SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'")
        == "0"
    )
    world.journal.close()


def test_no_password_is_kept_anywhere(project: Postgres) -> None:
    project.revision("r2", *DESTROY)
    world = project.world(stoppable=True)
    password = project.server.password
    project.sick.add("new")
    with pytest.raises(RolledBack):
        saga.deploy(world, approved(world))
    world.journal.close()
    for path in (project.folder / ".deployguard").rglob("*"):
        if path.is_file():
            assert password.encode() not in path.read_bytes(), path


def test_a_restore_keeps_the_present_in_a_backup_and_counts_what_was_written(
    project: Postgres,
) -> None:
    """By autovacuum, too: so it is at most so many, and at least our own."""
    world = project.world(stoppable=True)
    record = world.take_backup("manual", "")
    project.query("UPDATE rooms SET name = 'x'")
    project.query("INSERT INTO rooms (name) VALUES ('d')")
    reporter = Recorder(types=record.id)
    world = dataclasses.replace(world, reporter=reporter)
    outcome = saga.restore(world, record.id)
    [warning] = [text for kind, text in reporter.told if kind == "confirm"]
    wrote = re.search(r"At most (\d+) transaction\(s\) wrote", warning)
    assert wrote is not None, warning
    assert int(wrote[1]) >= 2
    assert "rooms: 4 rows now, 3 in the backup" in warning
    assert (project.current(), project.rooms()) == ("r1", "3")
    emergency = world.find_backup("emergency", outcome.deploy)
    assert emergency is not None
    assert emergency.counts["rooms"] == 4
    # it is another database of the same name now: what was written to it since the backup cannot be known
    asked = dataclasses.replace(world, reporter=Recorder())
    with pytest.raises(ApprovalMissing, match="since the backup is unknown"):
        saga.restore(asked, record.id)
    assert saga.restore(world, emergency.id, emergency.id).status is Status.DONE
    assert project.rooms() == "4"
    world.journal.close()
