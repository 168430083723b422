"""Sizes are measured without ever waiting behind somebody's lock, and what is not known is not guessed small."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import Database, connect
from deployguard.model import TableFact

EVERY_VERSION = pytest.mark.parametrize("postgres_server", [15, 16, 18], indirect=True)
LARGE = """
CREATE TABLE large (id int PRIMARY KEY, note text);
INSERT INTO large SELECT g, repeat('x', 300) FROM generate_series(1, 20000) g;
"""
PARTED = """
CREATE TABLE part (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE part_old PARTITION OF part FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
  PARTITION BY RANGE (at);
CREATE TABLE part_old_1 PARTITION OF part_old FOR VALUES FROM ('2024-01-01') TO ('2024-07-01');
CREATE TABLE part_new PARTITION OF part FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE INDEX part_at ON part (at);
INSERT INTO part SELECT g, '2024-02-01' FROM generate_series(1, 100) g;
INSERT INTO part SELECT g, '2025-02-01' FROM generate_series(1, 50) g;
CREATE TABLE mother (id int); CREATE TABLE daughter () INHERITS (mother);
INSERT INTO mother SELECT generate_series(1, 3); INSERT INTO daughter SELECT generate_series(1, 4);
"""


@pytest.fixture
def found(postgres_database: str) -> Iterator[Database]:
    with connect(parse_url(postgres_database, "x"), directory=Path()) as database:
        yield database


@pytest.fixture
def sql(postgres_database: str) -> Callable[[str], None]:
    def run(text: str) -> None:
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute(text.encode())

    return run


def by_name(database: Database) -> dict[str, TableFact]:
    return {fact.table: fact for fact in database.facts().tables or ()}


@EVERY_VERSION
def test_a_table_that_was_never_analysed_has_an_unknown_number_of_rows(
    found: Database, sql: Callable[[str], None]
) -> None:
    sql(
        LARGE.replace("note text)", "note text) WITH (autovacuum_enabled = off)")
        + "SELECT pg_stat_reset();"
    )
    fact = by_name(found)["large"]
    assert fact.bytes > 6_000_000
    assert fact.index_bytes > 300_000
    assert not fact.exact
    assert fact.rows in {-1, 20000}, "nothing, or what the statistics collector has heard by now"
    sql("ANALYZE large")
    assert by_name(found)["large"].rows == pytest.approx(20000, rel=0.02)


def test_an_old_estimate_grows_with_the_table(found: Database, sql: Callable[[str], None]) -> None:
    sql("CREATE TABLE large (note text) WITH (autovacuum_enabled = off);")
    rows = "INSERT INTO large SELECT repeat('x', 300) FROM generate_series(1, 10000);"
    sql(f"{rows} ANALYZE large; {rows} {rows}")
    assert by_name(found)["large"].rows == pytest.approx(30000, rel=0.05)


@EVERY_VERSION
def test_a_parent_counts_with_everything_below_it(
    found: Database, sql: Callable[[str], None]
) -> None:
    sql(PARTED)
    tables = by_name(found)
    assert (tables["part"].rows, tables["part"].exact) == (150, True)
    assert tables["part"].partitions == ("part_new", "part_old")
    assert tables["part_old"].partition_of == "part"
    assert tables["part_old_1"].partition_of == "part_old"
    leaves = (tables["part_old_1"], tables["part_new"])
    assert tables["part"].bytes == sum(leaf.bytes for leaf in leaves)
    assert tables["part"].index_bytes == sum(leaf.index_bytes for leaf in leaves) > 0
    assert tables["mother"].rows == 7, "a statement on it works through its children too"


def test_a_part_of_unknown_size_makes_the_whole_unknown(
    found: Database, sql: Callable[[str], None], postgres_database: str
) -> None:
    sql(PARTED)
    with psycopg.connect(postgres_database) as other:
        other.execute("LOCK TABLE part_new IN ACCESS EXCLUSIVE MODE")
        tables = by_name(found)
    assert (tables["part"].bytes, tables["part_new"].bytes) == (-1, -1)
    assert tables["part_old"].bytes > 0


@EVERY_VERSION
@pytest.mark.parametrize(
    "lock",
    ["LOCK TABLE large IN ACCESS EXCLUSIVE MODE", "REINDEX TABLE large", "TRUNCATE large"],
)
def test_a_locked_table_is_left_out_and_the_others_are_measured(
    found: Database, sql: Callable[[str], None], postgres_database: str, lock: str
) -> None:
    sql(LARGE + "CREATE TABLE other (id int); INSERT INTO other VALUES (1);")
    found.current_revisions()  # the connection is there
    with psycopg.connect(postgres_database) as locking:
        locking.execute(lock.encode())
        began = time.monotonic()
        tables = by_name(found)
        assert time.monotonic() - began < 0.4
    assert tables["large"].bytes == -1
    assert (tables["other"].rows, tables["other"].exact) == (1, True)


def test_nobody_waits_behind_someone_who_waits_for_the_strongest_lock(
    found: Database, sql: Callable[[str], None], postgres_database: str
) -> None:
    sql(LARGE)
    found.current_revisions()
    with psycopg.connect(postgres_database) as reader:
        reader.execute("SELECT count(*) FROM large")

        def alter() -> None:
            with psycopg.connect(postgres_database) as writer:
                writer.execute("ALTER TABLE large ADD COLUMN b int")

        waiting = threading.Thread(target=alter)
        waiting.start()
        deadline = time.monotonic() + 10
        asks = b"SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'large'::regclass"
        with psycopg.connect(postgres_database, autocommit=True) as looking:
            while time.monotonic() < deadline and looking.execute(asks).fetchone() == (0,):
                time.sleep(0.02)
        began = time.monotonic()
        fact = by_name(found)["large"]
        assert time.monotonic() - began < 0.4
        reader.rollback()
        waiting.join()
    assert fact.bytes == -1
    assert by_name(found)["large"].bytes > 0


@EVERY_VERSION
def test_an_index_that_a_failed_build_left_is_told(
    found: Database, sql: Callable[[str], None]
) -> None:
    sql("CREATE SCHEMA app; CREATE TABLE app.t (a int); INSERT INTO app.t VALUES (1), (1)")
    sql("CREATE TABLE u (a int); INSERT INTO u VALUES (1), (1)")
    for table in ("app.t", "u"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            sql(f"CREATE UNIQUE INDEX CONCURRENTLY bad_{table[-1]} ON {table} (a)")
    assert found.facts().invalid_indexes == {"app.bad_t", "bad_u"}


def test_a_materialized_view_has_a_size_even_when_it_is_not_filled(
    found: Database, sql: Callable[[str], None]
) -> None:
    sql("CREATE MATERIALIZED VIEW m AS SELECT generate_series(1, 1000) AS a")
    sql("CREATE MATERIALIZED VIEW later AS SELECT 1 AS a WITH NO DATA")
    tables = by_name(found)
    assert (tables["m"].rows, tables["m"].exact) == (1000, True)
    assert tables["m"].bytes > 0
    assert tables["later"].bytes == 0


def test_no_more_tables_are_counted_than_the_lock_table_bears(
    found: Database, sql: Callable[[str], None]
) -> None:
    sql("".join(f"CREATE TABLE t{n} (a int); INSERT INTO t{n} VALUES (1);" for n in range(300)))
    facts = found.facts()
    assert len(facts.tables or ()) == 300
    assert len([fact for fact in facts.tables or () if fact.exact]) == 250, "as many as are counted"
