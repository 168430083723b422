"""The saga on a real SQLite project: real Alembic, real backups, a real detached process, real health checks."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from deployguard.config import load
from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions, RollbackOptions
from deployguard.deploy.wiring import wire
from deployguard.deploy.world import World
from deployguard.errors import ApprovalMissing, NeedsHuman, RolledBack
from deployguard.gate import Mode
from deployguard.model import Risk
from deployguard.state import Status
from tests.deploy.fakes import Recorder
from tests.deploy.real import DESTROY, EXPAND, Small, small

CHECKED = DeployOptions(Mode.AUTO, health_check=True)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


def world_of(project: Small, **answers: str) -> World:
    config = load(None, project.folder)
    return wire(
        config,
        config.environment(),
        reporter=Recorder(**answers),  # type: ignore[arg-type]
        by="ann",
        environ=project.environ(),
    )


def approved(world: World) -> DeployOptions:
    return DeployOptions(Mode.AUTO, health_check=True, approve=world.assess().digest)


def test_a_low_risk_deploy_goes_through(project: Small) -> None:
    project.revision("r2", *EXPAND)
    world = world_of(project)
    assert world.assess().risk is Risk.LOW
    assert saga.deploy(world, CHECKED).status is Status.DONE
    assert (project.current(), project.running()) == ("r2", "new")
    assert project.sql("SELECT count(*) FROM rooms") == [(3,)]
    assert isinstance(world.reporter, Recorder)
    assert any("r1 -> r2" in line for kind, line in world.reporter.told if kind == "log")
    world.journal.close()


def test_a_critical_deploy_needs_its_digest_and_leaves_a_backup(project: Small) -> None:
    project.revision("r2", *DESTROY)
    world = world_of(project)
    with pytest.raises(ApprovalMissing):
        saga.deploy(world, CHECKED)
    assert project.current() == "r1"
    outcome = saga.deploy(world, approved(world))
    assert (project.current(), project.running()) == ("r2", "new")
    backup = world.find_backup("pre-deploy", outcome.deploy)
    assert backup is not None
    assert backup.counts["rooms"] == 3
    world.journal.close()


def test_the_first_deploy_makes_the_database_and_backs_up_nothing(project: Small) -> None:
    project.revision("r2", *DESTROY)
    project.file.unlink()
    world = world_of(project)
    digest = world.assess().digest
    options = DeployOptions(Mode.AUTO, health_check=True, backup=True, approve=digest)
    outcome = saga.deploy(world, options)
    assert (outcome.status, project.current()) == (Status.DONE, "r2")
    assert world.find_backup("pre-deploy", outcome.deploy) is None
    world.journal.close()


def test_an_unhealthy_version_comes_back_with_every_row(project: Small) -> None:
    project.revision("r2", *EXPAND)
    project.sick.add("new")
    world = world_of(project)
    with pytest.raises(RolledBack, match="not healthy"):
        saga.deploy(world, CHECKED)
    assert (project.current(), project.running()) == ("r2", "old")
    assert project.sql("SELECT count(*) FROM rooms") == [(3,)]
    world.journal.close()


def test_a_migration_that_fails_half_way_says_where_the_database_is(project: Small) -> None:
    project.revision("r2", *EXPAND)
    project.revision("r3", """op.execute("INSERT INTO rooms (id) VALUES (1)")""", "pass")
    world = world_of(project)
    with pytest.raises(RolledBack) as caught:
        saga.deploy(world, approved(world))
    assert "come to revision r2" in caught.value.message
    assert "UNIQUE constraint failed" in caught.value.message
    assert (project.current(), project.running()) == ("r1", "old")
    assert project.sql("SELECT count(*) FROM rooms") == [(3,)]
    assert ("notes",) not in project.sql("SELECT name FROM sqlite_master")
    world.journal.close()


def test_a_rollback_by_restore_keeps_the_failed_file_whole_with_its_newer_rows(
    project: Small,
) -> None:
    project.revision("r2", *DESTROY)
    world = world_of(project)
    deploy = saga.deploy(world, approved(world)).deploy
    project.sql("CREATE TABLE since (x)")
    project.sql("INSERT INTO since VALUES ('written after the deploy')")
    live = Path(world.backups.path)  # type: ignore[attr-defined]
    before = dump(live)
    outcome = saga.rollback(world, RollbackOptions(restore=True, confirm=deploy))
    assert outcome.status is Status.DONE
    assert (project.current(), project.running()) == ("r1", "old")
    assert project.sql("SELECT count(*) FROM rooms") == [(3,)]
    events = world.journal.events(outcome.deploy)
    [kept] = [e.evidence["kept_as"] for e in events if e.step == "restore" and e.kind == "done"]
    assert dump(live.with_name(str(kept))) == before
    assert any("written after the deploy" in line for line in before)
    # that one is the safety net: no other backup was taken, and who confirmed it was told so
    assert world.find_backup("emergency", outcome.deploy) is None
    [warned] = [e.evidence["warning"] for e in events if e.step == "confirm" and e.kind == "done"]
    assert "kept whole, and no other backup of it is taken" in str(warned)
    world.journal.close()


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as link:
        return list(link.iterdump())


CHILD = """
import sys
from pathlib import Path
from deployguard.config import load
from deployguard.deploy import saga
from deployguard.deploy.reporter import Silent
from deployguard.deploy.run import DeployOptions
from deployguard.deploy.wiring import wire
from deployguard.gate import Mode
config = load(None, Path(sys.argv[1]))
world = wire(config, config.environment(), reporter=Silent(), by="ann")
digest = world.assess().digest
saga.deploy(world, DeployOptions(Mode.AUTO, health_check=True, approve=digest))
"""
SLOW = (
    """import os, pathlib, time
