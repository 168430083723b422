"""Upgrade and downgrade replayed: what is left over is told, it is told truly, and nothing is told of what is not known."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployguard.model import Facts
from deployguard.operations import Operation
from deployguard.rules.context import Context
from deployguard.rules.inverse import Comparison, compare
from deployguard.sql import lower, split
from tests.support import postgres

KEY = Context.start(Facts("postgresql")).key
BEFORE = {("t", "a"): "integer", ("t", "b"): "text"}
AFTER = {("t", "a"): "bigint"}
# What the tests' server has before each upgrade.
SCHEMA = """
CREATE TABLE u (id int PRIMARY KEY);
CREATE TYPE m AS ENUM ('a', 'b');
CREATE TABLE t (a int, b text DEFAULT 'x', c m, d int, CONSTRAINT c CHECK (d > 0), CONSTRAINT k UNIQUE (d));
CREATE INDEX i ON t (b);
CREATE VIEW v AS SELECT a FROM u, (SELECT 1 AS a) AS w;
CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE SCHEMA app;
CREATE TABLE app.w (a int);
"""
# (upgrade, downgrade): it leads back.
BACK = (
    ("CREATE TABLE n (a int)", "DROP TABLE n"),
    ("CREATE TABLE n (a int); CREATE INDEX j ON n (a)", "DROP INDEX j; DROP TABLE n"),
    ("CREATE TYPE y AS ENUM ('a'); CREATE TABLE n (a y)", "DROP TABLE n; DROP TYPE y"),
    ("ALTER TABLE t ADD COLUMN n int; CREATE INDEX j ON t (n)", "ALTER TABLE t DROP COLUMN n"),
    ("ALTER TABLE t ADD COLUMN n int; CREATE INDEX j ON t ((n + 1))", "ALTER TABLE t DROP COLUMN n"),
    ("ALTER TABLE t ADD COLUMN n int CHECK (n > 0)", "ALTER TABLE t DROP COLUMN n"),
    (
        "ALTER TABLE t ADD COLUMN n int UNIQUE",
        "ALTER TABLE t DROP CONSTRAINT t_n_key; ALTER TABLE t DROP COLUMN n",
    ),
    (
        "ALTER TABLE t ADD COLUMN n int; ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES u (id)",
        "ALTER TABLE t DROP CONSTRAINT t_n_fkey; ALTER TABLE t DROP COLUMN n",
    ),
    ("CREATE INDEX j ON app.w (a)", "DROP INDEX app.j"),
    (
        "CREATE INDEX j ON app.w (a); CREATE INDEX j ON t (a)",
        "DROP INDEX app.j; DROP INDEX j",
    ),
    (
        "CREATE INDEX j ON t (a); CREATE INDEX j ON app.w (a)",
        "DROP INDEX j; DROP INDEX app.j",
    ),
    ("CREATE INDEX ON t (a)", "DROP INDEX t_a_idx"),
    ("ALTER TABLE t RENAME TO s", "ALTER TABLE s RENAME TO t"),
    (
        "ALTER TABLE t RENAME TO s; ALTER TABLE s ADD COLUMN n int; CREATE INDEX j ON s (n)",
        "DROP INDEX j; ALTER TABLE s DROP COLUMN n; ALTER TABLE s RENAME TO t",
    ),
    ("ALTER TABLE t SET SCHEMA app", "ALTER TABLE app.t SET SCHEMA public"),
    ("ALTER TABLE t RENAME a TO z", "ALTER TABLE t RENAME z TO a"),
    ("ALTER INDEX i RENAME TO j", "ALTER INDEX j RENAME TO i"),
    ("ALTER TABLE t RENAME CONSTRAINT c TO e", "ALTER TABLE t RENAME CONSTRAINT e TO c"),
    ("ALTER TABLE t ALTER a SET NOT NULL", "ALTER TABLE t ALTER a DROP NOT NULL"),
    ("ALTER TABLE t ALTER a TYPE bigint", "ALTER TABLE t ALTER a TYPE int"),
    ("ALTER TABLE t ALTER a SET DEFAULT 5", "ALTER TABLE t ALTER a DROP DEFAULT"),
    ("ALTER TABLE t ALTER b DROP DEFAULT", "ALTER TABLE t ALTER b SET DEFAULT 'x'"),
    (
        "ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t ADD CONSTRAINT c CHECK (d > 1)",
        "ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t ADD CONSTRAINT c CHECK (d > 0)",
    ),
    (
        "CREATE UNIQUE INDEX q ON t (a); ALTER TABLE t ADD CONSTRAINT q UNIQUE USING INDEX q",
        "ALTER TABLE t DROP CONSTRAINT q",
    ),
    ("DROP INDEX IF EXISTS j; CREATE INDEX j ON t (a)", "DROP INDEX j"),
    ("CREATE VIEW w AS SELECT 1 AS a", "DROP VIEW w"),
    ("DROP INDEX i; DROP TABLE app.w", "CREATE TABLE app.w (a int); CREATE INDEX i ON t (b)"),
    ("CREATE SEQUENCE s", "DROP SEQUENCE s"),
    (
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "DROP TRIGGER g ON t",
    ),
    (
        (
            "ALTER TYPE m RENAME TO m2; CREATE TYPE m AS ENUM ('a', 'b', 'c');"
            " ALTER TABLE t ALTER c TYPE m USING c::text::m; DROP TYPE m2"
        ),
        (
            "ALTER TYPE m RENAME TO m3; CREATE TYPE m AS ENUM ('a', 'b');"
            " ALTER TABLE t ALTER c TYPE m USING c::text::m; DROP TYPE m3"
        ),
    ),
    (
        (
            "ALTER TABLE t ADD CONSTRAINT nn CHECK (a IS NOT NULL); ALTER TABLE t ALTER a SET NOT NULL;"
            " ALTER TABLE t DROP CONSTRAINT nn"
        ),
        "ALTER TABLE t ALTER a DROP NOT NULL",
    ),
)  # fmt: skip
# (upgrade, downgrade, a part of what is told): it runs, but does not lead back.
ELSEWHERE = (
    ("CREATE TYPE y AS ENUM ('a'); CREATE TABLE n (a y)", "DROP TABLE n", "leaves the type y"),
    ("CREATE TABLE n (a int); CREATE TABLE n2 (a int)", "DROP TABLE n", "leaves the table n2"),
    (
        "CREATE TABLE n (a int); CREATE INDEX j ON n (a)",
        "COMMENT ON TABLE t IS 'x'",
        "leaves the table n",
    ),
    (
        "ALTER TABLE t ADD COLUMN n int; ALTER TABLE t ADD COLUMN n2 int",
        "ALTER TABLE t DROP COLUMN n",
        "leaves the column t.n2",
    ),
    ("CREATE INDEX j ON t (a); CREATE INDEX j2 ON t (a)", "DROP INDEX j", "leaves the index j2"),
    (
        "CREATE INDEX j ON t (a)",
        "DROP INDEX i; DROP INDEX j",
        "drops the index i, which the upgrade did not make",
    ),
    ("DROP INDEX i", "COMMENT ON TABLE t IS 'x'", "does not bring back the index i"),
    ("ALTER TABLE t DROP CONSTRAINT c", "CREATE INDEX j ON t (a)", "not bring back the constraint c"),
    ("ALTER TABLE t RENAME TO s", "COMMENT ON TABLE s IS 'x'", "leaves the table t as s"),
    ("ALTER TABLE t RENAME a TO z", "ALTER TABLE t RENAME z TO y", "leaves the column t.a as y"),
    ("ALTER TABLE t ALTER a SET NOT NULL", "COMMENT ON TABLE t IS 'x'", "t.a NOT NULL"),
    ("ALTER TABLE t ALTER a TYPE bigint", "ALTER TABLE t ALTER a TYPE text", "the type text"),
    ("ALTER TABLE t ALTER a TYPE bigint", "COMMENT ON TABLE t IS 'x'", "with the type bigint"),
    ("ALTER TABLE t ALTER a SET DEFAULT 5", "COMMENT ON TABLE t IS 'x'", "with the default 5"),
    ("ALTER TABLE t DROP COLUMN a", "COMMENT ON TABLE t IS 'x'", "not bring back the column t.a"),
    ("DROP VIEW v", "COMMENT ON TABLE t IS 'x'", "does not bring back the view v"),
    ("CREATE SEQUENCE s", "COMMENT ON TABLE t IS 'x'", "leaves the sequence s"),
    (
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()",
        "COMMENT ON TABLE t IS 'x'",
        "leaves the trigger g of t",
    ),
    ("ALTER TABLE t ADD CHECK (a > 5)", "COMMENT ON TABLE t IS 'x'", "a constraint without a name"),
)  # fmt: skip
FAILS = (
    ("CREATE TABLE n (a int)", "CREATE TABLE n (a int)", "makes the table n, which is there already"),
    ("ALTER TABLE t DROP COLUMN a", "ALTER TABLE t DROP COLUMN a", "drops the column t.a"),
    ("ALTER TABLE t RENAME TO s", "ALTER TABLE t RENAME TO s", "renames the table t"),
    ("ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ALTER a DROP NOT NULL", "changes the column t.a"),
    ("DROP INDEX i", "DROP INDEX i", "drops the index i, which is not there"),
)  # fmt: skip
UNTOLD = (
    ("DO $$ BEGIN EXECUTE 'SELECT ' || 1; END $$", "ANALYZE t"),
    ("CREATE INDEX j ON t (a)", "SELECT tidy_up()"),
    ("CREATE TABLE IF NOT EXISTS n (a int)", "COMMENT ON TABLE t IS 'x'"),
    ("CREATE EXTENSION IF NOT EXISTS hstore", "COMMENT ON TABLE t IS 'x'"),
    ("DROP INDEX IF EXISTS j", "COMMENT ON TABLE t IS 'x'"),
    ("ALTER TABLE t ALTER a TYPE int", "COMMENT ON TABLE t IS 'x'"),
    ("ALTER TYPE m ADD VALUE 'z'", "COMMENT ON TABLE t IS 'x'"),
    ("DROP TABLE t", "CREATE TABLE t (a int); CREATE INDEX i ON t (a)"),
    ("ALTER TABLE t DROP COLUMN b", "ALTER TABLE t ADD COLUMN b text; CREATE INDEX i ON t (b)"),
)


def operations(sql: str, types: dict[tuple[str, str], str]) -> list[Operation]:
    return [one for _, found in lower(sql, "postgresql", old_types=types) for one in found]


def compared(up: str, down: str) -> Comparison:
    return compare(operations(up, BEFORE), operations(down, AFTER), KEY)


@pytest.mark.parametrize(("up", "down"), BACK)
def test_a_true_inverse_leaves_nothing_to_be_told(up: str, down: str) -> None:
    assert compared(up, down) == Comparison(unknown=False)


@pytest.mark.parametrize(("up", "down", "said"), ELSEWHERE)
def test_what_a_downgrade_forgets_is_told(up: str, down: str, said: str) -> None:
    found = compared(up, down)
    assert not found.fails
    assert len(found.left) == 1
    assert said in found.left[0]


@pytest.mark.parametrize(("up", "down", "said"), FAILS)
def test_what_a_downgrade_can_not_do_is_told(up: str, down: str, said: str) -> None:
    assert any(said in why for why in compared(up, down).fails)


@pytest.mark.parametrize(("up", "down"), UNTOLD)
def test_nothing_is_claimed_of_what_is_not_known(up: str, down: str) -> None:
    found = compared(up, down)
    assert (found.left, found.fails) == ((), ())


# --- the same on a real server ------------------------------------------------------------------

SHAPE = """
SELECT 'column', c.table_schema || '.' || c.table_name, c.column_name, c.data_type, c.udt_name, c.is_nullable, c.column_default
  FROM information_schema.columns c WHERE c.table_schema IN ('public', 'app')
