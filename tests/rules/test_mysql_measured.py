"""What the book claims of MariaDB's online DDL, asked of a real server: it accepts ALGORITHM= and LOCK= or refuses."""

from collections.abc import Iterator

import pytest

from deployguard.model import Facts, Lock, Risk
from deployguard.rules.context import Context
from deployguard.rules.locks import locks
from deployguard.rules.mysql_locks import METADATA, REWRITE, SHARED, UPGRADABLE
from deployguard.sql import lower
from tests.rules.test_never_silent import level, mutated
from tests.support import mariadb
from tests.support.required import missing

NO_SERVER = "no MariaDB server"
MUTANTS = 23
SETUP = (
    "DROP DATABASE IF EXISTS d",
    "CREATE DATABASE d",
    "USE d",
    "CREATE TABLE u (id INT PRIMARY KEY)",
    "INSERT INTO u VALUES (1)",
    (
        "CREATE TABLE t (id INT NOT NULL, a INT, b VARCHAR(20), k INT NOT NULL, u INT, e ENUM('x', 'y'),"
        " PRIMARY KEY (id), KEY ik (k), CONSTRAINT ck CHECK (k < 1000)) DEFAULT CHARSET=utf8mb4"
    ),
    "INSERT INTO t VALUES (1, 1, 'x', 1, 1, 'x'), (2, 2, 'x', 2, 1, 'y')",
)
OLD_TYPES = {("t", "a"): "INT", ("t", "b"): "VARCHAR(20)", ("t", "k"): "INT", ("t", "e"): "ENUM('x', 'y')"}  # fmt: skip
# At once; in place, with writers beside it; by a copy that keeps writers out.
INSTANT = """
ALTER TABLE t ADD COLUMN c INT
ALTER TABLE t ADD COLUMN c INT NOT NULL DEFAULT 5
ALTER TABLE t ADD COLUMN c INT AFTER id
ALTER TABLE t ADD COLUMN c TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP
ALTER TABLE t ADD COLUMN c INT AS (id + 1) VIRTUAL
ALTER TABLE t DROP COLUMN a
ALTER TABLE t RENAME COLUMN a TO z
ALTER TABLE t MODIFY b VARCHAR(300)
ALTER TABLE t MODIFY e ENUM('x', 'y', 'z')
ALTER TABLE t ALTER COLUMN a SET DEFAULT 5
ALTER TABLE t ALTER COLUMN a DROP DEFAULT
ALTER TABLE t RENAME INDEX ik TO il
ALTER TABLE t DROP CONSTRAINT ck
ALTER TABLE t DEFAULT CHARACTER SET latin1
ALTER TABLE t AUTO_INCREMENT=100
ALTER TABLE t COMMENT='x'
""".strip().splitlines()
IN_PLACE = """
ALTER TABLE t ADD INDEX ix (a)
ALTER TABLE t ADD UNIQUE ux (a)
ALTER TABLE t ADD COLUMN c INT UNIQUE
ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (k)
ALTER TABLE t FORCE
ALTER TABLE t ROW_FORMAT=COMPRESSED
""".strip().splitlines()
COPY = """
ALTER TABLE t ADD COLUMN c CHAR(36) NOT NULL DEFAULT (UUID())
ALTER TABLE t ADD COLUMN c INT AS (id + 1) STORED
ALTER TABLE t MODIFY a BIGINT
ALTER TABLE t MODIFY b VARCHAR(10)
ALTER TABLE t MODIFY b TEXT
ALTER TABLE t MODIFY e ENUM('z', 'x', 'y')
ALTER TABLE t DROP PRIMARY KEY
ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (u) REFERENCES u (id)
ALTER TABLE t ADD CONSTRAINT c2 CHECK (a > 0)
ALTER TABLE t CONVERT TO CHARACTER SET latin1
""".strip().splitlines()


@pytest.fixture(scope="module")
def server() -> Iterator[mariadb.Server]:
    reason = mariadb.missing()
    if reason is not None:
        missing(f"{NO_SERVER}: {reason}")
    with mariadb.running() as one:
        yield one


