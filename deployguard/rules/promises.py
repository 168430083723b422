"""DG405 to DG408: what takes away a rule, a name, a value or code that others rely on."""

import re

from deployguard.model import Risk
from deployguard.operations import (
    AddEnumValue,
    AlterObject,
    AlterTable,
    CreateObject,
    CreateType,
    DropConstraint,
    DropObject,
    Procedural,
    RenameEnumValue,
    SetSchema,
)
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.compatibility import OLD
from deployguard.rules.context import Context

# PostgreSQL's own name, and the one of the usual naming conventions.
_PRIMARY_KEY = re.compile(r"_pkey$|^pk_", re.IGNORECASE)


@rule(
    "DG405",
    "drop-constraint",
    (DropConstraint, AlterObject),
    Risk.MEDIUM,
    effect="Rows that break the rule can come in from now on, and then the constraint can't be put"
    " back. Dropping a foreign"
    " key locks both tables (ACCESS EXCLUSIVE).",
    instead="Drop it in the release after the one whose code no longer needs it.",
    sqlite_effect="Rows that break the rule can come in from now on, and then the constraint can't"
    " be put back.",
    bad=(
        "ALTER TABLE orders DROP CONSTRAINT fk",
        "ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE",
        "ALTER DOMAIN price DROP CONSTRAINT positive",
    ),
    good=(
        (
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (a > 0) NOT VALID; ALTER TABLE orders DROP"
            " CONSTRAINT ck"
        ),
        "CREATE TABLE t (a int CONSTRAINT ck CHECK (a > 0)); ALTER TABLE t DROP CONSTRAINT ck",
    ),
)
def drop_constraint(op: DropConstraint | AlterObject, ctx: Context) -> Answer:
    if isinstance(op, AlterObject):
        drops = op.kind == "domain" and op.action == "drop constraint"
        return f"Drops a constraint of the domain {op.name}." if drops else None
    place = (ctx.key(op.table), op.name)
    if ctx.is_made_here(op.table) or place in ctx.constraints:
        return None
    # The CHECK that proved a NOT NULL has done its work once the column is NOT NULL.
    if place in ctx.checks and ctx.checks[place] in ctx.required:
        return None
    message = f"Drops the constraint {op.name} of {op.table}"
    if op.cascade:
        return Found(
            f"{message} and every foreign key that needs it.",
            Risk.HIGH,
            why="CASCADE drops the foreign keys of other tables that point here, without naming them.",
        )
    if _PRIMARY_KEY.search(op.name):
        return Found(
            f"{message}, the primary key.",
            Risk.HIGH,
            why="Duplicates and rows that nothing tells apart can come in from now on; without a"
            " primary key logical replication refuses every UPDATE and DELETE.",
        )
    return f"{message}."


@rule(
    "DG406",
    "rename-or-move-object",
    (RenameEnumValue, SetSchema, AlterObject, AlterTable),
    Risk.HIGH,
    effect=OLD,
    instead="Add the new one beside the old one, move the code over, and remove the old one in a"
    " later release.",
    bad=(
        "ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'",
        "ALTER TABLE orders SET SCHEMA archive",
        "ALTER SCHEMA shop RENAME TO store",
        "ALTER TYPE mood RENAME TO feeling",
        "ALTER TYPE address ALTER ATTRIBUTE zip TYPE int",
        "ALTER TABLE orders_2020 NO INHERIT orders",
    ),
    good=(
        "CREATE TYPE mood AS ENUM ('ok'); ALTER TYPE mood RENAME TO feeling",
        "CREATE TABLE t (a int); ALTER TABLE t SET SCHEMA archive",
        "ALTER SEQUENCE numbers CACHE 5",
    ),
)
def rename_or_move_object(
    op: RenameEnumValue | SetSchema | AlterObject | AlterTable, ctx: Context
) -> Answer:
    match op:
        case RenameEnumValue(type_name, value, to):
            new = ctx.is_new_object(type_name)
            return None if new else f"Renames the value {value!r} of {type_name} to {to!r}."
        case SetSchema(table, schema):
            return None if ctx.is_made_here(table) else f"Moves {table} to the schema {schema}."
        case AlterTable(table, action):
            return None if ctx.is_made_here(table) else _family(table, action)
        case AlterObject(kind, name, action):
            elsewhere = kind in {"view", "materialized view", "foreign table"}
            if not action.startswith(_MOVES) or elsewhere or ctx.is_new_object(name):
                return None
            if _comes_back(op, ctx):
                return None
            if action.startswith("drop attribute") and re.search(
                r"\bcascade\b", ctx.sql, re.IGNORECASE
            ):
                return Found(
                    f"The {kind} {name}: {action}, and that column of every table of the type.",
                    Risk.CRITICAL,
                )
            return f"The {kind} {name}: {action}."


