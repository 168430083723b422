"""Whatever Alembic's own directives render must be understood, on every dialect that is more than a refusal."""

import io
import logging
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy.dialects import postgresql as pg

from deployguard.operations import (
    AddColumn,
    AlterType,
    CreateTable,
    DropTable,
    Operation,
    RenameColumn,
    Unrecognised,
)
from deployguard.sql import lower

Directive = Callable[[Operations], object]

EVERYWHERE: dict[str, Directive] = {
    "create_table": lambda op: op.create_table(
        "booking",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("room", sa.String(20), nullable=False, server_default="it's; a"),
        sa.Column("price", sa.Numeric(10, 2), index=True),
        sa.Column("made", sa.DateTime(timezone=True), server_default=sa.func.now()),
        sa.Column("user_id", sa.Integer(), sa.ForeignKey("user.id", ondelete="CASCADE")),
        sa.UniqueConstraint("room", name="uq"),
        sa.CheckConstraint("price > 0", name="ck"),
        sa.Index("ix_made", "made"),
        schema=None,
    ),
    "create_table_if_not_exists": lambda op: op.create_table(
        "t", sa.Column("Weird Name", sa.Text()), if_not_exists=True
    ),
    "add_column": lambda op: op.add_column("t", sa.Column("a", sa.String(20), nullable=True)),
    "add_column_default": lambda op: op.add_column(
        "t", sa.Column("a", sa.Boolean(), server_default=sa.false(), nullable=False)
    ),
    "add_column_schema": lambda op: op.add_column("t", sa.Column("a", sa.Integer()), schema="app"),
    "drop_column": lambda op: op.drop_column("t", "a"),
    "rename_column": lambda op: op.alter_column("t", "a", new_column_name="b", existing_type=sa.Integer()),
    "rename_table": lambda op: op.rename_table("t", "u"),
    "drop_table": lambda op: op.drop_table("t"),
    "create_index": lambda op: op.create_index("i", "t", ["a", "b"], unique=True),
    "create_index_expression": lambda op: op.create_index("i", "t", [sa.text("lower(a)")]),
    "drop_index": lambda op: op.drop_index("i", table_name="t"),
    "bulk_insert": lambda op: op.bulk_insert(
        sa.table("t", sa.column("a", sa.String), sa.column("b", sa.Integer)), [{"a": "it's; x", "b": 1}]
    ),
    "update": lambda op: op.execute(sa.update(sa.table("t", sa.column("a", sa.Integer))).values(a=1)),
    "delete": lambda op: op.execute(sa.delete(sa.table("t", sa.column("a"))).where(sa.column("a") == 1)),
    "insert_from_select": lambda op: op.execute(
        sa.insert(sa.table("t", sa.column("a"))).from_select(["a"], sa.select(sa.table("u", sa.column("b")).c.b))
    ),
}  # fmt: skip
NOT_SQLITE: dict[str, Directive] = {
    "set_not_null": lambda op: op.alter_column(
        "t", "a", nullable=False, existing_type=sa.Integer()
    ),
    "drop_not_null": lambda op: op.alter_column(
        "t", "a", nullable=True, existing_type=sa.Integer()
    ),
    "type": lambda op: op.alter_column("t", "a", type_=sa.BigInteger(), existing_type=sa.Integer()),
    "default": lambda op: op.alter_column("t", "a", server_default="x", existing_type=sa.String(5)),
    "no_default": lambda op: op.alter_column(
        "t", "a", server_default=None, existing_type=sa.String(5)
    ),
    "foreign_key": lambda op: op.create_foreign_key(
        "fk", "t", "u", ["a"], ["id"], ondelete="SET NULL"
    ),
    "unique": lambda op: op.create_unique_constraint("uq", "t", ["a", "b"]),
    "check": lambda op: op.create_check_constraint("ck", "t", "a > 0"),
    "primary_key": lambda op: op.create_primary_key("pk", "t", ["a"]),
    "drop_constraint": lambda op: op.drop_constraint("fk", "t", type_="foreignkey"),
}
POSTGRESQL: dict[str, Directive] = {
    "enum_column": lambda op: op.add_column("t", sa.Column("a", pg.ENUM("x", "y", name="mood", create_type=False))),
    "enum_type": lambda op: op.create_table("t", sa.Column("a", sa.Enum("x", "y", name="mood"))),
    "using": lambda op: op.alter_column(
        "t", "a", type_=sa.Integer(), postgresql_using="a::integer", schema="app"
    ),
    "jsonb": lambda op: op.add_column("t", sa.Column("a", pg.JSONB(), server_default=sa.text("'{}'::jsonb"))),
    "array": lambda op: op.add_column("t", sa.Column("a", pg.ARRAY(sa.String()), server_default="{}")),
    "identity": lambda op: op.add_column("t", sa.Column("a", sa.BigInteger(), sa.Identity(always=True))),
    "computed": lambda op: op.add_column("t", sa.Column("a", sa.Integer(), sa.Computed("b + 1", persisted=True))),
    "alter_identity": lambda op: op.alter_column("t", "a", server_default=sa.Identity(start=3)),
    "concurrently": lambda op: op.create_index(
        "i", "t", ["a"], postgresql_concurrently=True, postgresql_where=sa.text("a > 0"), if_not_exists=True
    ),
    "drop_concurrently": lambda op: op.drop_index("i", table_name="t", postgresql_concurrently=True, if_exists=True),
    "gin": lambda op: op.create_index("i", "t", ["a"], postgresql_using="gin", postgresql_ops={"a": "gin_trgm_ops"}),
    "include": lambda op: op.create_index("i", "t", ["a"], postgresql_include=["b"], postgresql_with={"fillfactor": 50}),
    "exclude": lambda op: op.create_exclude_constraint("ex", "t", ("a", "="), ("r", "&&"), using="gist"),
    "not_valid": lambda op: op.create_foreign_key("fk", "t", "u", ["a"], ["id"], postgresql_not_valid=True),
    "deferrable": lambda op: op.create_foreign_key(
        "fk", "t", "u", ["a"], ["id"], deferrable=True, initially="DEFERRED", source_schema="app", match="FULL"
    ),
    "nulls_not_distinct": lambda op: op.create_unique_constraint("u", "t", ["a"], postgresql_nulls_not_distinct=True),
    "table_comment": lambda op: op.create_table_comment("t", "it's"),
    "no_table_comment": lambda op: op.drop_table_comment("t"),
    "column_comment": lambda op: op.alter_column("t", "a", comment="x", existing_comment=None),
    "partitioned": lambda op: op.create_table("t", sa.Column("a", sa.Date()), postgresql_partition_by="RANGE (a)"),
    "with": lambda op: op.create_table("t", sa.Column("a", sa.Date()), postgresql_with={"fillfactor": 50}),
    "schema_type": lambda op: op.create_table("t", sa.Column("a", sa.Enum("x", name="m", schema="app")), schema="app"),
    "drop_constraint_if_exists": lambda op: op.drop_constraint("ck", "t", schema="app", if_exists=True),
    "rename_table_schema": lambda op: op.rename_table("t", "u", schema="app"),
    "upsert": lambda op: op.execute(
        pg.insert(sa.table("t", sa.column("a", sa.Integer))).values(a=1).on_conflict_do_nothing()
    ),
}  # fmt: skip