if os.environ.get("PGAPPNAME"):  # the migration, not the reading of it
    pathlib.Path("migrating").touch()
    time.sleep(2)
op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))""",
    """op.drop_table("notes")""",
)


def in_child(project: Small) -> "subprocess.Popen[bytes]":
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(project.folder)], env=project.environ()
    )
    deadline = time.monotonic() + 60
    while not (project.folder / "migrating").exists():
        assert child.poll() is None, "it ended before it migrated"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return child


def test_kill_9_during_the_migration_then_resume(project: Small) -> None:
    project.revision("r2", *SLOW)
    child = in_child(project)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    assert project.current() == "r1"
    world = world_of(project)
    assert saga.resume(world).status is Status.DONE
    assert (project.current(), project.running()) == ("r2", "new")
    assert project.sql("SELECT count(*) FROM rooms") == [(3,)]
    [row] = world.journal.history()
    assert row.status is Status.DONE
    world.journal.close()


def test_sigterm_during_the_migration_stops_it_and_comes_back(project: Small) -> None:
    project.revision("r2", *SLOW)
    child = in_child(project)
    child.terminate()
    assert child.wait() == 1  # the error was raised to the child's own top
    world = world_of(project)
    [row] = world.journal.history()
    assert row.status is Status.ROLLED_BACK
    assert (project.current(), project.running()) == ("r1", "old")
    assert ("notes",) not in project.sql("SELECT name FROM sqlite_master")
    world.journal.close()


def test_a_database_that_somebody_wrote_to_is_left_to_a_person(project: Small) -> None:
    project.revision("r2", *DESTROY)
    project.sick.add("new")
    world = world_of(project)
    with pytest.raises(NeedsHuman) as caught:
        saga.deploy(world, approved(world))
    [row] = world.journal.history()
    assert f"deployguard rollback {row.id} --restore" in caught.value.next_commands
    saga.rollback(world, RollbackOptions(row.id, restore=True, confirm=row.id))
    assert (project.current(), project.running()) == ("r1", "old")
    assert project.sql("SELECT count(*) FROM rooms") == [(3,)]
    world.journal.close()