UNION ALL SELECT 'index', indexrelid::regclass::text, '', pg_get_indexdef(indexrelid), '', '', ''
  FROM pg_index WHERE indrelid::regclass::text NOT LIKE 'pg_%'
UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid), '', '', ''
  FROM pg_constraint WHERE connamespace IN ('public'::regnamespace, 'app'::regnamespace)
UNION ALL SELECT 'type', typname, '', (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), '', '', ''
  FROM pg_type t WHERE typnamespace IN ('public'::regnamespace, 'app'::regnamespace) AND typtype = 'e'
UNION ALL SELECT 'relation', oid::regclass::text, relkind::text, '', '', '', ''
  FROM pg_class WHERE relnamespace IN ('public'::regnamespace, 'app'::regnamespace)
UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, '', '', '', '' FROM pg_trigger WHERE NOT tgisinternal
"""


@pytest.fixture(scope="module", params=[tree.version for tree in postgres.trees()])
def link(
    request: pytest.FixtureRequest, postgres_pool: postgres.Pool
) -> Iterator[psycopg.Connection]:
    server = postgres_pool(request.param)
    name = f"inverse_{server.version}"
    with psycopg.connect(server.create_database(name)) as connection:
        connection.execute(SCHEMA)
        connection.commit()
        yield connection
    server.drop_database(name)


def leads_back(link: psycopg.Connection, up: str, down: str) -> bool:
    """Whether the server's catalogue is the same after both; everything is rolled back."""
    before = set(link.execute(SHAPE))
    try:
        for statement in (*split(up, "postgresql"), *split(down, "postgresql")):
            link.execute(statement)
        return set(link.execute(SHAPE)) == before
    finally:
        link.rollback()


