"""A SQLite file becomes SQL and a file again, and nothing of it is lost."""

import gzip
import random
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import (
    BackupRequest,
    BackupStore,
    Site,
    sealed,
    sqlite_dump,
    store,
    streams,
)
from deployguard.backups.sqlite import DATA
from deployguard.config import BackupConfig, parse_url
from deployguard.database.sqlite import count_all
from deployguard.errors import BackupFailed
from deployguard.model import BackupRecord

ODD = 'odd "n;\n--ame'
SCHEMA = """
CREATE TABLE alembic_version (version_num TEXT);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE "odd ""n;
--ame" (a TEXT, "b;c" BLOB, rowid TEXT, x AS (length(a)) STORED);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, v);
INSERT INTO counted (v) VALUES (1), (2), (3);
DELETE FROM counted WHERE id = 3;
CREATE TABLE hidden (v);
INSERT INTO hidden (rowid, v) VALUES (5, 'five'), (-9, 'minus nine');
CREATE TABLE keyed (k TEXT PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO keyed VALUES ('k', x'00ff');
CREATE VIRTUAL TABLE found USING fts5(body);
INSERT INTO found VALUES ('hello world');
CREATE VIRTUAL TABLE place USING rtree(id, x0, x1);
INSERT INTO place VALUES (1, 0.5, 2.5);
CREATE TABLE log (t);
CREATE TRIGGER noted AFTER INSERT ON counted BEGIN INSERT INTO log VALUES ('a;
b'); SELECT 1; END;
CREATE VIEW seen AS SELECT * FROM counted -- with a comment
;
CREATE INDEX some ON counted (v) WHERE v > 1;
CREATE INDEX lowered ON counted (lower(v));
CREATE TABLE numbers (n);
"""
TEXTS = ["plain", "nul\0in", "qu'ote", "line\nbreak;\n", "cr\r", "", "ünï\U0001f600", "x" * 700_000]
NUMBERS = [float("inf"), -float("inf"), 0.1, 1e300, 5e-324, 3.0, 2**63 - 1, -(2**63), None]


def fill(path: Path, encoding: str = "UTF-8", journal: str = "delete") -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        link.executescript(f"PRAGMA encoding = '{encoding}'; PRAGMA page_size = 8192;")
        link.execute(f"PRAGMA journal_mode = {journal}")
        link.executescript(SCHEMA + "PRAGMA user_version = 7; PRAGMA application_id = 99;")
        name = ODD.replace('"', '""')
        for text in TEXTS:
            row = (text, text.encode(), text)
            link.execute(f'INSERT INTO "{name}" (a, "b;c", rowid) VALUES (?, ?, ?)', row)
        link.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in NUMBERS])
        if encoding == "UTF-8":
            link.execute("INSERT INTO numbers VALUES (CAST(x'ff41' AS TEXT))")
        link.execute("ANALYZE")


def contents(path: Path) -> dict[str, object]:
    """All there is: schema, settings, and every row with its hidden number."""
    with closing(sqlite3.connect(path)) as link:
        link.text_factory = bytes
        assert link.execute("PRAGMA integrity_check").fetchall() == [(b"ok",)]
        ask = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY 1, 2"
        schema = link.execute(ask).fetchall()
        seen: dict[str, object] = {"schema": schema}
        for pragma in ("user_version", "application_id", "page_size", "encoding", "journal_mode"):
            seen[pragma] = link.execute(f"PRAGMA {pragma}").fetchone()
        for kind, name, *_ in schema:
            if kind == b"table":
                quoted = name.decode().replace('"', '""')
                seen[quoted] = link.execute(f'SELECT * FROM "{quoted}"').fetchall()
        seen["hidden rows"] = link.execute("SELECT rowid, v FROM hidden").fetchall()
        return seen


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le", "UTF-16be"])
def test_all_of_a_file_comes_back(tmp_path: Path, encoding: str, journal: str) -> None:
    first, dump, second = tmp_path / "a", tmp_path / "d.sql.gz", tmp_path / "b"
    fill(first, encoding, journal)
    sqlite_dump.write(first, dump)
    sqlite_dump.load(dump, second)
    assert contents(first) == contents(second)
    with closing(sqlite3.connect(second)) as link:
        assert link.execute("SELECT * FROM found WHERE found MATCH 'hello'").fetchall()
    # and nobody needs deployguard for it
    third = tmp_path / "c"
    with dump.open("rb") as packed:
        sql = gzip.decompress(packed.read())
    subprocess.run(["sqlite3", third], input=sql, check=True)
    assert contents(third) == contents(first)


def test_sql_that_reaches_for_another_file_is_refused(tmp_path: Path) -> None:
    victim, dump = tmp_path / "victim", tmp_path / "d.sql"
    dump.write_bytes(f"ATTACH '{victim}' AS v;\n".encode() + sqlite_dump.COMPLETE + b"\n")
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        sqlite_dump.load(dump, tmp_path / "b")
    assert not victim.exists()


def test_a_dump_without_its_end_is_not_taken_for_a_short_one(tmp_path: Path) -> None:
    fill(tmp_path / "a")
    dump = tmp_path / "d.sql"
    sqlite_dump.write(tmp_path / "a", dump)
    whole = dump.read_bytes()
    for cut in (len(whole) - 2, whole.index(b"INSERT"), whole.rindex(b"\n", 0, -2) + 1, 0):
        dump.write_bytes(whole[:cut])
        with pytest.raises((streams.Broken, sqlite3.Error)):
            sqlite_dump.load(dump, tmp_path / f"cut-{cut}")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "live").mkdir()
    fill(tmp_path / "live" / "app.db")
    return Site(
        url=parse_url("sqlite:///live/app.db", "x"),
        directory=tmp_path,
        project="bookings",
        environment="development",
        config=BackupConfig(tries=1, format="plain"),
    )