def _family(table: str, action: str) -> Answer:
    why = "Queries of the parent see other rows than before, and so do its constraints."
    match action:
        case "no inherit":
            return f"Takes the rows of {table} out of the table that it inherits."
        case "inherit":
            return Found(f"Puts the rows of {table} into another table.", Risk.MEDIUM, why=why)
        case _:
            return None


_MOVES = ("rename to", "set schema", "rename attribute", "drop attribute", "alter attribute")


def _comes_back(op: AlterObject, ctx: Context) -> bool:
    """Whether the same transaction makes a new type of the old name: then its columns' change is what counts."""
    renamed = op.kind == "type" and op.action.startswith("rename to") and ctx.in_transaction
    return renamed and any(
        isinstance(step, CreateType) and ctx.key(step.name) == ctx.key(op.name)
        for step in ctx.ahead()
    )


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
    if ctx.is_new_object(op.type):
        return None
    message = f"Adds the value {op.value!r} to {op.type}."
    # Outside of a transaction it is committed at once, so nothing can go wrong with it but an old reader.
    return message if ctx.in_transaction else Found(message, Risk.LOW)


_ROUTINES = {"function", "procedure", "routine", "aggregate", "trigger", "rule", "operator", "cast"}


@rule(
    "DG408",
    "replace-or-drop-code",
    (CreateObject, Procedural, DropObject, AlterTable, AlterObject),
    Risk.HIGH,
    effect="The application that is still running gets other results, or an error, from code on"
    " the server that it calls.",
    instead="Create it under a new name, move the callers over, and drop the old one in a later"
    " release.",
    bad=(
        "CREATE OR REPLACE VIEW totals AS SELECT 1 AS a",
        "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP FUNCTION f(int)",
        "DROP FUNCTION f(int) CASCADE",
        "ALTER EXTENSION postgis UPDATE",
        "ALTER FUNCTION f() SET search_path = ''",
        "ALTER TABLE orders DISABLE RULE r",
        "CREATE RULE r AS ON DELETE TO orders DO INSTEAD NOTHING",
    ),
    good=("CREATE VIEW totals AS SELECT 1 AS a; CREATE OR REPLACE VIEW totals AS SELECT 2 AS a",),
)
def replace_or_drop_code(
    op: CreateObject | Procedural | DropObject | AlterTable | AlterObject, ctx: Context
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
            return _dropped_code(op, kind, name)
        case AlterObject("extension", name, "update"):
            return Found(f"Updates the extension {name}, and with it its code.", Risk.MEDIUM)
        case AlterObject("function", name, action) if action.startswith("set "):
            said_elsewhere = action.startswith("set schema") or "security" in action  # DG406, DG801
            elsewhere = said_elsewhere or ctx.is_new_object(name)
            said = Found(f"Changes how the function {name} runs.", Risk.MEDIUM)
            return None if elsewhere else said
        case AlterTable(table, "create rule") if not ctx.is_made_here(table):
            return f"Puts a rewrite rule on {table}."
        case AlterTable(table, action) if action.endswith(" rule") and not ctx.is_made_here(table):
            return Found(f"Switches a rewrite rule of {table}.", Risk.MEDIUM)
        case _:
            return None


def _dropped_code(op: DropObject, kind: str, name: str) -> Answer:
    if not op.cascade:
        return f"Drops the {kind} {name}."
    return Found(
        f"Drops the {kind} {name} and everything that depends on it.",
        Risk.CRITICAL,
        why="CASCADE drops what uses it without naming it: triggers, views, policies, defaults, and"
        " columns that it computes.",
    )


RULES = (drop_constraint, rename_or_move_object, add_enum_value, replace_or_drop_code)
