"""What reaches the driver is recorded as it would reach a server: every way to run SQL, with line and transaction."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from deployguard.model import Opaque
from deployguard.operations import AlterType, ControlTransaction, RebuildTable, WriteRows
from tests.revisions.conftest import chosen
from tests.revisions.projects import (
    ENV,
    INTERPRETER,
    chain,
    detail,
    named,
    opaque,
    project,
    reading,
    revision,
    sql,
)
from tests.support import matrix

pytestmark = pytest.mark.usefixtures("main_versions")

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))'

WAYS = {
    'op.execute("UPDATE t SET n = 1")': ["UPDATE t SET n = 1"],
    'op.execute(sa.text("UPDATE t SET n = :v").bindparams(v=3))': ["UPDATE t SET n = $1"],
    "op.execute(\"SELECT '50%' LIKE '%'\")": ["SELECT '50%' LIKE '%'"],
    'op.get_bind().exec_driver_sql("UPDATE t SET n = %s", (3,))': ["UPDATE t SET n = $1"],
    'op.bulk_insert(sa.table("t", sa.column("n", sa.Integer)), [{"n": 1}, {"n": 2}])': [
        "INSERT INTO t (n) VALUES ($1)"
    ],
    """
    t = sa.table("t", sa.column("id"), sa.column("n"))
    op.execute(t.update().where(t.c.id == 4).values(n=5))
    """: ["UPDATE t SET n=$1 WHERE t.id = $2"],
    """
    cursor = op.get_bind().connection.cursor()
    cursor.execute("UPDATE t SET n = %(n)s", {"n": 1})
    """: ["UPDATE t SET n = $1"],
    """
    t = sa.table("t", sa.column("id", sa.Integer), sa.column("n"))
    new = op.get_bind().execute(t.insert().values(n=5).returning(t.c.id)).scalar_one()
    assert isinstance(new, int)
    """: ["INSERT INTO t (n) VALUES ($1) RETURNING t.id"],
    """
    from sqlalchemy.orm import Session, declarative_base
    Base = declarative_base()
    class T(Base):
        __tablename__ = "t"
        id = sa.Column(sa.Integer, primary_key=True)
        n = sa.Column(sa.Integer)
    session = Session(bind=op.get_bind())
    session.add_all([T(n=1), T(n=2)])
    session.flush()
    """: None,
    """
    async def work(connection):
        await connection.execute(sa.text("UPDATE t SET n = 7"))
    op.run_async(work)
    """: None,
}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.strip().splitlines()[-1].strip())
def test_every_way_to_run_sql_is_seen(tmp_path: Path, way: str) -> None:
    asynchronous = "run_async" in way
    folder = chain(tmp_path, TABLE, way, env=ASYNC_ENV if asynchronous else ENV)
    url = "postgresql+asyncpg://x:x@127.0.0.1:1/app" if asynchronous else None
    up = named(reading(folder, url=url), "r2").up
    assert Opaque.FAILED not in opaque(up), up.opacities
    expected = WAYS[way]
    assert [text.replace("::INTEGER", "") for text in sql(up)] == expected or expected is None
    assert (
        any(
            isinstance(operation, WriteRows)
            for one in up.statements
            for operation in one.operations
        )
        or "SELECT" in sql(up)[0]
    )
    assert up.statements[0].line >= 12


ASYNC_ENV = """\
import asyncio, os
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

def run(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine(os.environ["DATABASE_URL"])
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()
    await engine.dispose()

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("SELECT count(*) FROM t", "0"),
        ("SELECT EXISTS (SELECT 1 FROM t WHERE n > 1)", "False"),
        ("SELECT NOT EXISTS (SELECT 1 FROM t)", "True"),
        ("SELECT max(n) FROM t", "None"),
        ("SELECT 1", "1"),
        ("SELECT 'a,b' AS x, 2", "a,b"),
        ("SELECT n FROM t", "None"),
        ("SHOW server_version", "16.0"),
        ("SELECT current_schema()", "public"),
    ],
)
def test_queries_get_the_answer_of_an_empty_database(
    tmp_path: Path, query: str, value: str
) -> None:
    body = f"""
        answer = op.get_bind().execute(sa.text({query!r})).scalar()
        op.execute("COMMENT ON TABLE t IS '%s'" % answer)
    """
    up = named(reading(chain(tmp_path, TABLE, body)), "r2").up
    assert sql(up)[-1] == f"COMMENT ON TABLE t IS '{value}'"


