"""DG401 to DG404: what breaks the application that is still running while the new one is put in place."""

import re

from deployguard.model import Risk
from deployguard.operations import (
    AddColumn,
    AlterObject,
    AlterTable,
    CreateObject,
    DropDefault,
    RenameColumn,
    RenameTable,
    Volatility,
)
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context

OLD = (
    "The application that is still running, and the one a rollback puts back, fails where it"
    " uses the old name."
)


@rule(
    "DG401",
    "rename-column",
    RenameColumn,
    Risk.HIGH,
    effect=OLD,
    instead='Keep the name in the database and map it in the model: mapped_column("{column}"). Or'
    " add {to}, write both, switch"
    " over, drop {column} later.",
    bad=(
        "ALTER TABLE orders RENAME COLUMN note TO remark",
        "ALTER TABLE orders RENAME note TO remark",
    ),
    good=("CREATE TABLE t (a int); ALTER TABLE t RENAME COLUMN a TO b",),
)
def rename_column(op: RenameColumn, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table) or (ctx.key(op.table), op.column) in ctx.columns:
        return None
    return f"Renames {op.table}.{op.column} to {op.to}."


@rule(
    "DG402",
    "rename-table",
    (RenameTable, AlterObject),
    Risk.HIGH,
    effect=OLD,
    instead="Rename it and leave a view of the old name behind, in one transaction:\n"
    'op.rename_table("{own}", "{to}"{schema})\nop.execute("CREATE VIEW {own} AS SELECT * FROM'
    ' {to}")',
    sqlite_instead="Keep the name in the database and map it in the model: __tablename__ ="
    ' "{own}".',
    bad=(
        "ALTER TABLE orders RENAME TO purchases",
        "ALTER VIEW totals RENAME TO sums",
        "ALTER VIEW totals SET SCHEMA old",
    ),
    good=("CREATE TABLE t (a int); ALTER TABLE t RENAME TO u", "ALTER INDEX ix RENAME TO iy"),
)
def rename_table(op: RenameTable | AlterObject, ctx: Context) -> Answer:
    if isinstance(op, RenameTable):
        return _renamed_table(op, ctx)
    views = {"view", "materialized view", "foreign table"}
    if (
        op.kind not in views
        or not op.action.startswith(("rename", "set schema"))
        or ctx.is_new_object(op.name)
    ):
        return None
    return Found(
        f"The {op.kind} {op.name}: {op.action}.",
        instead=f"Create a second {op.kind} of the new name, and drop {op.name} in a later"
        f" release.",
    )


def _renamed_table(op: RenameTable, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table):
        return None
    message = f"Renames the table {op.table} to {op.to}"
    left = ctx.in_transaction and any(
        isinstance(step, CreateObject)
        and step.kind == "view"
        and ctx.key(step.name) == ctx.key(op.table)
        for step in ctx.ahead()
    )
    if not left:
        return f"{message}."
    return Found(
        f"{message} and leaves a view of the old name.",
        Risk.LOW,
        why="The running application goes on with the view; INSERT … ON CONFLICT, TRUNCATE, LOCK and"
        " foreign keys do not work on one.",
    )


@rule(
    "DG403",
    "add-not-null-column-without-default",
    AddColumn,
    Risk.HIGH,
    effect="It fails as soon as the table has a row, and the application that is still running"
    " fails with each row that it"
    " inserts without the column.",
    instead='op.add_column("{own}", sa.Column("{column}", …, server_default=…,'
    " nullable=False){schema})\n"
    "# or: add it nullable → deploy → fill it in → require it",
    bad=(
        "ALTER TABLE orders ADD COLUMN due date NOT NULL",
        "-- dialect: sqlite\nALTER TABLE orders ADD COLUMN due DATE NOT NULL",
    ),
    good=(
        "ALTER TABLE orders ADD COLUMN due date",
        "ALTER TABLE orders ADD COLUMN state text DEFAULT 'new' NOT NULL",
        "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN due date NOT NULL",
    ),
)
def add_not_null_column_without_default(op: AddColumn, ctx: Context) -> Answer:
    if op.nullable or op.generated or op.default is not Volatility.NONE or ctx.is_new(op.table):
        return None
    return f"Adds {op.table}.{op.column}, which must have a value, without a default."


@rule(
    "DG404",
    "drop-default",
    (DropDefault, AlterTable, AlterObject),
    Risk.MEDIUM,
    effect="The application that is still running gets NULL, or an error, where it counts on the"
    " default.",
    instead="Keep the server default until no release that relies on it can come back.",
    bad=(
        "ALTER TABLE orders ALTER COLUMN state DROP DEFAULT",
        (
            "ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new'; ALTER TABLE orders ALTER"
            " state DROP DEFAULT"
        ),
        "ALTER TABLE orders ALTER COLUMN id DROP IDENTITY",
        "ALTER TABLE orders ALTER COLUMN id SET GENERATED ALWAYS",
        "ALTER DOMAIN price DROP DEFAULT",
    ),
    good=(
        "CREATE TABLE t (a int DEFAULT 1); ALTER TABLE t ALTER a DROP DEFAULT",
        "ALTER TABLE orders ADD COLUMN a int DEFAULT 1; ALTER TABLE orders ALTER a DROP DEFAULT",
    ),
)
def drop_default(op: DropDefault | AlterTable | AlterObject, ctx: Context) -> Answer:
    match op:
        case AlterObject(kind, name, action):
            drops = kind == "domain" and action == "drop default" and not ctx.is_new_object(name)
            return f"Takes the default from the domain {name}." if drops else None
        case AlterTable(table, action):
            if action == "set identity" and _ALWAYS.search(ctx.sql):
                return None if ctx.is_made_here(table) else _always(table)
            what = {"drop identity": "the identity", "drop expression": "the computed value"}
            if action not in what or ctx.is_made_here(table):
                return None
            return f"Takes {what[action]} from a column of {table}."
        case DropDefault(table, column):
            return _drop_default(table, column, ctx)


_ALWAYS = re.compile(r"\bgenerated\s+always\b", re.IGNORECASE)


def _always(table: str) -> Answer:
    return Found(
        f"Lets only the database give a value to a column of {table} (GENERATED ALWAYS).",
        why="The application that is still running fails where its INSERTs name a value.",
    )


def _drop_default(table: str, column: str, ctx: Context) -> Answer:
    place = (ctx.key(table), column)
    if ctx.is_made_here(table) or (place in ctx.columns and place not in ctx.fresh.needed):
        return None
    if place in ctx.columns:
        return Found(
            f"Takes the default from {table}.{column}, which this run adds as NOT NULL.",
            Risk.HIGH,
            why="The application that is still running does not know the column: without the default"
            " each row that it inserts is refused.",
        )
    return f"Takes the default from {table}.{column}."


RULES = (
    rename_column,
    rename_table,
    add_not_null_column_without_default,
    drop_default,
)
