"""The safe form that a finding offers is one: it runs through Alembic on a real server, and passes the book itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployguard.model import Body, Evidence, Facts, Finding, Revision, Risk, Script, Statement
from deployguard.operations import Unrecognised
from deployguard.rules import judge
from deployguard.rules.examples import read
from deployguard.rules.forms.stages import NEXT_RELEASE, NEXT_REVISION
from deployguard.sql import lower
from tests.support import postgres

SCHEMA = """
CREATE SCHEMA app;
CREATE TYPE app.mood AS ENUM ('ok');
CREATE TABLE app.users (id int, "select" int, email text, name text, CONSTRAINT users_both UNIQUE (id, "select"));
ALTER TABLE app.users ADD PRIMARY KEY (id);
CREATE TABLE app.orders (
    id int NOT NULL, a int, b int, "Kind" text, user_id int, price numeric(10,2), note text, total int, "order" text);
CREATE INDEX ix_old ON app.orders (a);
INSERT INTO app.users VALUES (1, 1, 'a@x', 'n');
INSERT INTO app.orders VALUES (1, 1, 1, 'k', 1, 5, 'n', 7, 'o');
"""
# rule → what is dangerous; its safe form must run, and be judged to be safe.
DANGEROUS = {
    "DG201 unique": "CREATE UNIQUE INDEX ix ON app.orders (a, b)",
    "DG201 plain": "CREATE INDEX ix2 ON app.orders USING btree (a)",
    "DG201 unnamed": 'CREATE INDEX ON app.orders ("Kind", "order")',
    "DG201 partial": "CREATE INDEX ix ON app.orders USING hash (note) WHERE note <> ':x' AND note LIKE '50%'",
    "DG201 expression": "CREATE UNIQUE INDEX IF NOT EXISTS ix ON app.orders (lower(note) DESC) INCLUDE (a)",
    "DG202": "DROP INDEX app.ix_old",
    "DG202 exists": "DROP INDEX IF EXISTS app.nobody",
    "DG203": "ALTER TABLE app.orders ADD FOREIGN KEY (user_id) REFERENCES app.users (id)",
    "DG203 options": (
        'ALTER TABLE app.orders ADD CONSTRAINT "Fk" FOREIGN KEY (user_id, a) REFERENCES app.users (id, "select")'
        " MATCH FULL ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED"
    ),
    "DG203 primary": "ALTER TABLE app.orders ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES app.users",
    "DG203 column": "ALTER TABLE app.orders ADD COLUMN u int NOT NULL DEFAULT 1 REFERENCES app.users (id)",
    "DG204": "ALTER TABLE app.orders ADD CONSTRAINT ck CHECK (price > 0 AND note <> '{x}:y')",
    "DG204 unnamed": "ALTER TABLE app.orders ADD CHECK (\"Kind\" <> '')",
    "DG204 column": "ALTER TABLE app.orders ADD COLUMN paid numeric(8,2) DEFAULT 1 CHECK (paid > 0)",
    "DG205": 'ALTER TABLE app.orders ADD UNIQUE (a, "Kind")',
    "DG205 column": "ALTER TABLE app.orders ADD COLUMN code varchar(20) UNIQUE",
    "DG206": "ALTER TABLE app.orders ADD PRIMARY KEY (a, b)",
    "DG208": "ALTER TABLE app.orders ALTER COLUMN note SET NOT NULL",
    "DG208 mixed": 'ALTER TABLE app.orders ALTER COLUMN "Kind" SET NOT NULL',
    "DG211": "REINDEX TABLE app.orders",
    "DG301": "ALTER TABLE app.orders ALTER COLUMN total TYPE bigint",
    "DG108": "-- was: app.orders.note text\nALTER TABLE app.orders ALTER note TYPE varchar(3)",
    "DG302": "ALTER TABLE app.orders ADD COLUMN token uuid NOT NULL DEFAULT gen_random_uuid()",
    "DG303 serial": "ALTER TABLE app.orders ADD COLUMN number bigserial",
    "DG303 identity": "ALTER TABLE app.orders ADD COLUMN number int GENERATED ALWAYS AS IDENTITY",
    "DG303 stored": "ALTER TABLE app.orders ADD COLUMN twice int GENERATED ALWAYS AS (a * 2) STORED",
    "DG402": "ALTER TABLE app.orders RENAME TO purchases",
    "DG403": "ALTER TABLE app.orders ADD COLUMN due date NOT NULL",
    "DG403 enum": "ALTER TABLE app.orders ADD COLUMN mood app.mood NOT NULL",
    "DG407": "ALTER TYPE app.mood ADD VALUE 'it''s' BEFORE 'ok'",
    "DG501": "CREATE INDEX CONCURRENTLY ix ON app.orders (note)",
}
# By nature the end of these is what was found: it only comes a release later, with a backup.
ENDS_IN_ITSELF = {
    "DG101": "DROP TABLE app.orders",
    "DG102": 'ALTER TABLE app.orders DROP COLUMN "Kind"',
}


# What the deploy between two releases does to the old rows.
FILLED = {
    "DG302": "UPDATE app.orders SET token = gen_random_uuid()",
    "DG303 identity": "UPDATE app.orders SET number = nextval('app.orders_number_seq')",
    "DG403": "UPDATE app.orders SET due = now()",
    "DG403 enum": "UPDATE app.orders SET mood = 'ok'",
}


@dataclass(frozen=True, slots=True)
class Stage:
    """What one revision runs, and whether a deploy of the application lies between it and the one before."""

    code: str
    release: bool


def finding(code: str, sql: str) -> Finding:
    revisions, facts = read(sql)
    found = [one for verdict in judge(revisions, facts) for one in verdict.findings]
    return next(one for one in found if one.rule == code)


def stages(form: str) -> list[Stage]:
    found = [Stage("", release=True)]
    for line in form.splitlines():
        if line.startswith((NEXT_REVISION, NEXT_RELEASE)):
            found.append(Stage("", release=line.startswith(NEXT_RELEASE)))
        found[-1] = Stage(f"{found[-1].code}{line}\n", found[-1].release)
    return found


def pasted(code: str) -> str:
    body = "\n".join(f"    {line}" for line in code.splitlines() if line.strip())
    return f"def upgrade():\n{body}\n    return None\n"


def run(engine: sa.Engine, form: str, fill: str = "") -> list[tuple[bool, list[tuple[str, bool]]]]:
    """Run each stage as Alembic does, in a transaction of its own: (release?, [(SQL, in a transaction?)])."""
    done: list[tuple[bool, list[tuple[str, bool]]]] = []
    with engine.connect() as connection:
        seen: list[tuple[str, bool]] = []

        @sa.event.listens_for(connection, "before_cursor_execute")
        def note(link: sa.Connection, cursor: object, statement: str, *rest: object) -> None:
            raw = link.connection.driver_connection
            seen.append((statement.replace("%%", "%"), not raw.autocommit))

        context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
        with Operations.context(context) as op:
            for stage in stages(form):
                if stage.release and done and fill:
                    with engine.begin() as batches:
                        batches.exec_driver_sql(fill)
                seen.clear()
                names = {"op": op, "sa": sa}
                exec(pasted(stage.code), names)
                with context.begin_transaction(_per_migration=True):
                    names["upgrade"]()
                # Alembic's own look whether IF [NOT] EXISTS applies is none of the form's statements.
                done.append((stage.release, [one for one in seen if "pg_catalog." not in one[0]]))
    return done


def releases(done: list[tuple[bool, list[tuple[str, bool]]]]) -> list[list[Revision]]:
    """The revisions that were run, those of one deploy together, as the rules get them."""
    found: list[list[Revision]] = []
    for number, (release, statements) in enumerate(done):
        script = Script(
            Body.PRESENT,
            1,
            tuple(
                Statement(text, 1, operations, inside)
                for sql, inside in statements
                for text, operations in lower(sql, "postgresql")
            ),
            own_transaction=True,
        )
        down = Script(
            Body.PRESENT, 1, (Statement("ANALYZE", 1, lower("ANALYZE", "postgresql")[0][1]),)
        )
        if release or not found:
            found.append([])
        found[-1].append(
            Revision(f"s{number}", (), "s.py", "", "", script, down, Evidence.RECORDED)
        )
    return found


def alarms(done: list[tuple[bool, list[tuple[str, bool]]]]) -> list[tuple[str, str]]:
    return [
        (one.rule, one.message)
        for revisions in releases(done)
        for verdict in judge(revisions, Facts("postgresql"))
        for one in verdict.findings
        if one.risk >= Risk.MEDIUM
    ]


@pytest.fixture(scope="module", params=[tree.version for tree in postgres.trees()])
def engine(request: pytest.FixtureRequest, postgres_pool: postgres.Pool) -> Iterator[sa.Engine]:
    server = postgres_pool(request.param)
    name = f"forms_{server.version}"
    url = server.create_database(name).replace("postgresql://", "postgresql+psycopg://", 1)
    made = sa.create_engine(url, poolclass=sa.NullPool)
    yield made
    made.dispose()
    server.drop_database(name)


@pytest.fixture
def fresh(engine: sa.Engine) -> sa.Engine:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql("DROP SCHEMA IF EXISTS app CASCADE")
        for statement in SCHEMA.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    return engine


@pytest.mark.parametrize("case", DANGEROUS)
def test_a_safe_form_runs_and_passes_the_book_itself(case: str, fresh: sa.Engine) -> None:
    form = finding(case.split(maxsplit=1)[0], DANGEROUS[case]).instead
    done = run(fresh, form, FILLED.get(case, ""))
    assert any(statements for _, statements in done), form
    operations = [
        one
        for revisions in releases(done)
        for revision in revisions
        for statement in revision.up.statements
        for one in statement.operations
    ]
    assert not any(isinstance(one, Unrecognised) for one in operations), form
    assert alarms(done) == [], form


@pytest.mark.parametrize("code", ENDS_IN_ITSELF)
def test_a_drop_is_put_off_to_the_next_release(code: str, fresh: sa.Engine) -> None:
    done = run(fresh, finding(code, ENDS_IN_ITSELF[code]).instead)
    assert [release for release, statements in done if statements] == [True]
    assert done[0][1] == []
    assert [rule for rule, _ in alarms(done)] == [code]


def test_a_safe_form_ends_where_the_dangerous_one_would(fresh: sa.Engine) -> None:
    """The constraint or index that comes out is the one that was asked for, options included."""

    def shape(sql: str) -> list[tuple[str, ...]]:
        with fresh.connect() as connection:
            return [tuple(map(str, row)) for row in connection.exec_driver_sql(sql)]

    seen = "SELECT conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint WHERE conrelid = 'app.orders'::regclass"
    indexes = "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indrelid = 'app.orders'::regclass"
    for case in ("DG203 options", "DG203", "DG204", "DG205", "DG201 partial", "DG201 expression"):
        with fresh.begin() as connection:
            before = set(shape(seen)) | set(shape(indexes))
            nested = connection.begin_nested()
            connection.exec_driver_sql(DANGEROUS[case].replace("%", "%%"))
            wanted = {tuple(map(str, row)) for row in connection.exec_driver_sql(seen)}
            wanted |= {tuple(map(str, row)) for row in connection.exec_driver_sql(indexes)}
            nested.rollback()
        run(fresh, finding(case.split(maxsplit=1)[0], DANGEROUS[case]).instead)
        got = set(shape(seen)) | set(shape(indexes))
        assert got - before == wanted - before, case
        with fresh.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA app CASCADE")
        with fresh.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in SCHEMA.split(";\n"):
                if statement.strip():
                    connection.exec_driver_sql(statement)


ODD = st.one_of(
    st.sampled_from(["select", "Order", "user", "a b", "x" * 63, "Ünïcode", "50%", "a:b", "it's", "Ta$k", "table"]),
    st.text(
        st.characters(codec="ascii", categories=("Lu", "Ll", "Nd", "Pd", "Zs", "Po"), exclude_characters='"\\.\x00'),
        min_size=1,
        max_size=63,
    ).filter(lambda name: name.strip() == name),
)  # fmt: skip
TEMPLATES = (
    ("DG201", "CREATE UNIQUE INDEX {i} ON {t} ({c})"),
    ("DG203", "ALTER TABLE {t} ADD FOREIGN KEY ({c}) REFERENCES {o} ({d}) ON DELETE CASCADE"),
    ("DG204", "ALTER TABLE {t} ADD CHECK ({c} > 0)"),
    ("DG205", "ALTER TABLE {t} ADD CONSTRAINT {i} UNIQUE ({c})"),
    ("DG208", "ALTER TABLE {t} ALTER COLUMN {c} SET NOT NULL"),
    ("DG302", "ALTER TABLE {t} ADD COLUMN {n} double precision DEFAULT random()"),
    ("DG303", "ALTER TABLE {t} ADD COLUMN {n} serial"),
    ("DG402", "ALTER TABLE {t} RENAME TO {n}"),
    ("DG403", "ALTER TABLE {t} ADD COLUMN {n} text NOT NULL"),
)


@pytest.fixture(scope="module")
def newest(postgres_pool: postgres.Pool) -> Iterator[sa.Engine]:
    server = postgres_pool(max(tree.version for tree in postgres.trees()))
    url = server.create_database("odd_names").replace("postgresql://", "postgresql+psycopg://", 1)
    made = sa.create_engine(url, poolclass=sa.NullPool)
    yield made
    made.dispose()
    server.drop_database("odd_names")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(TEMPLATES), st.lists(ODD, min_size=6, max_size=6, unique_by=str.lower))
def test_odd_names_are_spelled_as_they_are(
    newest: sa.Engine, template: tuple[str, str], names: list[str]
) -> None:
    code, text = template
    own, other, column, there, new, index = (f'"{name}"' for name in names)
    schema = f'"s {names[0][:20]}"'
    sql = text.format(t=f"{schema}.{own}", o=f"{schema}.{other}", c=column, d=there, n=new, i=index)
    with newest.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for made in (
            f"DROP SCHEMA IF EXISTS {schema} CASCADE",
            f"CREATE SCHEMA {schema}",
            f"CREATE TABLE {schema}.{other} ({there} int PRIMARY KEY)",
            f"CREATE TABLE {schema}.{own} ({column} int)",
        ):
            connection.exec_driver_sql(made.replace("%", "%%"))
    form = finding(code, sql).instead
    done = run(newest, form)
    assert any(statements for _, statements in done), form
    assert alarms(done) == [], form