@pytest.fixture
def backups(site: Site) -> BackupStore:
    return store(site)


@pytest.fixture
def taken(backups: BackupStore) -> BackupRecord:
    made = backups.take(BackupRequest())
    assert backups.verify(made).ok
    return made


@pytest.mark.parametrize(
    ("compression", "name", "method"),
    [
        ("auto", "database.sql.gz", "gzip"),
        ("gzip:9", "database.sql.gz", "gzip:9"),
        ("none", "database.sql", "none"),
    ],
)
def test_it_is_dumped_as_configured_and_read_back(
    site: Site, compression: str, name: str, method: str
) -> None:
    config = replace(site.config, compression=compression)
    backups = store(replace(site, config=config))
    made = backups.take(BackupRequest())
    assert (made.layout, made.compression, made.format) == ("plain", method, 3)
    assert set(made.files) == {name, "evidence.json"}
    with closing(sqlite3.connect(site.directory / "live" / "app.db")) as link:
        assert made.counts == count_all(link)
    found = backups.verify(made)
    assert found.ok, found.evidence
    assert {path.name for path in (site.folder / made.id).iterdir()} == {
        *made.files,
        "manifest.json",
        "verification.json",
    }
    assert not [path for path in site.folder.iterdir() if path.name.startswith(sealed.OPENED)]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_a_restore_brings_everything_back_and_keeps_the_failed_file(
    site: Site, backups: BackupStore, journal: str
) -> None:
    live = site.directory / "live" / "app.db"
    with closing(sqlite3.connect(live, isolation_level=None)) as link:
        link.execute(f"PRAGMA journal_mode = {journal}")
    before = contents(live)
    made = backups.take(BackupRequest())
    with closing(sqlite3.connect(live, isolation_level=None)) as link:
        link.executescript("DROP TABLE hidden; DELETE FROM counted; DROP TABLE found")
    done = backups.restore(made, kept_as="kept.db", on_progress=lambda _: None)
    assert dict(done.counts) == dict(made.counts)
    assert contents(live) == before
    assert (live.parent / "kept.db").exists()
    assert not [path for path in site.folder.iterdir() if path.name.startswith(sealed.OPENED)]


def test_a_drill_makes_a_file_of_it(backups: BackupStore, taken: BackupRecord) -> None:
    found = backups.drill(taken)
    assert found.ok, found.evidence


def test_truncation_at_every_5_percent_is_caught(
    backups: BackupStore, site: Site, taken: BackupRecord
) -> None:
    """Also when the manifest was made to fit: the dump itself has no end then."""
    path = site.folder / taken.id / "database.sql.gz"
    whole = path.read_bytes()
    for percent in range(0, 100, 5):
        path.write_bytes(whole[: len(whole) * percent // 100])
        assert not backups.verify(taken).ok, percent
        assert not backups.verify(forged(taken, path)).ok, percent
    path.write_bytes(whole)
    assert backups.verify(taken).ok


def test_any_flipped_bit_is_caught(backups: BackupStore, site: Site, taken: BackupRecord) -> None:
    chance = random.Random(13)
    for name in taken.files:
        path = site.folder / taken.id / name
        whole = path.read_bytes()
        for _ in range(20):
            broken = bytearray(whole)
            broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(broken)
            assert not backups.verify(taken).ok
        path.write_bytes(whole)
    assert backups.verify(taken).ok


def test_a_dump_that_lost_rows_is_caught_and_never_restored(
    backups: BackupStore, site: Site, taken: BackupRecord
) -> None:
    path = site.folder / taken.id / "database.sql.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    row = next(i for i, line in enumerate(lines) if line.startswith(b'INSERT INTO "counted"'))
    path.write_bytes(gzip.compress(b"".join([*lines[:row], *lines[row + 1 :]])))
    found = backups.verify(forged(taken, path))
    assert not found.ok
    assert "counted" in found.evidence[0]
    before = contents(site.directory / "live" / "app.db")
    with pytest.raises(BackupFailed, match="damaged"):
        backups.restore(forged(taken, path), kept_as="never", on_progress=lambda _: None)
    assert contents(site.directory / "live" / "app.db") == before


def forged(made: BackupRecord, path: Path) -> BackupRecord:
    return replace(
        made, files={**made.files, path.name: (path.stat().st_size, sealed.digest(path))}
    )


def test_a_corrupt_index_is_found_before_anything_is_sealed(
    site: Site, backups: BackupStore
) -> None:
    live = site.directory / "live" / "app.db"
    with closing(sqlite3.connect(live, isolation_level=None)) as link:
        link.execute("INSERT INTO hidden VALUES ('a text that is in the index as well')")
        link.execute("CREATE INDEX i ON hidden (v)")
    content = live.read_bytes()
    at = content.rindex(b"a text that is in the index")
    live.write_bytes(content[:at] + b"X" + content[at + 1 :])
    with pytest.raises(BackupFailed, match="integrity_check") as caught:
        backups.take(BackupRequest())
    assert "PRAGMA integrity_check" in caught.value.next_commands[0]
    assert not list(site.folder.glob("*/manifest.json"))


def test_what_a_killed_verification_left_is_swept(
    backups: BackupStore, site: Site, taken: BackupRecord
) -> None:
    left = site.folder / f"{sealed.OPENED}{taken.id}-0123"
    left.mkdir(mode=0o700)
    (left / DATA).write_bytes(b"all the rows")
    assert backups.verify(taken).ok
    assert not left.exists()
