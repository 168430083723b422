"""DG4xx: what breaks the application that is still running while the new one is put in place."""

from deployguard.model import Risk
from deployguard.operations import (
    AddColumn,
    AddEnumValue,
    AlterObject,
    AlterTable,
    CreateObject,
    DropConstraint,
    DropDefault,
    DropObject,
    Procedural,
    RenameColumn,
    RenameEnumValue,
    RenameTable,
    SetSchema,
    Volatility,
)
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context

_OLD = (
    "The application that is still running, and the one a rollback puts back, fails where it"
    " uses the old name."
)


@rule(
    "DG401",
    "rename-column",
    RenameColumn,
    Risk.HIGH,
    effect=_OLD,
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
    effect=_OLD,
    instead="Rename it and leave a view of the old name behind, in one transaction:\n"
    'op.rename_table("{own}", "{to}"{schema})\nop.execute("CREATE VIEW {own} AS SELECT * FROM'
    ' {to}")',
    sqlite_instead="Keep the name in the database and map it in the model: __tablename__ ="
    ' "{own}".',
    bad=("ALTER TABLE orders RENAME TO purchases", "ALTER VIEW totals RENAME TO sums"),
    good=("CREATE TABLE t (a int); ALTER TABLE t RENAME TO u", "ALTER INDEX ix RENAME TO iy"),
)
def rename_table(op: RenameTable | AlterObject, ctx: Context) -> Answer:
    if isinstance(op, RenameTable):
        return None if ctx.is_made_here(op.table) else f"Renames the table {op.table} to {op.to}."
    views = {"view", "materialized view", "foreign table"}
    if op.kind not in views or not op.action.startswith("rename") or ctx.is_new_object(op.name):
        return None
    return Found(
        f"The {op.kind} {op.name}: {op.action}.",
        instead=f"Create a second {op.kind} of the new name, and drop {op.name} in a later"
        f" release.",
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
    DropDefault,
    Risk.MEDIUM,
    effect="The application that is still running gets NULL, or an error, where it counts on the"
    " default.",
    instead="Keep the server default until no release that relies on it can come back.",
    bad=("ALTER TABLE orders ALTER COLUMN state DROP DEFAULT",),
    good=("CREATE TABLE t (a int DEFAULT 1); ALTER TABLE t ALTER a DROP DEFAULT",),
)
def drop_default(op: DropDefault, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table):
        return None
    return f"Takes the default from {op.table}.{op.column}."


@rule(
    "DG405",
    "drop-constraint",
    DropConstraint,
    Risk.MEDIUM,
    effect="Rows that break the rule can come in from now on, and then the constraint can't be put"
    " back. Dropping a foreign"
    " key locks both tables (ACCESS EXCLUSIVE).",
    instead="Drop it in the release after the one whose code no longer needs it.",
    sqlite_effect="Rows that break the rule can come in from now on, and then the constraint can't"
    " be put back.",
    bad=("ALTER TABLE orders DROP CONSTRAINT fk",),
    good=(
        (
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (a > 0) NOT VALID; ALTER TABLE orders DROP"
            " CONSTRAINT ck"
        ),
        "CREATE TABLE t (a int CONSTRAINT ck CHECK (a > 0)); ALTER TABLE t DROP CONSTRAINT ck",
    ),
)
def drop_constraint(op: DropConstraint, ctx: Context) -> Answer:
    place = (ctx.key(op.table), op.name)
    if ctx.is_made_here(op.table) or place in ctx.constraints:
        return None
    # The CHECK that proved a NOT NULL has done its work once the column is NOT NULL.
    if place in ctx.checks and ctx.checks[place] in ctx.required:
        return None
    return f"Drops the constraint {op.name} of {op.table}."


@rule(
    "DG406",
    "rename-or-move-object",
    (RenameEnumValue, SetSchema, AlterObject),
    Risk.HIGH,
    effect=_OLD,
    instead="Add the new one beside the old one, move the code over, and remove the old one in a"
    " later release.",
    bad=(
        "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
        "ALTER TABLE orders SET SCHEMA archive",
        "ALTER SCHEMA shop RENAME TO store",
        "ALTER TYPE mood RENAME TO feeling",
    ),
    good=(
        "CREATE TYPE mood AS ENUM ('ok'); ALTER TYPE mood RENAME TO feeling",
        "CREATE TABLE t (a int); ALTER TABLE t SET SCHEMA archive",
        "ALTER SEQUENCE numbers RESTART WITH 5",
    ),
)
def rename_or_move_object(op: RenameEnumValue | SetSchema | AlterObject, ctx: Context) -> Answer:
    match op:
        case RenameEnumValue(type_name, value, to):
            new = ctx.is_new_object(type_name)
            return None if new else f"Renames the value {value!r} of {type_name} to {to!r}."
        case SetSchema(table, schema):
            return None if ctx.is_made_here(table) else f"Moves {table} to the schema {schema}."
        case AlterObject(kind, name, action):
            moves = action.startswith(
                ("rename to", "set schema", "rename attribute", "drop attribute")
            )
            if not moves or kind in {"view", "materialized view", "foreign table"}:
                return None
            return None if ctx.is_new_object(name) else f"The {kind} {name}: {action}."


@rule(
    "DG407",
    "add-enum-value",
    AddEnumValue,
    Risk.MEDIUM,
    effect="Code that is still running may meet a value that it does not know, and PostgreSQL"
    " can't take the value out again.",
    instead="Deploy code that can read {value} first; write it only afterwards. Put the statement"
    " into a revision of its own.",
    bad=("ALTER TYPE mood ADD VALUE 'sad'",),
    good=("CREATE TYPE mood AS ENUM ('ok'); ALTER TYPE mood ADD VALUE 'sad'",),
)
def add_enum_value(op: AddEnumValue, ctx: Context) -> Answer:
    return None if ctx.is_new_object(op.type) else f"Adds the value {op.value!r} to {op.type}."


_ROUTINES = {"function", "procedure", "routine", "aggregate", "trigger", "rule", "operator", "cast"}


@rule(
    "DG408",
    "replace-or-drop-code",
    (CreateObject, Procedural, DropObject, AlterTable),
    Risk.HIGH,
    effect="The application that is still running gets other results, or an error, from code on"
    " the server that it calls.",
    instead="Create it under a new name, move the callers over, and drop the old one in a later"
    " release.",
    bad=(
        "CREATE OR REPLACE VIEW totals AS SELECT 1 AS a",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION f(int)",
        "CREATE RULE r AS ON DELETE TO orders DO INSTEAD NOTHING",
    ),
    good=("CREATE VIEW totals AS SELECT 1 AS a; CREATE OR REPLACE VIEW totals AS SELECT 2 AS a",),
)
def replace_or_drop_code(
    op: CreateObject | Procedural | DropObject | AlterTable, ctx: Context
) -> Answer:
    match op:
        case CreateObject(kind, name, True) if not ctx.is_new_object(name):
            return f"Replaces the {kind} {name}."
        case Procedural(what, name) if what.startswith("replace "):
            return (
                f"Replaces the {what.removeprefix('replace ')} {name}; what its body does is"
                f" not read."
            )
        case DropObject(kind, name) if kind in _ROUTINES and not ctx.is_new_object(name):
            return f"Drops the {kind} {name}."
        case AlterTable(table, "create rule") if not ctx.is_made_here(table):
            return f"Puts a rewrite rule on {table}."
        case _:
            return None


RULES = (
    rename_column,
    rename_table,
    add_not_null_column_without_default,
    drop_default,
    drop_constraint,
    rename_or_move_object,
    add_enum_value,
    replace_or_drop_code,
)