def rendered(dialect: str, directive: Directive) -> str:
    buffer = io.StringIO()
    logging.getLogger("alembic").setLevel(logging.ERROR)
    context = MigrationContext.configure(
        dialect_name=dialect, opts={"as_sql": True, "output_buffer": buffer, "literal_binds": True}
    )
    directive(Operations(context))
    return buffer.getvalue()


def operations(dialect: str, directive: Directive) -> tuple[Operation, ...]:
    text = rendered(dialect, directive)
    return tuple(operation for _, found in lower(text, dialect) for operation in found)


@pytest.mark.parametrize(
    ("dialect", "name", "directive"),
    [
        *(("postgresql", *item) for item in (EVERYWHERE | NOT_SQLITE | POSTGRESQL).items()),
        *(("sqlite", *item) for item in EVERYWHERE.items()),
        *(("mysql", *item) for item in (EVERYWHERE | NOT_SQLITE).items()),
    ],
)
def test_what_alembic_renders_is_understood(dialect: str, name: str, directive: Directive) -> None:
    found = operations(dialect, directive)
    assert found
    unknown = [operation for operation in found if isinstance(operation, Unrecognised)]
    assert not unknown, rendered(dialect, directive)


def test_alembic_renames_a_column_not_the_table() -> None:
    assert operations("postgresql", EVERYWHERE["rename_column"]) == (RenameColumn("t", "a", "b"),)


def test_a_type_change_and_a_default_are_read_exactly() -> None:
    assert operations("postgresql", NOT_SQLITE["type"]) == (AlterType("t", "a", "BIGINT"),)
    (added,) = operations("postgresql", EVERYWHERE["add_column_default"])
    assert isinstance(added, AddColumn)
    assert (added.nullable, added.default_sql) == (False, "false")


def test_a_sqlite_batch_is_a_copy_a_drop_and_a_rename() -> None:
    engine = sa.create_engine("sqlite://")
    seen: list[str] = []
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "CREATE TABLE t (id INTEGER NOT NULL PRIMARY KEY, a VARCHAR(5), b INTEGER)"
        )
        sa.event.listen(connection, "before_cursor_execute", lambda *call: seen.append(call[2]))
        op = Operations(MigrationContext.configure(connection))
        with op.batch_alter_table("t") as batch:
            batch.alter_column("a", type_=sa.Integer(), nullable=False, new_column_name="c")
            batch.drop_column("b")
            batch.add_column(sa.Column("d", sa.Text()))
    engine.dispose()
    found = [operation for text in seen for _, read in lower(text, "sqlite") for operation in read]
    assert not [operation for operation in found if isinstance(operation, Unrecognised)]
    made = next(operation for operation in found if isinstance(operation, CreateTable))
    assert [(shape.name, shape.type, shape.nullable) for shape in made.shapes] == [
        ("id", "INTEGER", False),
        ("c", "INTEGER", False),
        ("d", "TEXT", True),
    ]
    copied = next(operation for operation in found if getattr(operation, "sources", ()))
    assert copied.sources == ("id", "a")
    assert DropTable("t") in found
