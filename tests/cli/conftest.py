"""A bookings project with rows in SQLite, as the commands find it: migrated to b013, code further on."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from deployguard.cli.main import run
from tests.conftest import FIXTURES, CopyBookings

CONFIG = """
[project]
name = "bookings"
[backup]
tries = 1
[environments.production]
database_url_env = "DATABASE_URL"
"""
SEED = """
INSERT INTO venues (name, city) VALUES ('Old Mill', 'Ghent');
INSERT INTO rooms (name, capacity, price_cents, venue_id) VALUES ('Attic', 2, 9000, 1);
INSERT INTO guests (full_name, email, fax) VALUES ('Ada', 'ada@example.com', '+32');
INSERT INTO import_batches (source, row_count) VALUES ('old', 7), ('old', 8);
"""


@dataclass
class Answer:
    """What one command line did."""

    code: int
    out: str
    err: str


@dataclass
class Bookings:
    """The project in the current folder, and its database."""

    folder: Path
    database: Path
    capsys: pytest.CaptureFixture[str]

    def deployguard(self, *arguments: str) -> Answer:
        self.capsys.readouterr()
        code = run(arguments)
        captured = self.capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        connection = sqlite3.connect(self.database)
        try:
            with connection:
                return connection.execute(statement).fetchall()
        finally:
            connection.close()

    @property
    def revision(self) -> str:
        return str(self.sql("SELECT version_num FROM alembic_version")[0][0])

    def configure(self, text: str) -> None:
        (self.folder / "deployguard.toml").write_text(CONFIG + text)


@pytest.fixture(scope="session")
def seeded_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bookings database at b013 with rows, made once."""
    path = tmp_path_factory.mktemp("seeded") / "bookings.db"
    environ = {**os.environ, "DATABASE_URL": f"sqlite+aiosqlite:///{path}"}
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "b013"],
        cwd=FIXTURES / "bookings",
        env=environ,
        check=True,
        capture_output=True,
    )
    connection = sqlite3.connect(path)
    connection.executescript(SEED)
    connection.close()
    return path


MakeBookings = Callable[[str], Bookings]


@pytest.fixture
def make_bookings(
    copy_bookings: CopyBookings,
    seeded_database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> MakeBookings:
    """`make_bookings("b014")`: the release with that head, checked out where the database is at b013."""

    def make(head: str) -> Bookings:
        folder = copy_bookings("project", head=head)
        database = tmp_path / "bookings.db"
        shutil.copy(seeded_database, database)
        monkeypatch.chdir(folder)
        monkeypatch.setenv("DATABASE_URL", f"sqlite+aiosqlite:///{database}")
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        monkeypatch.setenv("PATH", path)
        for name in ("GITHUB_ACTIONS", "GITHUB_ACTOR", "NO_COLOR", "FORCE_COLOR"):
            monkeypatch.delenv(name, raising=False)
        bookings = Bookings(folder, database, capsys)
        bookings.configure("")
        return bookings

    return make
