"""A new database is filled in a hurry, and nothing of the hurry is left in it."""

from __future__ import annotations

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database.filling import analyze, hurried
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.session import Session
from deployguard.errors import EnvironmentUnreachable


def settings(url: str) -> tuple[str, int]:
    """(synchronous_commit, kB of maintenance_work_mem) of a session that begins now."""
    with psycopg.connect(url, autocommit=True) as link:
        query = "SELECT current_setting('synchronous_commit'), setting::int FROM pg_settings"
        found = link.execute(f"{query} WHERE name = 'maintenance_work_mem'".encode()).fetchone()
    assert found is not None
    return found


@pytest.fixture
def session(postgres_database: str) -> Session:
    return Session(parse_url(postgres_database, "x"), database="postgres")


def test_the_settings_hold_in_the_block_and_end_with_it(
    postgres_database: str, session: Session
) -> None:
    name, before = postgres_database.rsplit("/", 1)[1], settings(postgres_database)
    with hurried(session, name):
        assert settings(postgres_database) == ("off", 256 * 1024)
    assert settings(postgres_database) == before
    with pytest.raises(ZeroDivisionError), hurried(session, name):
        raise ZeroDivisionError
    assert settings(postgres_database) == before
    assert session.rows("SELECT * FROM pg_db_role_setting") == []
    session.close()


def test_a_server_that_gives_more_memory_is_not_given_less(
    postgres_database: str, session: Session
) -> None:
    with session.cursor() as cursor:
        cursor.execute(b"SET maintenance_work_mem = '1GB'")
    with hurried(session, postgres_database.rsplit("/", 1)[1]):
        assert settings(postgres_database)[1] != 256 * 1024
    session.close()


@pytest.mark.parametrize("jobs", [1, 3])
def test_every_table_is_analyzed_as_by_a_plain_analyze(postgres_database: str, jobs: int) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(
            b'CREATE TABLE "a b" (x int); INSERT INTO "a b" SELECT generate_series(1, 700);'
            b"CREATE TABLE p (x int) PARTITION BY RANGE (x);"
            b"CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);"
            b"INSERT INTO p SELECT generate_series(0, 99);"
            b"CREATE MATERIALIZED VIEW m AS SELECT * FROM p"
        )
        with PostgresDatabase(parse_url(postgres_database, "x")) as database:
            analyze(database, application="deployguard-test", jobs=jobs)
        found = link.execute(
            b"SELECT relname, reltuples::int FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            b" AND relkind IN ('r', 'm', 'p') ORDER BY 1"
        ).fetchall()
        assert found == [("a b", 700), ("m", 100), ("p", 100), ("p1", 100)]
        looked = link.execute(
            b"SELECT DISTINCT tablename FROM pg_stats WHERE schemaname = 'public'"
        )
        assert {row[0] for row in looked} == {"a b", "m", "p", "p1"}
        sessions = (
            b"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deployguard-test'"
        )
        assert link.execute(sessions).fetchone() == (0,)


def test_what_the_server_refuses_is_told(postgres_database: str) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(
            b"CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';"
            b"CREATE TABLE t (x int); CREATE INDEX ON t (f(x)); INSERT INTO t VALUES (1);"
            b"CREATE OR REPLACE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1 / 0'"
        )
    database = PostgresDatabase(parse_url(postgres_database, "x"))
    with database, pytest.raises(EnvironmentUnreachable, match="division by zero"):
        analyze(database, application="deployguard-test", jobs=2)
