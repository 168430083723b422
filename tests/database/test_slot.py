"""A slot that begins at a snapshot, on real servers: what it holds, what it does not show, and how it goes."""

import contextlib
from collections.abc import Iterator

import psycopg
import pytest

from deployguard.config.url import parse_url
from deployguard.database import slot, slot_changes
from deployguard.database.changes import Changes
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.snapshot import Instant, exported
from deployguard.errors import EnvironmentUnreachable
from tests.support import postgres

NAME = "deployguard_20260218_123001_ab12"


@pytest.fixture(
    scope="module", params=postgres.decoding_trees(), ids=lambda tree: str(tree.version)
)
def server(request: pytest.FixtureRequest) -> Iterator[postgres.Server]:
    with postgres.serve(
        request.param, max_replication_slots="2", max_prepared_transactions="1"
    ) as made:
        yield made


@pytest.fixture
def url(server: postgres.Server) -> Iterator[str]:
    found = server.create_database("app")
    server.sql(
        "CREATE TABLE rooms (id serial PRIMARY KEY, name text); CREATE TABLE bare (n int);"
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('a'); INSERT INTO rooms (name) VALUES ('x'), ('y')",
        "app",
    )
    yield found
    server.drop_database("app")
    server.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")


@contextlib.contextmanager
def instant(database: PostgresDatabase) -> Iterator[Instant]:
    with exported(database, application="test", slot_name=NAME) as seen:
        yield seen


def begun(database: PostgresDatabase) -> dict[str, object]:
    with instant(database) as seen:
        return {**seen.slot, "sequences": dict(seen.sequences)}


def since(database: PostgresDatabase, before: dict[str, object], **more: int) -> Changes:
    return slot_changes.since(
        database.session,
        database.name,
        before,  # type: ignore[arg-type]
        version_table=("alembic_version",),
        known=("a", "b"),
        **more,
    )


@pytest.fixture
def database(url: str) -> Iterator[PostgresDatabase]:
    with PostgresDatabase(parse_url(url, "test")) as made:
        yield made


def test_it_holds_exactly_what_the_snapshot_does_not_show(
    database: PostgresDatabase, server: postgres.Server, url: str
) -> None:
    with psycopg.connect(url) as early, instant(database) as seen:
        assert seen.slot["name"] == NAME
        early.execute("INSERT INTO rooms (name) VALUES ('after')")
        early.commit()
        with psycopg.connect(url) as reader:
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute(f"SET TRANSACTION SNAPSHOT '{seen.name}'")  # as pg_dump does it
            assert reader.execute("SELECT count(*) FROM rooms").fetchone() == (2,)
        before = {**seen.slot, "sequences": dict(seen.sequences)}
    found = since(database, before)
    assert dict(found.tables) == {"rooms": (1, 0, 0, 0)}
    assert found.writes == 1


def test_rows_are_counted_per_table_and_the_migration_is_not(
    database: PostgresDatabase, server: postgres.Server
) -> None:
    before = begun(database)
    assert since(database, before).writes == 0
    server.sql(
        "INSERT INTO rooms SELECT g, 'it''s' FROM generate_series(10, 21) g; "
        "UPDATE rooms SET id = id + 100 WHERE id < 13; DELETE FROM rooms WHERE id = 20",
        "app",
    )
    server.sql("BEGIN; INSERT INTO rooms VALUES (99); ROLLBACK", "app")
    server.sql("INSERT INTO bare VALUES (1)", "app")
    server.sql("UPDATE bare SET n = 2", "app")
    server.sql("TRUNCATE bare", "app")
    server.sql("CREATE TABLE elsewhere (a int); INSERT INTO elsewhere VALUES (1)")
    server.sql(
        "BEGIN; ALTER TABLE rooms ALTER name TYPE varchar(99); UPDATE rooms SET name = 'm';"
        "UPDATE alembic_version SET version_num = 'b'; COMMIT",
        "app",
    )
    found = since(database, before)
    assert found.hidden == ()
    assert dict(found.tables) == {"bare": (1, 1, 0, 1), "rooms": (12, 5, 1, 0)}
    assert (found.transactions, found.bare, len(found.own)) == (4, 0, 1)
    assert since(database, before) == found, "looking consumes nothing"
    server.sql("CREATE INDEX by_name ON rooms (name)", "app")
    assert since(database, before).bare == 1


def test_a_table_of_that_name_in_another_schema_does_not_make_a_transaction_the_migrations(
    database: PostgresDatabase, server: postgres.Server
) -> None:
    server.sql("CREATE SCHEMA t; CREATE TABLE t.alembic_version (version_num text)", "app")
    before = begun(database)
    server.sql(
        "BEGIN; INSERT INTO bare VALUES (7); INSERT INTO t.alembic_version VALUES ('b'); COMMIT",
        "app",
    )
    found = since(database, before)
    assert dict(found.tables) == {"bare": (1, 0, 0, 0), "t.alembic_version": (1, 0, 0, 0)}
    assert (found.writes, found.own) == (1, frozenset())