def test_a_row_loop_is_data_dependent_and_its_writes_unseen(tmp_path: Path) -> None:
    body = """
        bind = op.get_bind()
        rows = bind.execute(sa.text("SELECT id FROM t")).fetchall()
        for row in rows:
            bind.execute(
                sa.text("UPDATE t SET n = 1 WHERE id = :id"), {"id": row.id}
            )
    """
    up = named(reading(chain(tmp_path, TABLE, body)), "r2").up
    assert opaque(up) == {Opaque.DATA_DEPENDENT: 13, Opaque.UNSEEN_WRITES: 15}
    assert all(opacity.writes for opacity in up.opacities)


def test_a_write_that_ran_does_not_cover_for_one_that_did_not(tmp_path: Path) -> None:
    body = """
        op.execute("UPDATE t SET n = 0")
        built = sa.text("DELETE FROM t")
        op.execute(built)
        for row in op.get_bind().execute(sa.text("SELECT id FROM t")):
            op.execute("UPDATE t SET n = 1")
    """
    up = named(reading(chain(tmp_path, TABLE, body)), "r2").up
    assert opaque(up) == {Opaque.DATA_DEPENDENT: 15, Opaque.UNSEEN_WRITES: 16}


@pytest.mark.parametrize(
    "statement",
    [
        "COMMENT ON TABLE t IS 'old; DELETE FROM t cleans up, 100%'",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN n := 1; DELETE FROM t; RETURN NEW; END $$",
        "COPY (SELECT n FROM t) TO STDOUT",
    ],
)
def test_a_text_that_ran_word_for_word_hides_no_write(tmp_path: Path, statement: str) -> None:
    up = named(reading(chain(tmp_path, TABLE, f"op.execute({statement!r})")), "r2").up
    assert Opaque.UNSEEN_WRITES not in opaque(up)


def test_the_same_text_elsewhere_does_not_cover_for_a_write_that_did_not_run(
    tmp_path: Path,
) -> None:
    body = """
        op.execute("COMMENT ON TABLE t IS 'a; DELETE FROM t'")
        for row in op.get_bind().execute(sa.text("SELECT id FROM t")):
            op.execute("COMMENT ON TABLE t IS 'a; DELETE FROM t'")
    """
    up = named(reading(chain(tmp_path, TABLE, body)), "r2").up
    assert Opaque.UNSEEN_WRITES in opaque(up)


def test_several_statements_in_one_string_are_one_transaction_outside_of_ours(
    tmp_path: Path,
) -> None:
    body = """
        op.execute("SELECT 1; SELECT 2")
        with op.get_context().autocommit_block():
            op.execute("SET lock_timeout = '2s'; DROP INDEX CONCURRENTLY i; -- done")
            op.execute("DROP INDEX CONCURRENTLY j;")
    """
    statements = named(reading(chain(tmp_path, TABLE, body)), "r2").up.statements
    assert [one.place for one in statements] == [0, 0, 1, 2, 0]


def test_autocommit_blocks_and_text_commits_leave_the_transaction(
    tmp_path: Path, main_versions: str
) -> None:
    body = """
        op.execute("UPDATE t SET n = 1")
        with op.get_context().autocommit_block():
            op.create_index("i", "t", ["n"], postgresql_concurrently=True)
        op.execute("UPDATE t SET n = 2")
        op.execute("COMMIT")
        op.execute("DROP INDEX CONCURRENTLY i")
    """
    folder = chain(tmp_path, TABLE, body)

    def transactions(driver: str) -> list[bool]:
        found = reading(folder, url=f"postgresql+{driver}://x:x@127.0.0.1:1/app")
        return [one.in_transaction for one in named(found, "r2").up.statements]

    # psycopg sees that the text ended the transaction and begins the next one; psycopg2 does not.
    if "-1.4-" not in main_versions:  # which has no dialect for psycopg
        assert transactions("psycopg") == [True, False, True, True, True]
    assert transactions("psycopg2") == [True, False, True, True, False]
    up = named(reading(folder), "r2").up
    assert opaque(up) == {Opaque.NON_ATOMIC: 14}


