"""0 writes is only said when it is proven; the migration's own transaction is not somebody else's."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import Database, connect
from deployguard.model import Json
from tests.support import postgres
from tests.support.postgres import Server

Run = Callable[[str], None]
VERSIONS = [tree.version for tree in postgres.trees()]


@pytest.fixture
def sql(postgres_database: str) -> Iterator[Run]:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute("CREATE TABLE alembic_version (version_num text)")
        link.execute("INSERT INTO alembic_version VALUES ('a')")
        link.execute("CREATE TABLE t (id serial)")
        # the server's own ANALYZE takes transaction ids as well
        link.execute("ALTER TABLE t SET (autovacuum_enabled = off)")
        yield lambda statement: (link.execute(statement.encode()), None)[1]


@pytest.fixture
def found(postgres_database: str) -> Iterator[Database]:
    with connect(parse_url(postgres_database, "the test"), directory=Path()) as database:
        yield database


def kept(mark: Json) -> Json:
    """As it comes back from the journal."""
    return json.loads(json.dumps(mark))  # type: ignore[no-any-return]


def test_reading_and_checkpoints_are_no_writes(found: Database, sql: Run) -> None:
    mark = kept(found.writes_mark())
    found.row_counts()
    sql("SELECT count(*) FROM t")
    sql("CHECKPOINT")
    sql("VACUUM t")
    assert found.writes_since(mark) == 0


def test_every_write_counts_but_not_what_was_rolled_back(found: Database, sql: Run) -> None:
    mark = kept(found.writes_mark())
    sql("BEGIN; INSERT INTO t DEFAULT VALUES; ROLLBACK")
    assert found.writes_since(mark) == 0
    sql("INSERT INTO t DEFAULT VALUES")
    sql("DELETE FROM t")
    assert found.writes_since(mark) == 2


def test_the_migration_is_not_somebody_else(found: Database, sql: Run) -> None:
    mark = kept(found.writes_mark())
    sql("BEGIN; CREATE TABLE n (id int); UPDATE alembic_version SET version_num = 'b'; COMMIT")
    assert found.writes_since(mark) == 0
    assert found.writes_since(mark, "another_version") == 1
    sql("INSERT INTO t DEFAULT VALUES")
    assert found.writes_since(mark) == 1


def test_a_transaction_that_was_open_at_the_mark_counts_until_it_is_rolled_back(
    found: Database, postgres_database: str, sql: Run
) -> None:
    with psycopg.connect(postgres_database) as other:
        other.execute("INSERT INTO t DEFAULT VALUES")
        mark = kept(found.writes_mark())
        assert found.writes_since(mark) == 1
        other.rollback()
    assert found.writes_since(mark) == 0


def test_a_transaction_that_is_still_open_counts(
    found: Database, postgres_database: str, sql: Run
) -> None:
    mark = kept(found.writes_mark())
    with psycopg.connect(postgres_database) as other:
        other.execute("INSERT INTO t DEFAULT VALUES")
        assert found.writes_since(mark) == 1
        other.rollback()
    assert found.writes_since(mark) == 0


@pytest.mark.parametrize("mark", [None, {}, [], {"next": 3}, {"server": "1", "next": "x"}])
def test_a_mark_that_says_nothing_is_unknown(found: Database, sql: Run, mark: Json) -> None:
    assert found.writes_since(mark) is None


@pytest.mark.parametrize("key", ["server", "timeline", "database"])
def test_another_server_history_or_database_is_unknown(found: Database, sql: Run, key: str) -> None:
    mark = found.writes_mark()
    assert isinstance(mark, dict)
    assert found.writes_since(mark) == 0
    assert found.writes_since({**mark, key: "other"}) is None


def test_too_much_to_look_at_is_unknown(
    found: Database, sql: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = found.writes_mark()
    monkeypatch.setattr("deployguard.database.writes.TOO_MANY", 1)
    sql("INSERT INTO t DEFAULT VALUES")
    assert found.writes_since(mark) == 1
    sql("INSERT INTO t DEFAULT VALUES")
    assert found.writes_since(mark) is None


@pytest.mark.parametrize("postgres_server", VERSIONS, indirect=True)
def test_an_ordinary_role_can_tell_on_other_versions_too(
    postgres_server: Server, postgres_database: str, sql: Run
) -> None:
    sql("DROP ROLE IF EXISTS dg_plain; CREATE ROLE dg_plain LOGIN PASSWORD 'dg-plain-secret'")
    sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO dg_plain")
    name = postgres_database.rsplit("/", 1)[1]
    url = f"postgresql://dg_plain:dg-plain-secret@127.0.0.1:{postgres_server.port}/{name}"
    with connect(parse_url(url, "x"), directory=Path()) as plain:
        assert plain.identity().startswith("postgresql:")
        mark = kept(plain.writes_mark())
        assert plain.writes_since(mark) == 0
        sql("INSERT INTO t DEFAULT VALUES")
        assert plain.writes_since(mark) == 1
    sql("DROP OWNED BY dg_plain; DROP ROLE dg_plain")
