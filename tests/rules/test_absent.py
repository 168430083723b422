"""What a live database shows not to exist is not lost; whatever is not sure is."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import connect
from deployguard.model import Facts, Json, Opacity, Opaque, Risk
from deployguard.rules import enriched, judge
from tests.rules.test_catalogue import verdict

CATALOGUE: dict[str, Json] = {
    "format": 1,
    "dialect": "postgresql",
    "default_schema": "public",
    "schemas": ["public", "app"],
    "tables": [
        {
            "schema": "public",
            "name": "orders",
            "columns": [{"name": "id"}, {"name": "note"}],
            "primary_key": {"name": "orders_pkey", "columns": ["id"]},
            "checks": [{"name": "ck", "sqltext": "id > 0"}],
            "indexes": [{"name": "ix_orders", "column_names": ["note"]}],
        },
    ],
    "views": [{"schema": "app", "name": "totals", "columns": [], "indexes": []}],
}
ASKED = Facts("postgresql", (16, 0), tables=())
LIVE = enriched(ASKED, CATALOGUE)
GONE = [
    "DROP TABLE IF EXISTS ghost",
    "DROP TABLE IF EXISTS public.ghost CASCADE",
    "ALTER TABLE orders DROP COLUMN IF EXISTS ghost",
    "DROP INDEX IF EXISTS ghost",
    "DROP VIEW IF EXISTS ghost",
    "ALTER TABLE orders DROP CONSTRAINT IF EXISTS ghost",
    "CREATE OR REPLACE VIEW ghost AS SELECT 1 AS a",
]


@pytest.mark.parametrize("sql", GONE)
def test_what_is_not_there_is_not_lost(sql: str) -> None:
    assert verdict(sql, Facts("postgresql")).risk > Risk.LOW
    found = verdict(sql, LIVE)
    assert found.risk is Risk.LOW
    assert [one.relation for one in found.locks] == []


@pytest.mark.parametrize("sql", GONE)
def test_a_schema_that_was_replayed_shows_nothing_to_be_absent(sql: str) -> None:
    replayed = {key: value for key, value in CATALOGUE.items() if key != "format"}
    for facts in (enriched(ASKED, replayed), enriched(Facts("postgresql"), CATALOGUE)):
        assert verdict(sql, facts).risk > Risk.LOW


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE IF EXISTS orders",
        "DROP TABLE IF EXISTS totals",
        "DROP TABLE IF EXISTS pg_catalog.ghost",
        "DROP TABLE IF EXISTS elsewhere.ghost",
        'DROP TABLE IF EXISTS "a ghost"',
        "ALTER TABLE orders DROP COLUMN IF EXISTS note",
        "ALTER TABLE other DROP COLUMN IF EXISTS ghost",
        "DROP INDEX IF EXISTS ix_orders",
        "ALTER TABLE orders DROP CONSTRAINT IF EXISTS ck",
        "ALTER TABLE orders DROP CONSTRAINT IF EXISTS orders_pkey",
        "DROP TYPE IF EXISTS ghost",
        "CREATE OR REPLACE VIEW totals AS SELECT 1 AS a",
        "SET search_path TO tenant; DROP TABLE IF EXISTS ghost",
        "ALTER TABLE orders RENAME TO ghost; DROP TABLE IF EXISTS ghost",
        "ALTER TABLE orders RENAME COLUMN note TO ghost; ALTER TABLE orders DROP COLUMN IF EXISTS ghost",
        "ALTER INDEX ix_orders RENAME TO ghost; DROP INDEX IF EXISTS ghost",
        "ALTER TABLE tenant.ghost SET SCHEMA public; DROP TABLE IF EXISTS ghost",
        "DO $$ BEGIN PERFORM f(); END $$; DROP TABLE IF EXISTS ghost",
    ],
)
def test_what_is_there_or_may_be_keeps_its_level(sql: str) -> None:
    last = sql.rpartition(";")[2]
    found = verdict(sql, LIVE)
    line = sql.count("; ") + (-1 if "PERFORM" in sql else 1)
    assert any(one.risk > Risk.LOW and one.line == line for one in found.findings), last


def test_behind_what_could_not_be_read_nothing_is_absent() -> None:
    seen = verdict("DROP TABLE IF EXISTS ghost", LIVE).revision
    up = replace(seen.up, opacities=(Opacity(Opaque.GUARDED, 1, "it depends on the tables"),))
    [hidden] = judge((replace(seen, up=up),), LIVE)
    assert "DG101" in {one.rule for one in hidden.findings}
    before = replace(seen, id="before", up=replace(up, statements=()))
    last = judge((before, seen), LIVE)[-1]
    assert "DG101" in {one.rule for one in last.findings}


def test_a_real_database_shows_what_it_does_not_have(
    postgres_database: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute("CREATE TABLE orders (id int PRIMARY KEY, note text)")
    with connect(parse_url(postgres_database, "a test"), directory=tmp_path, address=None) as at:
        facts = enriched(at.facts(), at.catalogue())
    assert verdict("DROP TABLE IF EXISTS ghost", facts).risk is Risk.LOW
    assert verdict("DROP TABLE IF EXISTS orders", facts).risk is Risk.CRITICAL
