"""A restore that rests on "nobody has written" is given up at its last moment when somebody has."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, BackupStore, Site, store
from deployguard.backups.base import WrittenMeanwhile
from deployguard.config import BackupConfig, parse_url
from deployguard.database import connect
from deployguard.model import Json
from tests.support.postgres import Server

SCHEMA = (
    "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)",
    "INSERT INTO alembic_version VALUES ('b014')",
    "CREATE TABLE bookings (id int PRIMARY KEY, note text)",
    "INSERT INTO bookings VALUES (1, 'a'), (2, 'b')",
)


class Place:
    """A database with a backup of it; ``write`` is somebody else's committed transaction."""

    def __init__(self, url: str, folder: Path, pg_bin: str = "") -> None:
        self.url, self.folder = url, folder
        self.path = folder / "app.db"
        self.write(*SCHEMA)
        self.site = Site(
            url=parse_url(url, "x"),
            directory=folder,
            project="bookings",
            environment="production",
            config=BackupConfig(directory="backups", pg_bin=pg_bin),
        )
        self.store: BackupStore = store(self.site)
        self.record = self.store.take(BackupRequest())

    def _do(self, statements: tuple[str, ...]) -> list[tuple[object, ...]]:
        if self.url.startswith("sqlite"):
            with closing(sqlite3.connect(self.path)) as file, file:
                return [row for s in statements for row in file.execute(s).fetchall()]
        with psycopg.connect(self.url) as link:
            cursors = [link.execute(s.encode()) for s in statements]
            return [row for cursor in cursors if cursor.description for row in cursor.fetchall()]

    def write(self, *statements: str) -> None:
        self._do(statements)

    def bookings(self) -> object:
        return self._do(("SELECT count(*) FROM bookings",))[0][0]

    def still(self) -> Json:
        with connect(self.site.url, directory=self.folder) as database:
            return database.stillness()

    def restore(self, still: Json, *meanwhile: str, at: str = "putting") -> None:
        """Restore; ``meanwhile`` is committed when the restore says ``at``."""

        def say(line: str) -> None:
            if line.startswith(at):
                self.write(*meanwhile)

        self.store.restore(self.record, kept_as="kept", on_progress=say, still=still)


@pytest.fixture(params=["sqlite", "sqlite in WAL mode", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param != "postgresql":
        made = Place(f"sqlite:///{tmp_path / 'app.db'}", tmp_path)
        if "WAL" in request.param:
            made.write("PRAGMA journal_mode = WAL")
        yield made
        return
    server: Server = request.getfixturevalue("postgres_server")
    url: str = request.getfixturevalue("postgres_database")
    yield Place(url, tmp_path, str(server.bin))
    server.drop_database("kept")


WRITES = {
    "insert": "INSERT INTO bookings VALUES (3, 'paid for meanwhile')",
    "update": "UPDATE bookings SET note = 'changed'",
    "delete": "DELETE FROM bookings WHERE id = 1",
}


@pytest.mark.parametrize("write", WRITES.values(), ids=list(WRITES))
def test_a_row_written_while_the_restore_is_prepared_is_not_lost(place: Place, write: str) -> None:
    still = place.still()
    with pytest.raises(WrittenMeanwhile) as caught:
        place.restore(still, write)
    assert "live database was not touched" in caught.value.state
    count = {"insert": 3, "delete": 1}
    assert place.bookings() == next((n for k, n in count.items() if WRITES[k] == write), 2)
    place.write("INSERT INTO bookings VALUES (9, 'everybody is let in again')")
    assert not place.store.restored(place.record, kept_as="kept")


def test_an_undisturbed_database_is_restored(place: Place) -> None:
    place.restore(place.still(), "SELECT 1")
    assert place.bookings() == 2
    assert place.store.restored(place.record, kept_as="kept")


def test_what_cannot_be_proven_is_not_restored(place: Place) -> None:
    with pytest.raises(WrittenMeanwhile, match="unknown number"):
        place.restore({})
    assert place.bookings() == 2


@pytest.mark.parametrize(
    "change",
    ["TRUNCATE bookings", "CREATE TABLE more (id int)", "SELECT lo_from_bytea(0, 'x')"],
)
def test_other_changes_than_rows_count_as_well(
    postgres_server: Server, postgres_database: str, tmp_path: Path, change: str
) -> None:
    place = Place(postgres_database, tmp_path, str(postgres_server.bin))
    still = place.still()
    with pytest.raises(WrittenMeanwhile):
        place.restore(still, change)
    assert "kept" not in postgres_server.sql("SELECT datname FROM pg_database").split()


def test_statistics_that_are_collected_meanwhile_do_not_count(
    postgres_server: Server, postgres_database: str, tmp_path: Path
) -> None:
    place = Place(postgres_database, tmp_path, str(postgres_server.bin))
    place.restore(place.still(), "ANALYZE")
    assert place.store.restored(place.record, kept_as="kept")
    postgres_server.drop_database("kept")


def test_a_write_of_a_session_that_stays_until_it_is_ended_counts(
    postgres_server: Server, postgres_database: str, tmp_path: Path
) -> None:
    """Its counts are only handed in when it ends, which is inside of the swap."""
    place = Place(postgres_database, tmp_path, str(postgres_server.bin))
    still = place.still()
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute("BEGIN")
        link.execute("INSERT INTO bookings VALUES (3, 'c')")

        def say(line: str) -> None:
            if line.startswith("putting"):
                link.execute("COMMIT")

        with pytest.raises(WrittenMeanwhile):
            place.store.restore(place.record, kept_as="kept", on_progress=say, still=still)
    assert place.bookings() == 3
