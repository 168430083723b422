"""Where a rule says "it will fail" or "it is refused", a real server says so too; and the safe form goes through."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import psycopg
import pytest

from deployguard.rules import judge
from deployguard.rules.examples import read
from tests.support import postgres

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, a int);
INSERT INTO t VALUES (1, NULL), (2, 5);
CREATE INDEX i ON t (a);
CREATE TYPE mood AS ENUM ('ok');
CREATE TABLE m (mood mood);
"""
FAILS = {
    "DG501": (
        "CREATE INDEX CONCURRENTLY c ON t (a)",
        "DROP INDEX CONCURRENTLY i",
        "REINDEX INDEX CONCURRENTLY i",
        "REINDEX SCHEMA public",
        "VACUUM t",
        "VACUUM FULL t",
        "CREATE DATABASE other",
    ),
    "DG503": (
        "ALTER TYPE mood ADD VALUE 'sad'; INSERT INTO m VALUES ('sad')",
        "ALTER TYPE mood ADD VALUE 'sad'; ALTER TABLE m ALTER mood SET DEFAULT 'sad'",
    ),
    "DG403": ("ALTER TABLE t ADD COLUMN c int NOT NULL",),
    "DG208": ("ALTER TABLE t ALTER COLUMN a SET NOT NULL",),
    "DG204": ("ALTER TABLE t ADD CHECK (a > 100)",),
    "DG207": ("ALTER TABLE t ADD CONSTRAINT x EXCLUDE USING gist (a WITH =) NOT VALID",),
}
WORKS = (
    "ALTER TYPE mood ADD VALUE 'sad'; SELECT 1",
    "ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 5",
    "ALTER TABLE t ADD CHECK (a > 100) NOT VALID",
    "SAVEPOINT a; RELEASE SAVEPOINT a",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
)


@pytest.fixture(scope="module", params=[tree.version for tree in postgres.trees()])
def url(request: pytest.FixtureRequest, postgres_pool: postgres.Pool) -> Iterator[str]:
    server = postgres_pool(request.param)
    name = f"failures_{server.version}"
    made = server.create_database(name)
    with psycopg.connect(made, autocommit=True) as connection:
        connection.execute(SCHEMA)
        connection.execute("CREATE MATERIALIZED VIEW v AS SELECT 1 AS a")
        connection.execute("CREATE UNIQUE INDEX v_a ON v (a)")
    yield made
    server.drop_database(name)


def run(url: str, sql: str) -> None:
    with psycopg.connect(url) as connection:
        try:
            for statement in sql.split("; "):
                connection.execute(statement)
        finally:
            connection.rollback()


@pytest.mark.parametrize(
    ("code", "sql"), [(code, sql) for code, statements in FAILS.items() for sql in statements]
)
def test_what_a_rule_says_will_fail_does_fail(url: str, code: str, sql: str) -> None:
    with pytest.raises(psycopg.Error):
        run(url, sql)


@pytest.mark.parametrize("sql", WORKS)
def test_what_no_rule_warns_of_goes_through(url: str, sql: str) -> None:
    run(url, sql)


def test_a_value_as_new_as_its_type_can_be_used_from_17_on(url: str) -> None:
    """DG503: the one exemption, and only where the server is known to be new enough."""
    sql = "CREATE TYPE m2 AS ENUM ('a'); ALTER TYPE m2 ADD VALUE 'b'; CREATE TABLE z (m m2 DEFAULT 'b')"
    with psycopg.connect(url) as connection:
        version = connection.info.server_version // 10000
    revisions, facts = read(f"-- server: {version}.0\n{sql}")
    found = [one.rule for one in judge(revisions, facts)[0].findings]
    if version >= 17:
        run(url, sql)
        assert found == []
    else:
        with pytest.raises(psycopg.Error):
            run(url, sql)
        assert found == ["DG503"]


def test_commit_in_a_revision_ends_the_transaction(url: str) -> None:
    """DG502: what ran before a COMMIT stays, although everything is rolled back afterwards."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE stays (a int)")
        connection.execute("COMMIT")
        connection.rollback()
        connection.execute("DROP TABLE stays")
        connection.commit()


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD COLUMN c TIMESTAMP DEFAULT CURRENT_TIMESTAMP",
        "ALTER TABLE t ADD COLUMN c INTEGER DEFAULT (1 + 1)",
        "ALTER TABLE t ADD COLUMN c INTEGER NOT NULL",
    ],
)
def test_sqlite_refuses_what_the_rules_say_it_refuses(sql: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.executescript("CREATE TABLE t (id INTEGER); INSERT INTO t VALUES (1)")
    with pytest.raises(sqlite3.OperationalError):
        connection.execute(sql)
    connection.close()