def test_a_count_that_ends_exactly_where_the_server_stops_is_not_taken_for_everything(
    database: PostgresDatabase, server: postgres.Server
) -> None:
    before = begun(database)
    server.sql("INSERT INTO bare SELECT generate_series(1, 3)", "app")  # with its ends, 5 lines
    assert since(database, before, most=5).rows == 3
    server.sql("INSERT INTO bare VALUES (4)", "app")
    assert "more than 5 changes" in since(database, before, most=5).missing


def test_who_may_use_slots_is_known_beforehand(
    database: PostgresDatabase, server: postgres.Server, url: str
) -> None:
    assert slot.may_use(database.session)
    server.sql("CREATE ROLE plain LOGIN PASSWORD 'plain'")
    parsed = parse_url(url, "test")
    user = parsed.raw.partition("://")[2].partition("@")[0]
    with PostgresDatabase(parse_url(url.replace(f"{user}@", "plain:plain@"), "test")) as other:
        assert not slot.may_use(other.session)
        other.close()
        server.sql("ALTER ROLE plain REPLICATION")
        assert slot.may_use(other.session)
    server.sql("DROP ROLE plain")


def test_what_is_not_on_the_disk_yet_is_waited_for(database: PostgresDatabase, url: str) -> None:
    before = begun(database)
    with psycopg.connect(url, autocommit=True) as writer:
        writer.execute("SET synchronous_commit = off")
        for number in range(20):
            writer.execute("INSERT INTO bare VALUES (%s)", [number])
            assert since(database, before).writes == number + 1


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("SELECT nextval('rooms_id_seq')", "sequence(s) that moved on: public.rooms_id_seq"),
        ("CREATE UNLOGGED TABLE u AS SELECT 1 AS a", "1 unlogged table(s)"),
        ("SELECT lo_from_bytea(0, 'abc')", "1 large object(s)"),
    ],
)
def test_what_no_slot_shows_is_never_a_zero(
    database: PostgresDatabase, server: postgres.Server, statement: str, told: str
) -> None:
    before = begun(database)
    server.sql(statement, "app")
    found = since(database, before)
    assert told in " ".join(found.hidden)
    assert found.writes != 0
    server.sql("DROP TABLE IF EXISTS u; SELECT lo_unlink(oid) FROM pg_largeobject_metadata", "app")


def test_a_slot_that_somebody_has_read_or_that_is_gone_proves_nothing(
    database: PostgresDatabase, server: postgres.Server
) -> None:
    before = begun(database)
    server.sql("INSERT INTO bare VALUES (1)", "app")
    assert "more than 1 changes" in since(database, before, most=1).missing
    server.sql(f"SELECT count(*) FROM pg_logical_slot_get_changes('{NAME}', NULL, NULL)", "app")
    assert "somebody has read" in since(database, before).missing
    assert database.drop_slot(NAME)
    assert not database.drop_slot(NAME)
    assert "not there any more" in since(database, before).missing
    assert since(database, {"without": "wal_level is replica"}).writes is None


def test_a_slot_whose_log_the_server_gave_up_proves_nothing() -> None:
    lost = slot.Slot(NAME, "test_decoding", "app", None, "0/1", "unreserved", 5)
    assert "unreserved" in slot.unusable(lost, "app", "0/1")
    kept = slot.Slot(NAME, "test_decoding", "app", None, "0/1", "extended", 5)
    assert slot.unusable(kept, "app", "0/1") == ""
    assert "app_failed" in slot.unusable(kept, "app_failed", "0/1") or slot.unusable(
        kept, "x", "0/1"
    )


def test_where_none_can_be_made_the_reason_is_kept_and_nothing_is_left(
    database: PostgresDatabase, server: postgres.Server, url: str
) -> None:
    with psycopg.connect(url) as open_one:
        open_one.execute("INSERT INTO bare VALUES (1)")  # a slot waits for everything that is open
        with (
            pytest.raises(EnvironmentUnreachable, match="cancel"),
            slot.made(database.session, "app", NAME, patience=0.5),
        ):
            pass
    assert database.slots() == ()
    for name in ("one", "two"):
        server.sql(f"SELECT pg_create_physical_replication_slot('{name}')")
    assert "all replication slots are in use" in str(begun(database)["without"])


def test_one_that_is_still_being_made_for_a_killed_process_is_ended(
    database: PostgresDatabase, url: str
) -> None:
    with psycopg.connect(url) as open_one, psycopg.connect(url, autocommit=True) as look:
        open_one.execute("INSERT INTO bare VALUES (1)")
        orphan = psycopg.connect(f"{url}?replication=database", autocommit=True)
        orphan.pgconn.send_query(
            f"CREATE_REPLICATION_SLOT {NAME} LOGICAL test_decoding EXPORT_SNAPSHOT".encode()
        )
        while not database.slots():
            look.execute("SELECT pg_sleep(0.05)")
        assert database.drop_slot(NAME)
        orphan.close()
    assert database.slots() == ()


def test_a_server_without_the_plugin_says_so(
    postgres_server: postgres.Server, postgres_database: str
) -> None:
    with PostgresDatabase(parse_url(postgres_database, "test")) as database:
        assert "test_decoding" in str(begun(database)["without"])
        assert database.slots() == ()
