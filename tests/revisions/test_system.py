"""What a query of the system catalogue is answered without a server is what the server answers."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from deployguard.config.url import parse_url
from deployguard.database import connect
from deployguard.model import Json, Opaque
from deployguard.revisions.recorder.catalogue import Catalogue
from deployguard.revisions.recorder.ddl_text import advance
from deployguard.revisions.recorder.system import ask
from tests.revisions.projects import chain, named, opaque, reading, sql

SCHEMA = (
    "CREATE SCHEMA sales",
    "CREATE TYPE mood AS ENUM ('sad', 'ok')",
    (
        "CREATE TABLE orders (id integer PRIMARY KEY, note character varying(20), at timestamp with time zone,"
        " feeling mood, Upper integer UNIQUE)"
    ),
    "CREATE TABLE sales.lines (id bigint NOT NULL, order_id integer, n smallint NOT NULL)",
    "ALTER TABLE sales.lines ADD CONSTRAINT lines_order_fk FOREIGN KEY (order_id) REFERENCES orders (id)",
    "ALTER TABLE sales.lines ADD CONSTRAINT positive CHECK (n > 0)",
    "CREATE INDEX ix_lines_order ON sales.lines (order_id)",
    "CREATE UNIQUE INDEX ux_orders_note ON orders (note)",
    "CREATE VIEW big AS SELECT id FROM orders",
    "CREATE MATERIALIZED VIEW frozen AS SELECT id FROM orders",
    "CREATE SEQUENCE numbers",
)
ASKED = [
    "SELECT column_name FROM information_schema.columns WHERE table_name = 'orders' ORDER BY ordinal_position",
    "SELECT 1 FROM information_schema.columns WHERE table_name='orders' AND column_name='missing'",
    "SELECT EXISTS (SELECT 1 FROM information_schema.columns WHERE table_schema = 'sales' AND column_name = 'n')",
    "SELECT is_nullable FROM information_schema.columns WHERE table_name = 'lines' AND column_name = 'n'",
    (
        "SELECT data_type, character_maximum_length, udt_name FROM information_schema.columns "
        "WHERE table_name = 'orders' ORDER BY ordinal_position"
    ),
    "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema() ORDER BY 1",
    (
        "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema NOT IN "
        "('pg_catalog', 'information_schema') ORDER BY 1"
    ),
    "select exists(select from information_schema.schemata where schema_name = 'sales')",
    "SELECT count(*) FROM information_schema.schemata WHERE schema_name LIKE 'SALES'",
    (
        "SELECT constraint_name, constraint_type FROM information_schema.table_constraints "
        "WHERE table_name = 'lines' AND constraint_type <> 'CHECK'"
    ),
    (
        "SELECT tc.constraint_name FROM information_schema.table_constraints AS tc JOIN "
        "information_schema.key_column_usage AS kcu ON tc.constraint_name = kcu.constraint_name "
        "WHERE tc.constraint_type = 'FOREIGN KEY' AND kcu.column_name = 'order_id'"
    ),
    (
        "SELECT ccu.table_name, ccu.column_name FROM information_schema.constraint_column_usage ccu "
        "WHERE ccu.constraint_name = 'lines_order_fk'"
    ),
    "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname",
    "SELECT 1 FROM pg_indexes WHERE \"indexname\" = 'ix_lines_order' AND tablename = 'lines'",
    "SELECT 1 FROM pg_type WHERE typname = 'mood'",
    "SELECT typtype FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE typname = 'orders'",
    "SELECT 1 FROM pg_type WHERE typname = 'happiness'",
    "SELECT 1 FROM pg_type WHERE typname = 'jsonb'",
    (
        "SELECT e.enumlabel FROM pg_enum e JOIN pg_type t ON e.enumtypid = t.oid WHERE t.typname = 'mood' "
        "ORDER BY e.enumsortorder"
    ),
    (
        "SELECT conname, contype FROM pg_constraint WHERE conrelid = 'sales.lines'::regclass AND contype <> 'n' "
        "ORDER BY conname"
    ),
    (
        "SELECT conname FROM pg_catalog.pg_constraint c JOIN pg_class t ON c.conrelid = t.oid "
        "WHERE t.relname = 'orders' AND c.contype = 'p'"
    ),
    "SELECT conname FROM pg_constraint WHERE conname = ANY(ARRAY['positive', 'negative'])",
    (
        "SELECT relkind FROM pg_class WHERE relname IN ('big', 'frozen', 'numbers', 'ux_orders_note', 'orders') "
        "ORDER BY relname"
    ),
    (
        "SELECT attname FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attnum > 0 AND NOT attisdropped "
        "AND attnotnull ORDER BY attnum"
    ),
    "SELECT to_regclass('public.orders') IS NOT NULL",
    "SELECT to_regclass('public.missing') IS NULL AS gone",
    (
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indisunique AND "
        "NOT i.indisprimary AND c.relname NOT LIKE 'pg%' ORDER BY 1"
    ),
    "SELECT extname FROM pg_extension",
    "SELECT schemaname, tablename FROM pg_tables WHERE schemaname = ANY(current_schemas(false))",
    "SELECT matviewname FROM pg_matviews WHERE true",
    "SELECT viewname FROM pg_catalog.pg_views WHERE schemaname = 'public'",
    "SELECT count(*)::int FROM information_schema.columns WHERE column_name::text ILIKE 'ID' AND table_name IN ('orders', 'lines', 'frozen')",
]
NOT_ANSWERED = [
    "SELECT reltuples FROM pg_class WHERE relname = 'orders'",
    "SELECT column_default FROM information_schema.columns WHERE table_name = 'orders'",
    "SELECT pg_get_constraintdef(oid) FROM pg_constraint",
    "SELECT relname FROM pg_class WHERE relname ~ '^ord'",
    "SELECT n_live_tup FROM pg_stat_user_tables",
    "SELECT 1 FROM pg_roles WHERE rolname = 'app'",
    "SELECT o.id FROM orders o, pg_class c",
]


@pytest.fixture
def database(postgres_database: str) -> str:
    with psycopg.connect(postgres_database) as connection:
        for statement in SCHEMA:
            connection.execute(statement)  # type: ignore[arg-type]  # text of our own
    return postgres_database


def test_the_answers_are_those_of_the_server(database: str, tmp_path: Path) -> None:
    with connect(parse_url(database, "the test"), directory=tmp_path) as live:
        read = live.catalogue()
    assert isinstance(read, dict)
    known = Catalogue(read)
    replayed = Catalogue(None)
    for statement in SCHEMA:
        advance(replayed, statement)
    replayed.tables["public", "frozen"].kind = "materialized view"
    wrong = []
    with psycopg.connect(database) as connection:
        for query in ASKED:
            true = connection.execute(query).fetchall()  # type: ignore[arg-type]  # text of our own
            for where, catalogue in (("live", known), ("replayed", replayed)):
                answer = ask(catalogue, query, {})
                if where == "replayed" and ("column_name FROM" in query or "relkind" in query):
                    continue  # columns of views are not known there
                if answer is None or answer[1] != true:
                    wrong.append((where, query, answer and answer[1], true))
    assert wrong == []


@pytest.mark.parametrize("query", NOT_ANSWERED)
def test_what_is_not_known_is_not_answered(query: str) -> None:
    catalogue = Catalogue(None)
    for statement in SCHEMA:
        advance(catalogue, statement)
    assert ask(catalogue, query, {}) is None


def test_nothing_is_sure_after_code_that_runs_in_the_server() -> None:
    catalogue = Catalogue(None)
    query = "SELECT 1 FROM pg_tables WHERE tablename = 'orders'"
    assert ask(catalogue, query, {}) == (["1"], [])
    advance(catalogue, "DO $$ BEGIN CREATE TABLE orders (id int); END $$")
    assert ask(catalogue, query, {}) is None


LIVE: Json = {
    "dialect": "postgresql",
    "tables": [{"schema": "public", "name": "t", "columns": [{"name": "x", "type": "text"}]}],
}
QUERY = "SELECT 1 FROM information_schema.columns WHERE table_name = :t AND column_name = :c"


@pytest.mark.parametrize("column", ["x", "y"])
def test_a_question_that_the_targets_catalogue_answers_is_no_reason_to_doubt(
    tmp_path: Path, column: str
) -> None:
    body = f"""
        found = op.get_bind().execute(sa.text({QUERY!r}), {{"t": "t", "c": {column!r}}}).fetchone()
        if found is None:
            op.add_column("t", sa.Column({column!r}, sa.Text))
            op.execute("UPDATE t SET {column} = ''")
    """
    up = named(reading(chain(tmp_path, body), catalogue=LIVE), "r1").up
    assert opaque(up) == {}
    assert len([text for text in sql(up) if "SELECT" not in text]) == (2 if column == "y" else 0)


def test_a_question_that_it_cannot_answer_is_one(tmp_path: Path) -> None:
    body = """
        if op.get_bind().execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = 'app'")).scalar():
            op.execute("GRANT SELECT ON t TO app")
    """
    up = named(reading(chain(tmp_path, body), catalogue=LIVE), "r1").up
    assert opaque(up) == {Opaque.GUARDED: 12}