@pytest.mark.parametrize("how", ["bind.commit()", "bind.connection.commit()", "bind.rollback()"])
def test_what_a_revision_asks_the_driver_for_is_transaction_control(
    tmp_path: Path, how: str, main_versions: str
) -> None:
    if "-1.4-" in main_versions and how != "bind.connection.commit()":
        return  # its connections have neither
    body = f"""
        bind = op.get_bind()
        op.execute("UPDATE t SET n = 1")
        {how}
        op.execute("UPDATE t SET n = 2")
    """
    for dialect in ("postgresql", "sqlite"):
        folder = tmp_path / dialect
        folder.mkdir()
        up = named(reading(chain(folder, TABLE, body), dialect), "r2").up
        word = "ROLLBACK" if "rollback" in how else "COMMIT"
        assert sql(up) == ["UPDATE t SET n = 1", word, "UPDATE t SET n = 2"]
        assert up.statements[1].operations == (ControlTransaction(word.lower()),)
        assert up.statements[1].line == up.statements[0].line + 1


def test_work_on_another_connection_is_not_atomic(tmp_path: Path) -> None:
    body = """
        with op.get_bind().engine.begin() as other:
            other.execute(sa.text("UPDATE t SET n = 1"))
    """
    up = named(reading(chain(tmp_path, TABLE, body)), "r2").up
    assert sql(up) == ["UPDATE t SET n = 1"]
    assert opaque(up) == {Opaque.NON_ATOMIC: 13}


def test_each_script_says_whether_it_begins_a_transaction(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "all").mkdir()
    each = reading(chain(tmp_path / "one", TABLE))
    together = reading(chain(tmp_path / "all", TABLE, env=ENV.replace("True", "False")))
    assert named(each, "r1").up.own_transaction
    assert not named(together, "r1").up.own_transaction


def test_loops_and_helpers_keep_the_line_of_the_innermost_call(tmp_path: Path) -> None:
    head = """
        def index(column):
            op.create_index(
                f"ix_{column}", "t", [column]
            )
    """
    body = 'for column in ("a", "b"):\n    index(column)'
    text = revision("r1", None, body, head=head)
    line = next(n for n, text in enumerate(text.splitlines(), 1) if "op.create_index(" in text)
    up = named(reading(project(tmp_path, {"r1": text})), "r1").up
    assert [statement.line for statement in up.statements] == [line, line]


def test_each_change_that_a_copy_makes_has_the_line_of_its_operation(tmp_path: Path) -> None:
    body = """
    with op.batch_alter_table("t") as batch:
        batch.drop_column("n")
        batch.add_column(
            sa.Column("m", sa.Integer, nullable=True)
        )
    """
    folder = chain(tmp_path, TABLE, body)
    [file] = folder.glob("**/*r2*.py")
    lines = file.read_text().splitlines()
    up = named(reading(folder, dialect="sqlite"), "r2").up
    [rebuilt] = [
        one for each in up.statements for one in each.operations if isinstance(one, RebuildTable)
    ]
    assert rebuilt.changes is not None
    calls = {
        type(change).__name__: lines[at - 1].strip()
        for change, at in zip(rebuilt.changes, rebuilt.lines, strict=True)
    }
    assert calls == {"DropColumn": 'batch.drop_column("n")', "AddColumn": "batch.add_column("}


def test_what_a_batch_alters_one_by_one_keeps_the_line_of_each_operation(tmp_path: Path) -> None:
    body = """
    with op.batch_alter_table("t") as batch:
        batch.alter_column("n", nullable=False)
        for name in ("a", "b"):
            batch.add_column(
                sa.Column(name, sa.Integer, nullable=True)
            )
        batch.create_index("ix", ["n"])
    op.execute("UPDATE t SET n = 1")
    """
    folder = chain(tmp_path, TABLE, body)
    [file] = folder.glob("**/*r2*.py")
    lines = file.read_text().splitlines()
    up = named(reading(folder), "r2").up
    calls = [lines[one.line - 1].strip() for one in up.statements]
    assert calls == [
        'batch.alter_column("n", nullable=False)',
        "batch.add_column(",
        "batch.add_column(",
        'batch.create_index("ix", ["n"])',
        'op.execute("UPDATE t SET n = 1")',
    ]


