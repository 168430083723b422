"""A real PostgreSQL server answers exactly, read-only, and without showing a password."""

import os
import shlex
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import Database, connect
from deployguard.errors import EnvironmentUnreachable, UsageError
from tests.support.postgres import Server

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b2'), ('a1');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT nullif('n' || i, 'n1') FROM generate_series(1, 100) i;
CREATE TABLE empty (id int);
CREATE SCHEMA "Odd.schema";
CREATE TABLE "Odd.schema"."Ta""ble" (id int);
INSERT INTO "Odd.schema"."Ta""ble" VALUES (1);
CREATE TABLE parts (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parts_2025 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE parts_2026 PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO parts VALUES (1, '2025-05-05'), (2, '2026-05-05'), (3, '2026-06-06');
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent VALUES (1);
INSERT INTO child VALUES (2), (3);
"""


@pytest.fixture
def sql(postgres_database: str) -> Iterator[Callable[[str], None]]:
    with psycopg.connect(postgres_database, autocommit=True) as link:

        def run(statement: str) -> None:
            link.execute(statement.encode())

        yield run


@pytest.fixture
def found(postgres_database: str) -> Iterator[Database]:
    url = postgres_database.replace("postgresql://", "postgresql+asyncpg://")
    with connect(parse_url(url, "the test"), directory=Path()) as database:
        yield database


def test_an_empty_database_has_nothing(found: Database) -> None:
    assert found.current_revisions() == ()
    assert found.current_revisions("v", schema="nowhere") == ()
    assert found.row_counts() == {}
    assert found.facts().tables == ()
    assert found.facts().server_version[0] >= 15
    assert found.invalid_indexes() == ()
    assert found.size() > 1_000_000


def test_the_version_table_may_be_in_a_schema(found: Database, sql: Callable[[str], None]) -> None:
    sql("CREATE SCHEMA north; CREATE TABLE north.versions (version_num text)")
    sql("INSERT INTO north.versions VALUES ('n1')")
    assert found.current_revisions("north.versions") == ("n1",)
    assert found.current_revisions("versions", schema="north") == ("n1",)
    assert found.current_revisions("south.versions") == ()


def test_rows_are_counted_once_in_every_schema(found: Database, sql: Callable[[str], None]) -> None:
    sql(SCHEMA)
    assert found.current_revisions() == ("a1", "b2")
    assert found.row_counts() == {
        "alembic_version": 2,
        "bookings": 100,
        "child": 2,
        "empty": 0,
        "parent": 1,
        "parts_2025": 1,
        "parts_2026": 2,
        '"Odd.schema".Ta"ble': 1,
    }
    assert found.count("bookings") == 100
    assert found.count("bookings", "note") == 99
    assert found.count("parts") == 3
    assert found.count('"Odd.schema".Ta"ble') == 1
    assert found.count("nothing") is None
    assert found.count("bookings", "nothing") is None
    assert found.count("bookings") == 100


def test_facts_of_small_tables_are_exact(found: Database, sql: Callable[[str], None]) -> None:
    sql(SCHEMA)
    tables = {fact.table: fact for fact in found.facts().tables or ()}
    assert (tables["bookings"].rows, tables["bookings"].exact) == (100, True)
    assert (tables["empty"].rows, tables["empty"].bytes, tables["empty"].exact) == (0, 0, True)
    assert (tables["parts"].rows, tables["parts"].exact) == (3, True)
    assert tables["parts"].bytes == tables["parts_2025"].bytes + tables["parts_2026"].bytes


def test_facts_of_large_or_locked_tables_are_estimates(
    found: Database,
    sql: Callable[[str], None],
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sql(SCHEMA + "ANALYZE bookings;")
    monkeypatch.setattr("deployguard.database.sizes.SMALL", 1)
    tables = {fact.table: fact for fact in found.facts().tables or ()}
    assert (tables["bookings"].rows, tables["bookings"].exact) == (100, False)
    monkeypatch.undo()
    with psycopg.connect(postgres_database) as other:
        other.execute("LOCK TABLE bookings IN ACCESS EXCLUSIVE MODE")
        tables = {fact.table: fact for fact in found.facts().tables or ()}
    assert (tables["bookings"].rows, tables["bookings"].exact) == (100, False)
    assert (tables["bookings"].bytes, tables["bookings"].index_bytes) == (-1, -1)
    assert tables["alembic_version"].exact


def test_row_security_is_an_error_instead_of_a_short_count(
    sql: Callable[[str], None], postgres_database: str, postgres_server: Server
) -> None:
    sql(
        "DROP ROLE IF EXISTS dg_reader; CREATE ROLE dg_reader LOGIN PASSWORD 'dg-reader-secret';"
        "CREATE TABLE private (id int); INSERT INTO private VALUES (1), (2);"
        "ALTER TABLE private ENABLE ROW LEVEL SECURITY; GRANT SELECT ON private TO dg_reader;"
    )
    name = postgres_database.rsplit("/", 1)[1]
    url = f"postgresql://dg_reader:dg-reader-secret@127.0.0.1:{postgres_server.port}/{name}"
    with connect(parse_url(url, "x"), directory=Path()) as reader:
        with pytest.raises(EnvironmentUnreachable, match="row-level security"):
            reader.row_counts()
        assert [fact.exact for fact in reader.facts().tables or ()] == [False]
    sql("DROP OWNED BY dg_reader; DROP ROLE dg_reader")


@pytest.mark.parametrize(
    ("statement", "ok"),
    [
        ("SELECT count(*) = 100 FROM bookings", True),
        ("SELECT 1", True),
        ("SELECT 0", False),
        ("SELECT 0.5", True),
        ("SELECT NULL", False),
        ("SELECT 'f'", False),
        ("SELECT 1 WHERE false", False),
        ("SELECT 1 UNION ALL SELECT 1", False),
        ("SELECT nothing", False),
        ("SELECT 1; SELECT 1", False),
        ("COMMIT; DELETE FROM bookings", False),
        ("COMMIT", False),
        ("DELETE FROM bookings RETURNING true", False),
        ("SELECT nextval('bookings_id_seq')", False),
        ("WITH d AS (DELETE FROM bookings RETURNING 1) SELECT true FROM d LIMIT 1", False),
        ("", False),
        ("SELECT '100%' LIKE '%0%'", True),
    ],
)
def test_verification_needs_one_true_row_and_cannot_write(
    found: Database, sql: Callable[[str], None], statement: str, ok: bool
) -> None:
    sql(SCHEMA)
    assert found.check(statement)[0] is ok
    assert found.check("SELECT true") == (True, "it returned True")
    assert found.count("bookings") == 100


def test_a_lost_connection_is_opened_again(found: Database, sql: Callable[[str], None]) -> None:
    sql(SCHEMA)
    assert found.count("bookings") == 100
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert found.count("bookings") == 100


def test_invalid_indexes_are_found(found: Database, sql: Callable[[str], None]) -> None:
    sql(SCHEMA + "INSERT INTO empty VALUES (1), (1);")
    with pytest.raises(psycopg.errors.UniqueViolation):
        sql("CREATE UNIQUE INDEX CONCURRENTLY broken ON empty (id)")
    assert found.invalid_indexes() == ("public.broken",)


def test_backends_that_survive_their_client_are_found_and_ended(
    found: Database, postgres_database: str
) -> None:
    name = "deployguard:" + "d" * 70  # the server keeps 63 bytes of it
    with closing(psycopg.connect(postgres_database, application_name=name)) as other:
        thread = threading.Thread(target=lambda: _sleep(other))
        thread.start()
        while [b.state for b in found.surviving_backends(name)] != ["active"]:
            pass
        assert found.terminate(name) == 1
        thread.join(10)
    assert found.surviving_backends(name) == ()
    assert found.terminate(name) == 0


def _sleep(link: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.AdminShutdown):
        link.execute("SELECT pg_sleep(60)")


def test_identity_is_the_same_by_every_way(postgres_database: str, postgres_server: Server) -> None:
    by_number = connect(parse_url(postgres_database, "x"), directory=Path())
    by_name = connect(
        parse_url(postgres_database.replace("127.0.0.1", "localhost"), "x"), directory=Path()
    )
    other = connect(parse_url(postgres_server.url("postgres"), "x"), directory=Path())
    assert by_number.identity() == by_name.identity()
    assert by_number.identity() != other.identity()
    assert postgres_server.password not in by_number.identity()
    for database in (by_number, by_name, other):
        database.close()


def test_a_wrong_password_is_told_but_not_shown(postgres_database: str) -> None:
    user = "deployer:wr%2Fong-canary"
    url = parse_url(_with_user(postgres_database, user), "x")
    with pytest.raises(EnvironmentUnreachable, match="password authentication failed") as caught:
        connect(url, directory=Path()).facts()
    for secret in ("wr/ong-canary", "wr%2Fong-canary"):
        assert secret not in caught.value.message
        assert all(secret not in command for command in caught.value.next_commands)
    assert caught.value.__suppress_context__


def _with_user(url: str, user: str) -> str:
    return "postgresql://" + user + "@" + url.split("@", 1)[1]


def test_a_database_that_is_not_there_is_told_with_the_way_to_get_it_back(
    postgres_server: Server,
) -> None:
    url = postgres_server.url("lost Base")
    with pytest.raises(EnvironmentUnreachable, match="does not exist") as caught:
        connect(parse_url(url, "the test"), directory=Path()).row_counts()
    make, then = caught.value.next_commands
    environ = {**os.environ, "PGPASSWORD": postgres_server.password}
    argv = shlex.split(make)
    argv[0] = str(postgres_server.bin / argv[0])
    subprocess.run(argv, env=environ, check=True, capture_output=True)
    try:
        with connect(parse_url(url, "the test"), directory=Path()) as made:
            assert made.row_counts() == {}
    finally:
        postgres_server.drop_database("lost Base")
    assert then == "deployguard backup restore latest"


def test_a_host_that_only_docker_knows_is_asked_for(postgres_database: str) -> None:
    url = parse_url(postgres_database, "x")
    real = (url.host, url.port or 0)
    asked: list[tuple[str, int]] = []

    def address(host: str, port: int) -> tuple[str, int]:
        asked.append((host, port))
        return real

    hidden = url.at("db.invalid", 5432)
    with connect(hidden, directory=Path(), address=address) as database:
        assert database.current_revisions() == ()
        with database.advisory_lock("hidden"):
            pass
    assert asked == [("db.invalid", 5432)]
    with (
        connect(hidden, directory=Path(), address=lambda *_: None) as database,
        pytest.raises(EnvironmentUnreachable, match=r"db\.invalid"),
    ):
        database.current_revisions()


def test_a_host_that_answers_is_not_looked_for_in_docker(postgres_database: str) -> None:
    url = parse_url(_with_user(postgres_database, "nobody:x"), "x")

    def address(host: str, port: int) -> tuple[str, int]:
        raise AssertionError(host)

    with pytest.raises(EnvironmentUnreachable):
        connect(url, directory=Path(), address=address).facts()


def test_an_impossible_url_is_a_usage_error(postgres_database: str) -> None:
    url = parse_url(postgres_database + "?sslmode=nonsense", "x")
    with pytest.raises((UsageError, EnvironmentUnreachable), match="sslmode"):
        connect(url, directory=Path()).facts()


def test_what_libpq_asks_is_not_ended_twice(tmp_path: Path) -> None:
    url = parse_url("postgresql://nobody@127.0.0.1:1/none", "the test")
    with (
        pytest.raises(EnvironmentUnreachable) as caught,
        connect(url, directory=tmp_path) as database,
    ):
        database.facts()
    assert caught.value.message.endswith("accepting TCP/IP connections?")
