"""A SQLite file that cannot be read: one clear error that says which of the reasons it is, and what to type."""

import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from deployguard.backups import BackupRequest, Site, store
from deployguard.backups.sqlite_check import immutable, integrity
from deployguard.config import BackupConfig, parse_url
from deployguard.database.sqlite import SqliteDatabase
from deployguard.errors import BackupFailed, EnvironmentUnreachable

# Made by SQLCipher 4: `PRAGMA key = 'k'; CREATE TABLE t (a); INSERT INTO t VALUES (1);`
CIPHER = Path(__file__).parent / "files" / "sqlcipher.bin"
HOLD = """
import sqlite3, sys
link = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    link.execute(statement).fetchall()
print("ready", flush=True)
sys.stdin.readline()
"""
FORMATS = ["directory", "plain"]


@pytest.fixture
def live(tmp_path: Path) -> Path:
    path = tmp_path / "my app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.executescript(
            "CREATE TABLE bookings (id INTEGER PRIMARY KEY, note TEXT);"
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
            " INSERT INTO bookings (note) SELECT hex(randomblob(40)) FROM n"
        )
    return path


def site_of(live: Path, form: str = "directory") -> Site:
    return Site(
        url=parse_url(f"sqlite:///{live.name}", "x"),
        directory=live.parent,
        project="bookings",
        environment="development",
        config=BackupConfig(tries=1, format=form),  # type: ignore[arg-type]
        sleep=lambda _: None,
    )


def refused(site: Site) -> BackupFailed:
    """The error of a backup that is tried; nothing of it is left."""
    with pytest.raises(BackupFailed) as caught:
        store(site).take(BackupRequest())
    assert {path.name for path in site.folder.iterdir()} == {".busy", ".gitignore"}
    assert caught.value.exit_code == 20
    assert caught.value.state == "Nothing was migrated, and no backup was recorded."
    return caught.value


@contextmanager
def held(live: Path, *statements: str) -> Iterator[None]:
    """Another process that has the file, and lets it go afterwards."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(live), *statements],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        yield
        other.communicate("\n")


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_sqlcipher_encrypted(live: Path, form: str) -> None:
    live.write_bytes(CIPHER.read_bytes())
    error = refused(site_of(live, form))
    assert "is not a SQLite database, or it is encrypted (SQLCipher)" in error.message
    assert error.next_commands == (f"file '{live}'",)
    with SqliteDatabase(live) as database, pytest.raises(EnvironmentUnreachable, match="SQLCipher"):
        database.row_counts()


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_that_another_process_locks(
    live: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployguard.database.sqlite.WAIT", 0.1)
    with held(live, "BEGIN EXCLUSIVE"):
        error = refused(site_of(live, form))
    assert "is locked by another process" in error.message
    assert error.next_commands == (f"fuser -v '{live}'",)
    assert store(site_of(live, form)).take(BackupRequest()).counts == {"bookings": 3000}


@pytest.mark.parametrize("form", FORMATS)
def test_readers_and_writers_of_another_process_are_in_nobodys_way_in_wal_mode(
    live: Path, form: str
) -> None:
    backups = store(site_of(live, form))
    writing = ("PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE", "DELETE FROM bookings")
    with held(live, *writing):
        made = backups.take(BackupRequest())
    assert made.counts == {"bookings": 3000}
    assert backups.verify(made).ok


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("damage", ["page", "cut", "text"])
def test_a_file_that_is_damaged(live: Path, form: str, damage: str) -> None:
    content = bytearray(live.read_bytes())
    if damage == "page":
        middle = len(content) // 2 // 4096 * 4096
        content[middle : middle + 16] = b"\xff" * 16
    elif damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[:] = b"these are only words\n" * 1000
    live.write_bytes(content)
    error = refused(site_of(live, form))
    if damage == "text":
        assert "is not a SQLite database" in error.message
    else:
        assert f"The database file {live} is damaged" in error.message
        assert error.next_commands == (
            f"sqlite3 '{live}' 'PRAGMA integrity_check'",
            "deployguard backup list",
        )


def test_whatever_is_flipped_in_a_live_file_no_bad_backup_of_it_counts(live: Path) -> None:
    """A backup of a damaged file is refused, or found by reading it back, or SQLite reads all of it without fault."""
    whole, chance = live.read_bytes(), random.Random(23)
    for form in FORMATS:
        for _ in range(15):
            broken = bytearray(whole)
            page = chance.randrange(len(whole) // 4096) * 4096
            at = page + chance.randrange(16)  # a page's header, where it hurts
            broken[at] ^= 1 << chance.randrange(8)
            live.write_bytes(broken)
            with closing(immutable(live)) as link:
                sound = looked(link)
            backups = store(site_of(live, form))
            try:
                good = backups.verify(backups.take(BackupRequest())).ok
            except BackupFailed:
                good = False
            assert sound or not good, at


def looked(link: sqlite3.Connection) -> bool:
    try:
        return not integrity(link)
    except sqlite3.Error:
        return False


def test_an_integrity_check_that_says_nothing_is_no_good_news() -> None:
    class Silent(sqlite3.Connection):
        def execute(self, *_: object) -> object:  # type: ignore[override]
            return iter(())

    with closing(sqlite3.connect(":memory:", factory=Silent)) as link:
        assert integrity(link) == "it said nothing"
