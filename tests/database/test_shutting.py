"""Everybody is shut out of a database, or nobody is."""

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.shutting import reopen, shut


@pytest.fixture
def database(postgres_database: str) -> PostgresDatabase:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute("CREATE TABLE t (id int)")
    return PostgresDatabase(parse_url(postgres_database, "x"))


def can_come_in(url: str) -> bool:
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def test_when_nobody_has_written_everybody_is_ended_and_kept_out(
    database: PostgresDatabase, postgres_database: str
) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as idle:
        with database:
            assert shut(database, database.stillness()) == 0
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
    assert not can_come_in(postgres_database)
    reopen(database)
    assert can_come_in(postgres_database)


def test_when_somebody_has_written_everybody_may_come_in(
    database: PostgresDatabase, postgres_database: str
) -> None:
    with database:
        still = database.stillness()
        database.close()
        with psycopg.connect(postgres_database) as link:
            link.execute("INSERT INTO t VALUES (1), (2)")
        assert shut(database, still) == 2
    assert can_come_in(postgres_database)


def test_a_write_that_is_not_handed_in_yet_is_seen_when_its_session_ends(
    database: PostgresDatabase, postgres_database: str
) -> None:
    with database, psycopg.connect(postgres_database, autocommit=True) as writer:
        still = database.stillness()
        database.close()
        with writer.transaction():
            writer.execute("INSERT INTO t VALUES (1)")
        assert shut(database, still) in (1, None)
    assert can_come_in(postgres_database)


def test_what_a_killed_try_has_shut_is_opened_before_it_is_looked_at(
    database: PostgresDatabase, postgres_database: str
) -> None:
    with database:
        still = database.stillness()
        assert shut(database, still) == 0
        assert shut(database, still) == 0
    reopen(database)
