"""SQLite files: read completely, never created, never changed."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from deployguard.config import parse_url
from deployguard.database import Database, connect
from deployguard.database.sqlite import SqliteDatabase
from deployguard.errors import EnvironmentUnreachable, UsageError


def write(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as link:
        for statement in statements:
            link.execute(statement)


def database(folder: Path, url: str = "sqlite+aiosqlite:///app.db") -> Database:
    return connect(parse_url(url, "the test"), directory=folder)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    write(
        path,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('b2'), ('a1')",
        'CREATE TABLE "odd ""name" (id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT)',
        """INSERT INTO "odd ""name" (note) VALUES ('x'), (NULL), ('y')""",
        "CREATE VIEW v AS SELECT 1",
        "CREATE INDEX i ON alembic_version (version_num)",
    )
    return path


def test_a_missing_file_is_an_empty_database_and_reading_does_not_create_it(tmp_path: Path) -> None:
    with database(tmp_path) as fresh:
        assert fresh.current_revisions() == ()
        assert fresh.facts().tables == ()
        assert fresh.row_counts() == {}
        assert fresh.count("bookings") is None
        assert fresh.size() == 0
        assert fresh.catalogue() == {"format": 1, "dialect": "sqlite", "sql": []}
        assert fresh.check("SELECT 1")[0] is False
        assert fresh.writes_since(fresh.writes_mark()) == 0
    assert list(tmp_path.iterdir()) == []


def test_revisions_and_rows_are_exact(tmp_path: Path, app: Path) -> None:
    with database(tmp_path) as found:
        assert found.current_revisions() == ("a1", "b2")
        assert found.current_revisions("other_version") == ()
        assert found.row_counts() == {"alembic_version": 2, 'odd "name': 3}
        facts = found.facts()
    assert facts.tables is not None
    assert [(t.table, t.rows, t.exact) for t in facts.tables] == [
        ("alembic_version", 2, True),
        ('odd "name', 3, True),
    ]
    assert all(table.bytes > 0 for table in facts.tables)


def test_counting_a_column_that_is_not_there_does_not_count_every_row(
    tmp_path: Path, app: Path
) -> None:
    found = database(tmp_path)
    assert found.count('odd "name', "note") == 2
    assert found.count('odd "name') == 3
    assert found.count('odd "name', "nothing") is None
    assert found.count("nothing") is None


def test_the_catalogue_recreates_the_schema(tmp_path: Path, app: Path) -> None:
    shape = database(tmp_path).catalogue()
    assert isinstance(shape, dict)
    statements = shape["sql"]
    assert isinstance(statements, list)
    with closing(sqlite3.connect(":memory:")) as copy:
        for statement in statements:
            copy.execute(str(statement))
        names = {row[0] for row in copy.execute("SELECT name FROM sqlite_master")}
    assert {"alembic_version", 'odd "name', "v", "i"} <= names


@pytest.mark.parametrize(
    ("statement", "ok"),
    [
        ('SELECT count(*) = 3 FROM "odd ""name"', True),
        ("SELECT 0", False),
        ("SELECT NULL", False),
        ("SELECT 'false'", False),
        ("SELECT 'true'", True),
        ("SELECT 1 WHERE 0", False),
        ("SELECT 1 UNION SELECT 2", False),
        ("SELECT nothing", False),
        ("SELECT 1; SELECT 1", False),
        ("DELETE FROM alembic_version", False),
        ("DROP TABLE alembic_version", False),
    ],
)
def test_verification_needs_one_true_row_and_cannot_write(
    tmp_path: Path, app: Path, statement: str, ok: bool
) -> None:
    found = database(tmp_path)
    before = app.read_bytes()
    said = found.check(statement)
    assert said[0] is ok
    assert said[1]
    assert app.read_bytes() == before


def test_writes_are_bounded_by_the_change_counter(tmp_path: Path, app: Path) -> None:
    found = database(tmp_path)
    mark = found.writes_mark()
    found.row_counts()
    assert found.writes_since(mark) == 0
    write(app, "INSERT INTO alembic_version VALUES ('c')", "DELETE FROM alembic_version")
    assert found.writes_since(mark) == 2
    assert found.writes_since(None) is None


def test_in_wal_mode_a_write_is_never_called_no_write(tmp_path: Path, app: Path) -> None:
    write(app, "PRAGMA journal_mode = WAL")
    found = database(tmp_path)
    with closing(sqlite3.connect(app, isolation_level=None)) as writer:
        mark = found.writes_mark()
        assert found.writes_since(mark) == 0
        writer.execute("INSERT INTO alembic_version VALUES ('c')")
        assert found.writes_since(mark) is None
        assert found.current_revisions() == ("a1", "b2", "c")


def test_a_crashed_writers_half_transaction_is_not_read(tmp_path: Path, app: Path) -> None:
    """A hot journal is rolled back, as SQLite means it to be."""
    with closing(sqlite3.connect(app, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("PRAGMA cache_spill = 1")
        writer.execute("BEGIN EXCLUSIVE")
        writer.execute("CREATE TABLE filler AS SELECT zeroblob(500000) AS x")
        journal = (tmp_path / "app.db-journal").read_bytes()
        half = app.read_bytes()
        writer.execute("ROLLBACK")
    (tmp_path / "crashed.db").write_bytes(half)
    (tmp_path / "crashed.db-journal").write_bytes(journal)
    found = database(tmp_path, "sqlite:///crashed.db")
    assert found.row_counts() == {"alembic_version": 2, 'odd "name': 3}


def test_what_is_no_database_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_bytes(b"encrypted or something else" * 1000)
    with pytest.raises(EnvironmentUnreachable, match="not a SQLite database"):
        database(tmp_path).facts()
    with pytest.raises(UsageError, match="not a database file"):
        database(tmp_path, "sqlite://")


def test_a_locked_file_says_so(tmp_path: Path, app: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deployguard.database.sqlite.WAIT", 0.1)
    with closing(sqlite3.connect(app, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(EnvironmentUnreachable, match="locked by another process"):
            database(tmp_path).row_counts()


def test_other_dialects_are_refused() -> None:
    with pytest.raises(UsageError, match="not mysql"):
        connect(parse_url("mysql+pymysql://u:geheim@h/d", "x"), directory=Path())


def test_what_takes_too_long_to_count_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    link = sqlite3.connect(path)
    link.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE INDEX i ON t (a);")
    link.close()
    (fact,) = SqliteDatabase(path).facts().tables or ()
    assert (fact.rows, fact.exact) == (1, True)
    assert 0 < fact.index_bytes == fact.bytes
    monkeypatch.setattr("deployguard.database.sqlite._PATIENCE", 0.0)
    monkeypatch.setattr("deployguard.database.sqlite._SMALL", 0)
    monkeypatch.setattr("deployguard.database.sqlite._PAGES", "SELECT * FROM no_dbstat")
    (fact,) = SqliteDatabase(path).facts().tables or ()
    assert (fact.rows, fact.exact, fact.bytes) == (-1, False, -1)
    monkeypatch.setattr("deployguard.database.sqlite._SMALL", 8_000_000)
    (fact,) = SqliteDatabase(path).facts().tables or ()
    assert fact.bytes == path.stat().st_size, "no table is larger than its file"


def test_counting_can_be_cut_off_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    link = sqlite3.connect(path)
    link.executescript(
        "CREATE TABLE t (a); WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 300000) INSERT INTO t SELECT i FROM n; CREATE VIEW v AS SELECT 1;"
    )
    link.close()
    slow = "SELECT 't', 0, count(*) FROM t a, t b"  # for ever, compared with our patience
    monkeypatch.setattr("deployguard.database.sqlite._PAGES", slow)
    monkeypatch.setattr("deployguard.database.sqlite._PATIENCE", 0.2)
    monkeypatch.setattr("deployguard.database.sqlite._SMALL", 0)
    began = time.monotonic()
    (fact,) = SqliteDatabase(path).facts().tables or ()
    assert time.monotonic() - began < 5
    assert (fact.rows, fact.bytes) == (-1, -1)


def test_indexes_and_their_uniqueness_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    link = sqlite3.connect(path)
    link.executescript(
        "CREATE TABLE T (a UNIQUE, b); CREATE INDEX Plain ON T (b); CREATE UNIQUE INDEX Only ON T (b)"
    )
    link.close()
    facts = SqliteDatabase(path).facts()
    assert {facts.indexes[name] for name in ("plain", "only")} == {"T"}
    assert facts.unique_indexes == {"only", "sqlite_autoindex_t_1"}