@pytest.mark.parametrize(("up", "down"), BACK)
def test_the_server_agrees_that_it_leads_back(link: psycopg.Connection, up: str, down: str) -> None:
    assert leads_back(link, up, down)


@pytest.mark.parametrize(("up", "down", "_said"), ELSEWHERE)
def test_the_server_agrees_that_it_does_not(
    link: psycopg.Connection, up: str, down: str, _said: str
) -> None:
    assert not leads_back(link, up, down)


@pytest.mark.parametrize(("up", "down", "_said"), FAILS)
def test_the_server_agrees_that_it_fails(
    link: psycopg.Connection, up: str, down: str, _said: str
) -> None:
    with pytest.raises(psycopg.Error):
        leads_back(link, up, down)


# --- any sequence of steps ----------------------------------------------------------------------

STEPS = st.sampled_from(
    (
        ("CREATE TABLE n{0} (a int)", "DROP TABLE n{0}"),
        ("ALTER TABLE t ADD COLUMN n{0} int", "ALTER TABLE t DROP COLUMN n{0}"),
        ("CREATE INDEX j{0} ON t (a)", "DROP INDEX j{0}"),
        ("ALTER TABLE t ADD CONSTRAINT c{0} CHECK (a > 0)", "ALTER TABLE t DROP CONSTRAINT c{0}"),
        ("CREATE TYPE y{0} AS ENUM ('a')", "DROP TYPE y{0}"),
        ("DROP INDEX o{0}", "CREATE INDEX o{0} ON t (a)"),
        ("ALTER TABLE t DROP CONSTRAINT d{0}", "ALTER TABLE t ADD CONSTRAINT d{0} CHECK (a > 0)"),
        ("ALTER TABLE o{0} RENAME TO r{0}", "ALTER TABLE r{0} RENAME TO o{0}"),
        ("ALTER TABLE t RENAME e{0} TO g{0}", "ALTER TABLE t RENAME g{0} TO e{0}"),
        ("ALTER TABLE t ALTER h{0} SET NOT NULL", "ALTER TABLE t ALTER h{0} DROP NOT NULL"),
        ("ALTER TABLE t ALTER h{0} SET DEFAULT 1", "ALTER TABLE t ALTER h{0} DROP DEFAULT"),
    )
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=6), st.data())
def test_the_steps_backwards_lead_back_and_one_too_few_does_not(
    steps: list[tuple[str, str]], data: st.DataObject
) -> None:
    ups = [up.format(number) for number, (up, _) in enumerate(steps)]
    downs = [down.format(number) for number, (_, down) in enumerate(steps)][::-1]
    assert compared("; ".join(ups), "; ".join(downs)) == Comparison(unknown=False)
    forgotten = data.draw(st.integers(0, len(downs) - 1))
    fewer = [*downs[:forgotten], *downs[forgotten + 1 :], "COMMENT ON TABLE t IS 'x'"]
    assert len(compared("; ".join(ups), "; ".join(fewer)).left) == 1