def test_the_old_type_comes_from_the_schema_and_else_from_the_directive(tmp_path: Path) -> None:
    body = """
        op.alter_column("t", "n", type_=sa.BigInteger(), existing_type=sa.SmallInteger())
        op.alter_column("elsewhere", "m", type_=sa.Text(), existing_type=sa.String(9))
        op.execute("ALTER TABLE t ALTER COLUMN n TYPE numeric(10, 2)")
        op.alter_column("elsewhere", "unknown", type_=sa.Text())
    """
    up = named(reading(chain(tmp_path, TABLE, body)), "r2").up
    old = [
        operation.old_type
        for statement in up.statements
        for operation in statement.operations
        if isinstance(operation, AlterType)
    ]
    assert old == ["INTEGER", "VARCHAR(9)", "BIGINT", None]


def test_driver_calls_that_cannot_be_recorded_are_said(tmp_path: Path) -> None:
    body = """
        raw = op.get_bind().connection.driver_connection
        raw.lobject(0, "wb")
        raw.cursor().copy_expert("COPY t FROM STDIN", None)
    """
    up = named(reading(chain(tmp_path, TABLE, body)), "r2").up
    assert "lobject" in detail(up, Opaque.UNPARSED)
    assert sql(up) == ["COPY t FROM STDIN"]


def test_downgrades_are_read_from_the_last_to_the_first(tmp_path: Path) -> None:
    files = {
        "r1": revision("r1", None, TABLE, 'op.drop_table("t")'),
        "r2": revision(
            "r2", "r1", 'op.add_column("t", sa.Column("x", sa.Text))', "raise NotImplementedError"
        ),
        "r3": revision("r3", "r2", 'op.rename_table("t", "u")', 'op.rename_table("u", "t")'),
    }
    found = reading(project(tmp_path, files), "sqlite")
    assert sql(named(found, "r1").down) == ["DROP TABLE t"]
    assert sql(named(found, "r3").down) == ["ALTER TABLE u RENAME TO t"]
    assert [one.down.body.value for one in found.revisions] == ["present", "raises", "present"]


def test_an_env_that_migrates_several_schemas_says_the_same_once(tmp_path: Path) -> None:
    env = textwrap.dedent(
        """
        import os
        from alembic import context
        from sqlalchemy import create_engine

        engine = create_engine(os.environ["DATABASE_URL"])
        for tenant in ("one", "two", "three"):
            with engine.connect() as connection:
                context.configure(connection=connection, version_table_schema=tenant)
                with context.begin_transaction():
                    context.run_migrations(tenant=tenant)
        """
    )
    same = revision("r1", None, TABLE).replace("def upgrade()", "def upgrade(tenant)")
    differs = revision("r2", "r1", 'op.execute(f"UPDATE {tenant}.t SET n = 1")')
    files = {
        "r1": same.replace("def downgrade()", "def downgrade(tenant)"),
        "r2": differs.replace("def upgrade()", "def upgrade(tenant)"),
    }
    for dialect in ("postgresql", "sqlite"):
        folder = tmp_path / dialect
        folder.mkdir()
        found = reading(project(folder, files, env=env), dialect)
        assert len(named(found, "r1").up.statements) == 1
        assert len(named(found, "r2").up.statements) == 3


def test_many_rows_with_returning_are_one_statement(tmp_path: Path) -> None:
    if INTERPRETER[-1] == matrix.python("sqlalchemy-1.4-oldest"):
        pytest.skip("SQLAlchemy 1.4 has no such statement")
    body = """
    t = sa.table("t", sa.column("id", sa.Integer), sa.column("n", sa.Integer))
    made = op.get_bind().execute(t.insert().returning(t.c.id), [{"n": 1}, {"n": 2}]).scalars().all()
    assert len(made) == 2 and made[0] != made[1]
    op.execute("UPDATE t SET n = 3")
    """
    up = named(reading(chain(tmp_path, TABLE, body)), "r2").up
    assert opaque(up) == {}
    assert [words.split(" VALUES")[0] for words in sql(up)] == [
        "INSERT INTO t (n)",
        "UPDATE t SET n = 3",
    ]