def refused(server: mariadb.Server, statement: str, demand: str = "") -> bool:
    """Whether the server refuses the statement with the demand; a mistake in the test is an error."""
    problem = server.run(*SETUP, statement + (f", {demand}" if demand else ""))
    assert "ERROR 1064" not in problem, problem
    assert not problem or "is not supported" in problem, problem
    return bool(problem)


def claimed(statement: str) -> Lock:
    """The heaviest lock that the book claims on the table itself."""
    ((_, operations),) = lower(statement, "mariadb", old_types=OLD_TYPES)
    context = Context.start(Facts("mariadb"))
    found = [one for each in operations for one in locks(each, context) if one.relation == "t"]
    order = (METADATA, UPGRADABLE, SHARED)
    return max(found, key=lambda one: order.index(one.mode))


@pytest.mark.parametrize("statement", INSTANT)
def test_what_is_claimed_to_be_brief_is_instant(server: mariadb.Server, statement: str) -> None:
    assert not refused(server, statement)
    assert not refused(server, statement, "ALGORITHM=INSTANT")
    claim = claimed(statement)
    assert claim.mode in {METADATA, UPGRADABLE}
    if "MODIFY" not in statement:  # MODIFY states NULL anew, which may be more than that
        assert (claim.mode, claim.work) == (METADATA, "")


@pytest.mark.parametrize("statement", IN_PLACE)
def test_what_is_claimed_to_let_writers_in_does(server: mariadb.Server, statement: str) -> None:
    assert not refused(server, statement, "ALGORITHM=INPLACE, LOCK=NONE")
    assert refused(server, statement, "ALGORITHM=INSTANT")
    if "DROP PRIMARY" not in statement:  # two actions: dropping alone is a copy
        assert claimed(statement).mode == UPGRADABLE
        assert claimed(statement).work


@pytest.mark.parametrize("statement", COPY)
def test_what_is_claimed_to_copy_keeps_writers_out(server: mariadb.Server, statement: str) -> None:
    assert not refused(server, statement)
    assert refused(server, statement, "ALGORITHM=INPLACE")
    assert refused(server, statement, "LOCK=NONE")
    assert not refused(server, statement, "LOCK=SHARED")
    assert (claimed(statement).mode, claimed(statement).work) == (SHARED, REWRITE)


def test_a_fulltext_index_keeps_writers_out(server: mariadb.Server) -> None:
    statement = "ALTER TABLE t ADD FULLTEXT INDEX ft (b)"
    assert refused(server, statement, "ALGORITHM=INPLACE, LOCK=NONE")
    assert not refused(server, statement, "ALGORITHM=INPLACE")
    assert claimed(statement).mode == SHARED


def test_foreign_keys_are_added_in_place_when_rows_are_not_checked(server: mariadb.Server) -> None:
    statement = "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (u) REFERENCES u (id), ALGORITHM=INPLACE, LOCK=NONE"
    assert server.run(*SETUP, statement)
    assert not server.run(*SETUP, "SET foreign_key_checks=0", statement)


def test_each_change_of_the_schema_commits(server: mariadb.Server) -> None:
    """DG505: nothing of what came before can be rolled back."""
    steps = (
        "START TRANSACTION",
        "INSERT INTO u VALUES (2)",
        "ALTER TABLE t ADD COLUMN c INT",
        "ROLLBACK",
    )
    # The key 2 is taken after the rollback, so that the row has stayed.
    assert "Duplicate entry" in server.run(*SETUP, *steps, "INSERT INTO u VALUES (2)")


def test_a_column_without_a_default_is_filled_in_silence(server: mariadb.Server) -> None:
    """DG403's reason: 0 for the rows that are there, and no error."""
    rows = "ALTER TABLE t ADD COLUMN c INT NOT NULL"
    check = "SELECT 1 DIV (SELECT count(*) FROM t WHERE c = 0) FROM DUAL"
    assert not server.run(*SETUP, rows, check)
    assert not server.run(*SETUP, rows, "ALTER TABLE t ADD CONSTRAINT zero CHECK (c = 0)")


