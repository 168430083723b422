"""What the version table does not tell, on real databases: running, half done, done twice, done elsewhere."""

import os
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from deployguard.deploy import saga
from deployguard.deploy.run import RollbackOptions
from deployguard.errors import NeedsHuman, Refused
from deployguard.state import Status
from tests.deploy import test_real_postgres as real_postgres
from tests.deploy.real import EXPAND, Small, small
from tests.deploy.test_real_postgres import Postgres
from tests.deploy.test_real_sqlite import CHECKED, SLOW, approved, in_child, world_of

postgres = real_postgres.project


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


def test_a_rollback_while_the_killed_deploys_migration_runs_changes_nothing(sqlite: Small) -> None:
    sqlite.revision("r2", *SLOW)
    child = in_child(sqlite)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    world = world_of(sqlite)
    with pytest.raises(Refused, match="still runs"):
        saga.rollback(world, RollbackOptions())
    deadline = time.monotonic() + 60
    while sqlite.current() != "r2":
        assert time.monotonic() < deadline, (
            "the migration was ended by a command that changed nothing"
        )
        time.sleep(0.1)
    time.sleep(1)  # its process ends after its commit
    assert saga.rollback(world, RollbackOptions()).status is Status.DONE
    assert (sqlite.current(), sqlite.running()) == ("r1", "old")
    assert world.journal.unfinished("development") is None
    world.journal.close()


def test_rows_that_a_failed_revision_has_committed_are_not_called_nothing_to_undo(
    sqlite: Small,
) -> None:
    up = """with op.get_context().autocommit_block():
    op.execute("UPDATE rooms SET size = 'XXL'")
op.execute("INSERT INTO rooms (id) VALUES (1)")"""
    sqlite.revision("r2", up, "pass")
    world = world_of(sqlite)
    with pytest.raises(NeedsHuman, match="rows may have been changed"):
        saga.deploy(world, approved(world))
    assert sqlite.current() == "r1"
    assert sqlite.sql("SELECT DISTINCT size FROM rooms") == [("XXL",)]
    world.journal.close()


HALF = (
    """op.add_column("rooms", sa.Column("colour", sa.Text))
op.execute("INSERT INTO rooms (id) VALUES (1)")""",
    """op.drop_column("rooms", "colour")""",
)


def test_a_half_done_revision_is_not_left_behind_by_an_automatic_downgrade(sqlite: Small) -> None:
    sqlite.revision("r2", *EXPAND)
    sqlite.revision("r3", *HALF)
    world = world_of(sqlite)
    with pytest.raises(NeedsHuman, match="a part of a revision may have stayed"):
        saga.deploy(world, approved(world))
    assert sqlite.current() == "r2", "nothing was taken back"
    deploy = world.journal.history()[0].id
    with pytest.raises(NeedsHuman, match=r"schema is not as it was .*colour"):
        saga.rollback(world, RollbackOptions(to="r1", confirm=deploy))
    sqlite.sql("ALTER TABLE rooms DROP COLUMN colour")
    assert saga.resume(world).status is Status.DONE
    assert (sqlite.current(), sqlite.running()) == ("r1", "old")
    world.journal.close()


def test_a_success_in_another_database_is_not_called_nothing_to_undo(sqlite: Small) -> None:
    sqlite.revision("r2", *EXPAND)
    other = sqlite.folder / "other.db"
    shutil.copy(sqlite.file, other)
    env = sqlite.folder / "migrations" / "env.py"
    led = f'("sqlite:///{other}" if os.environ.get("PGAPPNAME") else os.environ["DATABASE_URL"])'
    env.write_text(env.read_text().replace('os.environ["DATABASE_URL"]', led))
    world = world_of(sqlite)
    with pytest.raises(NeedsHuman, match="it migrated something else"):
        saga.deploy(world, CHECKED)
    with closing(sqlite3.connect(other)) as link:
        assert link.execute("SELECT version_num FROM alembic_version").fetchall() == [("r2",)]
    world.journal.close()


def test_a_lock_timeout_does_not_repeat_what_was_committed(postgres: Postgres) -> None:
    postgres.query("ALTER TABLE rooms ADD COLUMN price int DEFAULT 100; CREATE TABLE busy (x int)")
    up = """with op.get_context().autocommit_block():
    op.execute("UPDATE rooms SET price = price * 2")
op.add_column("busy", sa.Column("y", sa.Text))"""
    postgres.revision("r2", up, 'op.drop_column("busy", "y")')
    world = postgres.world()
    options = approved(world)
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as blocker:
        blocker.execute("LOCK TABLE busy IN ACCESS SHARE MODE")
        freed = threading.Timer(20, blocker.rollback)
        freed.start()
        with pytest.raises(NeedsHuman, match="rows may have been changed"):
            saga.deploy(world, options)
        freed.cancel()
    assert postgres.query("SELECT DISTINCT price FROM rooms") == "200"
    assert any("it is not tried again" in text for _, text in world.reporter.told)  # type: ignore[attr-defined]
    world.journal.close()


def test_several_heads_are_not_taken_back_by_themselves(postgres: Postgres) -> None:
    postgres.revision("x2", *EXPAND)
    postgres.alembic("upgrade", "head")
    postgres.parent = "r1"
    postgres.revision("y2", 'op.create_table("ys", sa.Column("id", sa.Integer))', "pass")
    postgres.alembic("upgrade", "heads")
    postgres.revision(
        "y3", 'op.add_column("ys", sa.Column("a", sa.Text))', 'op.drop_column("ys", "a")'
    )
    postgres.revision("y4", """op.execute("INSERT INTO rooms (id) VALUES (1)")""", "pass")
    toml = postgres.folder / "deployguard.toml"
    heads = '[migrate]\ncommand = ["alembic", "upgrade", "heads"]\n'
    toml.write_text(toml.read_text().replace("[migrate]\n", heads))
    world = postgres.world()
    with pytest.raises(NeedsHuman, match="on more than one branch"):
        saga.deploy(world, approved(world))
    found = postgres.query("SELECT version_num FROM alembic_version ORDER BY 1")
    assert found == "x2\ny3", "nothing was begun"
    assert postgres.running() == "old"
    world.journal.close()
