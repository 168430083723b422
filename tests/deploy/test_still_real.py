"""On real databases: nothing but what was planned is run, and no row that was written meanwhile is lost."""

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployguard.backups import BackupStore
from deployguard.deploy import saga
from deployguard.deploy.world import World
from deployguard.errors import NeedsHuman, Refused
from deployguard.model import BackupRecord, Json, Restored
from tests.deploy import test_real_postgres, test_real_sqlite
from tests.deploy.real import DESTROY as DESTROY_ALL
from tests.deploy.real import EXPAND, Small, small
from tests.deploy.test_real_postgres import DESTROY, Postgres

server_project = test_real_postgres.project


@pytest.fixture
def file_project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


def backing_up(world: World, change: Callable[[], object]) -> World:
    """The world in which ``change`` happens while the backup is taken."""

    def take(reason: str, deploy: str) -> BackupRecord:
        change()
        return world.take_backup(reason, deploy)

    return dataclasses.replace(world, take_backup=take)


def test_a_revision_file_that_changes_after_the_approval_is_not_run(file_project: Small) -> None:
    file_project.revision("r2", *DESTROY_ALL)
    file = file_project.folder / "migrations" / "versions" / "r2.py"
    world = test_real_sqlite.world_of(file_project)

    def edit() -> None:
        more = 'op.drop_table("rooms"); op.execute("CREATE TABLE unseen (x int)")'
        file.write_text(file.read_text().replace('op.drop_table("rooms")', more))

    with pytest.raises(Refused, match="revision r2 has changed"):
        saga.deploy(backing_up(world, edit), test_real_sqlite.approved(world))
    assert (file_project.current(), file_project.running()) == ("r1", "old")
    assert file_project.sql("SELECT count(*) FROM rooms") == [(3,)]
    world.journal.close()


def test_a_revision_that_appears_after_the_approval_is_not_run(file_project: Small) -> None:
    file_project.revision("r2", *EXPAND)
    world = test_real_sqlite.world_of(file_project)
    options = dataclasses.replace(test_real_sqlite.approved(world), backup=True)

    def pull() -> None:
        file_project.revision("r3", 'op.drop_column("rooms", "size")', "pass")

    with pytest.raises(Refused, match="revision r3 is new"):
        saga.deploy(backing_up(world, pull), options)
    assert file_project.current() == "r1"
    world.journal.close()


def test_a_database_that_is_made_while_the_deploy_waits_is_not_migrated_without_a_backup(
    file_project: Small,
) -> None:
    file_project.revision("r2", *EXPAND)
    mounted = file_project.file.read_bytes()
    file_project.file.unlink()
    world = test_real_sqlite.world_of(file_project)

    class Slow:
        """A target that takes its time, in which the volume with the database is mounted."""

        def __getattr__(self, name: str) -> object:
            return getattr(world.target, name)

        def current(self) -> object:
            if not file_project.file.exists():
                file_project.file.write_bytes(mounted)
            return world.target.current()

    options = dataclasses.replace(test_real_sqlite.approved(world), backup=True)
    with pytest.raises(Refused):
        saga.deploy(dataclasses.replace(world, target=Slow()), options)  # type: ignore[arg-type]
    assert file_project.current() == "r1"
    world.journal.close()


class WrittenTo:
    """The real store; a row is committed when the restore is about to swap."""

    def __init__(self, real: BackupStore, write: Callable[[], object]) -> None:
        self._real, self._write = real, write

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def restore(
        self,
        record: BackupRecord,
        *,
        kept_as: str,
        on_progress: Callable[[str], None],
        still: Json = None,
    ) -> Restored:
        def say(line: str) -> None:
            if line.startswith("putting"):
                self._write()
            on_progress(line)

        return self._real.restore(record, kept_as=kept_as, on_progress=say, still=still)


def test_a_row_paid_for_while_the_backup_is_restored_is_not_lost(server_project: Postgres) -> None:
    server_project.revision("r2", *DESTROY)
    server_project.sick.add("new")
    world = server_project.world(stoppable=True)

    def write() -> None:
        server_project.query("INSERT INTO rooms (name) VALUES ('paid for meanwhile')")

    world = dataclasses.replace(world, backups=WrittenTo(world.backups, write))  # type: ignore[arg-type]
    with pytest.raises(NeedsHuman, match=r"Up to 1 row|unknown number of row") as caught:
        saga.deploy(world, test_real_postgres.approved(world))
    assert "was not touched" in caught.value.state
    assert (server_project.current(), server_project.rooms()) == ("r2", "4")
    assert server_project.running() == "new"  # it was started again, and everybody may connect
    world.journal.close()


def test_a_deploy_whose_lock_is_lost_changes_nothing(server_project: Postgres) -> None:
    server_project.revision("r2", *EXPAND)
    world = server_project.world()
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name LIKE 'deployguard-lock%'"
    )
    losing = backing_up(world, lambda: server_project.query(end, "postgres"))
    options = dataclasses.replace(test_real_postgres.approved(world), backup=True)
    with pytest.raises(Refused, match="lock in the database server was lost"):
        saga.deploy(losing, options)
    assert (server_project.current(), server_project.running()) == ("r1", "old")
    world.journal.close()