PSYCOPG2 = {
    'execute_values(cursor, "INSERT INTO t (id, n) VALUES %s", [(1, 2), (3, 4)])': [
        "INSERT INTO t (id, n) VALUES ($1,$2),($1,$2)"
    ],
    'execute_batch(cursor, "UPDATE t SET n = %s WHERE id = %s", [(1, 2)])': [
        "UPDATE t SET n = $1 WHERE id = $2"
    ],
    'cursor.execute(SQL("ALTER TABLE {} ADD {} text").format(Identifier("s", "t"), Identifier("a b")))': [
        'ALTER TABLE "s"."t" ADD "a b" text'
    ],
    'cursor.execute(SQL("UPDATE t SET n = {}").format(Literal("hunter2")))': [
        "UPDATE t SET n = $1"
    ],
    'cursor.execute(SQL("DROP TABLE {}").format(Identifier("t")).as_string(cursor.connection))': [
        'DROP TABLE "t"'
    ],
    'cursor.execute(cursor.mogrify("UPDATE t SET n = %s", ("hunter2",)))': ["UPDATE t SET n = $1"],
    'register_uuid(conn_or_curs=raw); register_default_jsonb(conn_or_curs=raw); op.execute("DROP TABLE t")': [
        "DROP TABLE t"
    ],
}


@pytest.mark.parametrize("code", PSYCOPG2)
def test_what_psycopg2_does_beside_its_cursor_is_recorded(tmp_path: Path, code: str) -> None:
    imports = (
        "from psycopg2.extras import execute_batch, execute_values, register_default_jsonb, register_uuid\n"
        "from psycopg2.sql import SQL, Identifier, Literal\n"
        "raw = op.get_bind().connection.connection\n"
        "cursor = raw.cursor()\n"
    )
    with chosen("sqlalchemy-1.4-oldest"):
        up = named(reading(chain(tmp_path, TABLE, imports + code)), "r2").up
    assert sql(up) == PSYCOPG2[code]
    assert opaque(up) == {}
    assert {one.line for one in up.statements} == {16}


@pytest.mark.parametrize(
    "query",
    [
        "SELECT version_num FROM alembic_version",
        'select * from public."alembic_version" limit 1;',
        "SELECT alembic_version.version_num FROM alembic_version",
    ],
)
def test_the_version_table_has_the_revision_before_this_one(tmp_path: Path, query: str) -> None:
    body = f"at = op.get_bind().execute(sa.text({query!r})).scalar()\nop.execute(f'ANALYZE {{at}}')"
    found = reading(chain(tmp_path, TABLE, body, TABLE.replace('"t"', '"u"')), current=("r1",))
    assert "ANALYZE r1" in sql(named(found, "r2").up)


def test_another_question_to_the_version_table_is_answered_as_before(tmp_path: Path) -> None:
    query = "SELECT version_num FROM alembic_version WHERE version_num = 'other'"
    body = f'at = op.get_bind().execute(sa.text("{query}")).scalar()\nop.execute(f"ANALYZE {{at}}")'
    found = reading(chain(tmp_path, TABLE, body), current=("r1",))
    assert "ANALYZE None" in sql(named(found, "r2").up)


def test_a_module_that_is_not_there_is_named_where_it_is_imported(tmp_path: Path) -> None:
    text = revision("r2", "r1", 'op.execute("SELECT 1")', head="import no_such_module")
    folder = project(tmp_path, {"r1": revision("r1", None, TABLE), "r2": text})
    up = named(reading(folder, current=("r1",)), "r2").up
    assert opaque(up) == {Opaque.FAILED: 4}
    assert detail(up, Opaque.FAILED) == (
        "it imports no_such_module, which is not installed where the migrations are read"
    )


BEGUN = ENV.replace("engine.connect()", "engine.begin()")


def test_an_env_py_that_begins_the_transaction_has_one_for_all_and_it_is_said(
    tmp_path: Path,
) -> None:
    assert BEGUN != ENV
    found = reading(chain(tmp_path, TABLE, TABLE.replace('"t"', '"u"'), env=BEGUN))
    assert not named(found, "r1").up.own_transaction
    assert any("All revisions run in one transaction" in note for note in found.notes)


def test_one_revision_alone_needs_no_word_on_sharing_a_transaction(tmp_path: Path) -> None:
    found = reading(chain(tmp_path, TABLE, env=BEGUN))
    assert not any("one transaction" in note for note in found.notes)
