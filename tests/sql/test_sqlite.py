"""SQLite: what people write is understood, whatever the type of a column is called."""

import sqlite3

import pytest

from deployguard.operations import (
    AddColumn,
    ColumnShape,
    Constraint,
    CreateIndex,
    CreateTable,
    DropColumn,
    Maintain,
    Operation,
    Procedural,
    RewriteTable,
    SetSetting,
    Unrecognised,
    WriteRows,
)
from deployguard.sql import lower

EXACT: dict[str, tuple[Operation, ...]] = {
    "CREATE TABLE t (a TEXT PRIMARY KEY, b ANY NOT NULL, c VARCHAR2 (20)) WITHOUT ROWID, STRICT": (
        CreateTable(
            "t",
            ("a", "b", "c"),
            shapes=(
                ColumnShape("a", "TEXT", nullable=False),
                ColumnShape("b", "ANY", nullable=False),
                ColumnShape("c", "VARCHAR2 (20)"),
            ),
        ),
    ),
    "CREATE TABLE t (a INT, b INT REFERENCES u (id) ON DELETE CASCADE, PRIMARY KEY (a) ON CONFLICT REPLACE,"
    " FOREIGN KEY (a) REFERENCES v, UNIQUE (a, b) ON CONFLICT IGNORE)": (
        CreateTable(
            "t",
            ("a", "b"),
            ("u", "v"),
            shapes=(ColumnShape("a", "INT", nullable=False), ColumnShape("b", "INT")),
        ),
    ),
    "CREATE INDEX main.i ON t (a COLLATE NOCASE, lower(b), c DESC) WHERE d > 0": (
        CreateIndex("t", "i", ("a", "c")),
    ),
    "ALTER TABLE t ADD COLUMN a": (AddColumn("t", "a", ""),),
    "ALTER TABLE t ADD a WEIRD TYPE CHECK (a > 0)": (
        AddColumn("t", "a", "WEIRD TYPE", constraints=(Constraint.CHECK,)),
    ),
    "ALTER TABLE t DROP a": (DropColumn("t", "a"),),
    "PRAGMA writable_schema=ON": (WriteRows("sqlite_master", "update"),),
    "PRAGMA writable_schema = OFF": (SetSetting("writable_schema", "OFF"),),
    "ATTACH DATABASE 'x.db' AS x": (Procedural("attach", "x.db"),),
    "VACUUM main": (RewriteTable("*", "vacuum"),),
    "VACUUM INTO 'copy.db'": (Maintain("vacuum into"),),
    "UPDATE OR REPLACE t SET a = (SELECT 1 WHERE 1) WHERE b = 2": (
        WriteRows("t", "update", where=True),
    ),
    "UPDATE OR REPLACE t SET a = (SELECT 1 WHERE 1)": (WriteRows("t", "update"),),
    "INSERT OR ABORT INTO t (a) VALUES (1)": (WriteRows("t", "insert"),),
    "INSERT OR FAIL INTO t SELECT load_extension('x')": (
        WriteRows("t", "insert", from_query=True),
        Procedural("select function", "load_extension"),
    ),
}  # fmt: skip

# Each runs on a database with the tables t and u, so that it is SQLite indeed.
REAL = """
CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT NOT NULL ON CONFLICT FAIL DEFAULT '', UNIQUE (a) ON CONFLICT REPLACE)
CREATE TABLE n (a INTEGER, b INT GENERATED ALWAYS AS (a * 2) STORED, c AS (a + 1))
CREATE TABLE IF NOT EXISTS main.n (a TEXT COLLATE NOCASE, b BLOB, FOREIGN KEY (a) REFERENCES u (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)
CREATE TABLE n (a CONSTRAINT nn NOT NULL CONSTRAINT uq UNIQUE, b DOUBLE PRECISION DEFAULT (1 + 1), CONSTRAINT ck CHECK (b > 0))
CREATE TEMP TABLE n (a)
CREATE TABLE n AS SELECT * FROM u
CREATE TABLE "my table" ("a b" TEXT, [c d] INT, `e` INT)
CREATE UNIQUE INDEX IF NOT EXISTS i ON t (a COLLATE NOCASE DESC, lower(b)) WHERE a IS NOT NULL
CREATE TEMP VIEW v AS SELECT 1
CREATE VIEW IF NOT EXISTS v (a, b) AS SELECT 1, 2
CREATE TRIGGER IF NOT EXISTS tr BEFORE UPDATE OF a ON t WHEN new.a > 1 BEGIN SELECT RAISE(ABORT, 'x'); END
CREATE TRIGGER tr AFTER INSERT ON t BEGIN UPDATE t SET a = CASE WHEN b THEN 1 ELSE 2 END; INSERT INTO u VALUES (1); END
ALTER TABLE t ADD a2 INTEGER NOT NULL DEFAULT 0
ALTER TABLE t ADD COLUMN c TEXT REFERENCES u (id)
ALTER TABLE t ADD COLUMN c INT AS (b + 1) VIRTUAL
ALTER TABLE t DROP b
ALTER TABLE t RENAME a TO z
ALTER TABLE main.t RENAME TO w
DROP VIEW IF EXISTS v
PRAGMA foreign_keys=OFF
PRAGMA main.journal_mode
PRAGMA foreign_key_check(t)
PRAGMA wal_checkpoint(TRUNCATE)
ANALYZE main.t
REINDEX t
SAVEPOINT a
INSERT OR IGNORE INTO t (a) VALUES (1)
INSERT OR ROLLBACK INTO t (a) VALUES (1)
INSERT INTO t DEFAULT VALUES
UPDATE OR IGNORE t SET a = 1
UPDATE t SET (a, b) = (1, 2)
UPDATE t SET a = u.id FROM u WHERE u.id = t.id
DELETE FROM t WHERE a IN (SELECT id FROM u)
WITH x AS (SELECT 1 AS a) INSERT INTO t (a) SELECT a FROM x
SELECT * FROM pragma_table_info('t')
EXPLAIN DELETE FROM t
EXPLAIN QUERY PLAN SELECT 1
""".strip().splitlines()


@pytest.mark.parametrize(("statement", "operations"), EXACT.items())
def test_statement_becomes_exactly_these_operations(
    statement: str, operations: tuple[Operation, ...]
) -> None:
    assert lower(statement, "sqlite") == ((statement, operations),)


@pytest.mark.parametrize("statement", REAL)
def test_what_sqlite_runs_is_understood(statement: str) -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.executescript(
            "CREATE TABLE u (id INTEGER PRIMARY KEY);"
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INT)"
        )
        connection.execute(statement)
    ((_, operations),) = lower(statement, "sqlite")
    assert operations
    assert not [one for one in operations if isinstance(one, Unrecognised)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE t (a INT FROB(1) NICATE)",
        "CREATE TABLE t (a INT",
        "CREATE INDEX i ON t (a) USING hash",
        "ALTER TABLE t DROP a b",
        "ATTACH DATABASE",
        "INSERT OR EXPLODE INTO t VALUES (1)",
        "VACUUM a b",
    ],
)
def test_what_is_not_known_is_refused(statement: str) -> None:
    ((_, operations),) = lower(statement, "sqlite")
    assert [type(one) for one in operations] == [Unrecognised]
