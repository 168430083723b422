"""What the snapshot of a real database adds to the facts, and what the verdicts make of it."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import connect
from deployguard.model import Body, Evidence, Facts, Revision, Risk, Script, Statement, Verdict
from deployguard.operations import Maintain
from deployguard.rules import enriched, judge
from deployguard.sql import lower

SCHEMA = """
CREATE SCHEMA app;
CREATE TABLE u (id int PRIMARY KEY);
CREATE TABLE app.t (id int PRIMARY KEY, a int, b int, u_id int CONSTRAINT fk REFERENCES u (id));
CREATE INDEX t_a ON app.t (a);
ALTER TABLE app.t ADD CONSTRAINT a_there CHECK (a IS NOT NULL);
ALTER TABLE app.t ADD CONSTRAINT b_there CHECK (b IS NOT NULL) NOT VALID;
"""

# A downgrade without a word: these tests are about the upgrade.
DOWN = Script(Body.PRESENT, 1, (Statement("ANALYZE", 1, (Maintain("analyze"),)),))


def verdict(sql: str, facts: Facts) -> Verdict:
    statements = tuple(
        Statement(text, number, operations)
        for number, (text, operations) in enumerate(lower(sql, "postgresql"), start=1)
    )
    up = Script(Body.PRESENT, 1, statements)
    return judge((Revision("r", (), "r.py", "", "", up, DOWN, Evidence.RECORDED),), facts)[0]


def test_a_snapshot_tells_indexes_foreign_keys_and_proofs(
    postgres_database: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(SCHEMA)
    with connect(
        parse_url(postgres_database, "a test"), directory=tmp_path, address=None
    ) as database:
        facts = enriched(database.facts(), database.catalogue())
    assert facts.indexes["app.t_a"] == "app.t"
    assert facts.references["app.t", "fk"] == "u"
    assert facts.not_null == {("app.t", "a"), ("app.t", "id"), ("u", "id")}
    assert facts.unique_indexes == frozenset()
    required = verdict(
        "ALTER TABLE app.t ALTER a SET NOT NULL; ALTER TABLE app.t ALTER b SET NOT NULL", facts
    )
    assert [(one.rule, one.line) for one in required.findings] == [("DG208", 2)]
    dropped = verdict("DROP INDEX app.t_a; ALTER TABLE app.t DROP CONSTRAINT fk", facts)
    assert {(one.relation, one.mode) for one in dropped.locks} == {
        ("app.t", "ACCESS EXCLUSIVE"),
        ("u", "ACCESS EXCLUSIVE"),
    }


def test_any_other_snapshot_adds_nothing() -> None:
    facts = Facts("sqlite")
    sqlite = enriched(facts, {"dialect": "sqlite", "sql": ["CREATE TABLE t (a)"]})
    assert sqlite == replace(facts, on_delete={})
    assert enriched(facts, None) is facts
    odd = {"dialect": "postgresql", "tables": [3, {"name": "t", "indexes": "x", "checks": [None]}]}
    assert enriched(facts, odd).indexes == {}


def test_a_default_schema_other_than_public_is_the_one_that_names_leave_out(
    postgres_database: str, tmp_path: Path
) -> None:
    name = postgres_database.rsplit("/", 1)[1]
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(
            f'CREATE SCHEMA app; ALTER DATABASE "{name}" SET search_path = app;'
            "CREATE TABLE app.t (a int); INSERT INTO app.t VALUES (1); CREATE TABLE public.u (a int)".encode()
        )
    with connect(parse_url(postgres_database, "a test"), directory=tmp_path) as database:
        facts = enriched(database.facts(), database.catalogue())
    assert facts.default_schema == "app"
    levels = {
        table: verdict(f"CREATE INDEX i ON {table} (a)", facts).risk
        for table in ("t", "app.t", "public.u", "u", "public.t")
    }
    tiny, unknown = Risk.LOW, Risk.MEDIUM
    assert levels == {
        "t": tiny,
        "app.t": tiny,
        "public.u": tiny,
        "u": unknown,
        "public.t": unknown,
    }


HISTORY = {
    "dialect": "postgresql",
    "default_schema": "public",
    "tables": [
        {
            "schema": "public",
            "name": name,
            "partitioned": name == "logs",
            "partition_of": ["public", "logs"] if name == "logs_1" else None,
            "columns": [{"name": "id", "nullable": False}, {"name": "a", "nullable": True}],
            "indexes": [
                {"name": f"{name}_{column}", "column_names": [column], "unique": True}
                for column in ("id", "a")
            ],
        }
        for name in ("logs", "logs_1", "t")
    ],
}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("ALTER TABLE t ADD PRIMARY KEY USING INDEX t_a", {("DG206", Risk.HIGH)}),
        ("ALTER TABLE t ADD PRIMARY KEY USING INDEX t_id", set()),
        ("DROP INDEX CONCURRENTLY logs_a", {("DG213", Risk.HIGH)}),
        ("DROP INDEX CONCURRENTLY t_a", set()),
    ],
)
def test_what_the_history_made_is_weighed_without_a_database(
    sql: str, found: set[tuple[str, Risk]]
) -> None:
    told = verdict(sql, enriched(Facts("postgresql"), HISTORY))
    ours = {"DG206", "DG213"}
    assert {(one.rule, one.risk) for one in told.findings if one.rule in ours} == found


def test_the_locks_of_partitions_that_the_history_made_are_told() -> None:
    told = verdict("ALTER TABLE logs ADD COLUMN b int", enriched(Facts("postgresql"), HISTORY))
    assert [lock.relation for lock in told.locks] == ["logs", "logs_1"]


def test_a_snapshot_tells_what_is_partitioned_and_which_domains_have_a_constraint(
    postgres_database: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA app; CREATE DOMAIN amount AS int CHECK (VALUE > 0); CREATE DOMAIN app.code AS text NOT NULL;"
            " CREATE DOMAIN title AS text; CREATE TABLE t (a int);"
            " CREATE TABLE app.e (id int, year int) PARTITION BY LIST (year)"
        )
    with connect(
        parse_url(postgres_database, "a test"), directory=tmp_path, address=None
    ) as database:
        facts = enriched(database.facts(), database.catalogue())
    assert facts.domains == {"amount", "app.code"}
    assert (facts.partitioned, facts.plain_tables) == ({"app.e"}, {"t"})


KNOWN = Facts(
    "postgresql",
    domains=frozenset({"amount"}),
    partitioned=frozenset({"e"}),
    plain_tables=frozenset({"t"}),
)


@pytest.mark.parametrize(
    ("sql", "rules"),
    [
        ("ALTER TABLE t ADD COLUMN paid amount", {"DG302"}),
        ("ALTER TABLE t ADD COLUMN paid other", set()),
        ("DROP DOMAIN amount; ALTER TABLE t ADD COLUMN paid amount", {"DG107"}),
        ("ALTER DOMAIN title SET NOT NULL; ALTER TABLE t ADD COLUMN a title", {"DG211", "DG302"}),
        # ONLY leaves nothing out where there are no partitions.
        ("CREATE INDEX ix ON ONLY t (a)", {"DG201"}),
        ("CREATE INDEX ix ON ONLY e (a)", set()),
        ("CREATE INDEX ix ON ONLY unknown (a)", set()),
        ("ALTER TABLE e ADD FOREIGN KEY (a) REFERENCES t (a) NOT VALID", {"DG213"}),
        ("ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES t (a) NOT VALID", set()),
    ],
)
def test_what_the_schema_tells_decides(sql: str, rules: set[str]) -> None:
    assert {one.rule for one in verdict(sql, KNOWN).findings} == rules