# --- what mutated statements really do ----------------------------------------------------------------

RUN = """
DELETE FROM t WHERE id = 1
DELETE FROM t ORDER BY id LIMIT 1
DELETE t FROM t JOIN u ON t.id = u.id
DELETE QUICK FROM t
UPDATE t JOIN u ON t.id = u.id SET t.a = 9
UPDATE t, u AS x SET t.b = 'q' WHERE t.id = x.id
UPDATE t SET a = 5--1
REPLACE INTO t VALUES (1, 9, 'z', 1, 1, 'x')
INSERT INTO t (id, a, k) VALUES (1, 2, 3) ON DUPLICATE KEY UPDATE a = 77
INSERT INTO t (id, k) VALUES (7, 7)
TRUNCATE TABLE t
DROP TABLE IF EXISTS u, x
RENAME TABLE u TO v
ALTER TABLE t DROP COLUMN a, ADD COLUMN z INT
ALTER TABLE t CHANGE b bb VARCHAR(30)
ALTER TABLE t MODIFY a BIGINT NULL
ALTER TABLE t RENAME COLUMN a TO y
ALTER TABLE t ADD INDEX ix (a), DROP COLUMN e, ALGORITHM=COPY
ALTER TABLE t ADD COLUMN c INT AFTER id
ALTER TABLE t CONVERT TO CHARACTER SET latin1
CREATE TABLE n SELECT * FROM t
SELECT 1 /*!50000 + 1 */; /*!50000 DELETE FROM t */
SELECT 1 /* DROP TABLE t */; SET @x = 'a;b'; DELETE FROM u
""".strip().splitlines()
LOOK = (
    "SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns"
    " WHERE table_schema = 'd' AND table_name IN ('t', 'u') ORDER BY 1, 2"
)


def look(server: mariadb.Server) -> tuple[dict[str, str], str]:
    """Each column of t and u with its type, and all values of the columns that t had."""
    lines = [line.split("\t") for line in server.ask("USE d", LOOK).splitlines()[1:]]
    columns = {f"{line[0]}.{line[1]}": line[2] for line in lines}
    names = [name for name in ("id", "a", "b", "k", "u", "e") if f"t.{name}" in columns]
    rows = server.ask("USE d", f"SELECT {', '.join(names)} FROM t ORDER BY id") if names else ""
    return columns, rows


def done_by(server: mariadb.Server, text: str) -> Risk:
    """The level that the text has earned by what it did to a database with rows."""
    assert not server.run(*SETUP)
    columns, rows = look(server)
    server.run("USE d", text)  # an error ends it; what came before it counts
    after, rows_after = look(server)
    if not columns.keys() <= after.keys():
        return Risk.HIGH
    if any(after[name] != kind for name, kind in columns.items()):
        return Risk.HIGH
    kept = set(rows.splitlines()) <= set(rows_after.splitlines())
    return Risk.LOW if kept else Risk.CRITICAL


def test_the_mariadb_oracle_sees_what_is_done(server: mariadb.Server) -> None:
    assert done_by(server, "DELETE FROM t WHERE id = 1") is Risk.CRITICAL
    assert done_by(server, "UPDATE t SET b = 'z'") is Risk.CRITICAL
    assert done_by(server, "DROP TABLE u") is Risk.HIGH
    assert done_by(server, "ALTER TABLE t MODIFY a BIGINT") is Risk.HIGH
    assert done_by(server, "ALTER TABLE t DROP a") is Risk.HIGH
    assert done_by(server, "ALTER TABLE t ADD COLUMN c INT") is Risk.LOW


def test_what_mutated_sql_does_to_a_real_mariadb_it_is_judged_by(server: mariadb.Server) -> None:
    harmful = 0
    mutants = [mutated(RUN[seed % len(RUN)], seed) for seed in range(MUTANTS)]
    for text in (*RUN, *mutants):
        earned = done_by(server, text)
        if earned > Risk.LOW:
            harmful += 1
            assert level(text, "mariadb") >= earned, text
    assert harmful > 15  # most mutants are no SQL at all
