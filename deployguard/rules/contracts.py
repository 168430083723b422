"""DG409 to DG411: what changes a promise that readers, replicas or writers rely on."""

import re

from deployguard.model import Risk
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterObject,
    AlterTable,
    Constraint,
    CreateIndex,
    CreateObject,
    DropNotNull,
    DropObject,
    Volatility,
)
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context
from deployguard.rules.known import not_null_column


@rule(
    "DG409",
    "drop-not-null",
    DropNotNull,
    Risk.MEDIUM,
    effect="The application that is still running, and the one a rollback puts back, may read NULL"
    " where it has never met one; a downgrade fails as soon as one is there.",
    instead="Deploy code that can read NULL in {table}.{column} before anything writes one.",
    bad=("ALTER TABLE orders ALTER COLUMN note DROP NOT NULL",),
    good=("CREATE TABLE t (a int NOT NULL); ALTER TABLE t ALTER a DROP NOT NULL",),
)
def drop_not_null(op: DropNotNull, ctx: Context) -> Answer:
    place = (ctx.key(op.table), op.column)
    if ctx.is_made_here(op.table) or place in ctx.columns:
        return None
    return f"Lets {op.table}.{op.column} be NULL."


_TO_KEY = re.compile(r"\breplica\s+identity\s+default\b", re.IGNORECASE)
_REPLICATION = {"publication", "subscription"}


@rule(
    "DG410",
    "change-replication",
    (AlterTable, CreateObject, AlterObject, DropObject),
    Risk.MEDIUM,
    effect="Replicas and programs that follow the changes get other rows, or none; on a published"
    " table without a replica identity every UPDATE and DELETE fails.",
    instead="Agree on it with whoever runs the replicas, and keep it in a revision of its own.",
    bad=(
        "ALTER TABLE orders REPLICA IDENTITY NOTHING",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "ALTER PUBLICATION everything DROP TABLE orders",
        "DROP PUBLICATION everything",
    ),
    good=(
        "CREATE TABLE t (a int); ALTER TABLE t REPLICA IDENTITY FULL",
        "ALTER TABLE orders REPLICA IDENTITY DEFAULT",
    ),
)
def change_replication(
    op: AlterTable | CreateObject | AlterObject | DropObject, ctx: Context
) -> Answer:
    match op:
        case AlterTable(table, action) if action.startswith("replica identity"):
            # Back to the primary key, which is what a table has from the start.
            made = ctx.is_made_here(table) or _TO_KEY.search(ctx.sql)
            return None if made else f"Changes what replicas of {table} know a row by."
        case CreateObject(kind, name) if kind in _REPLICATION:
            return f"Creates the {kind} {name}."
        case AlterObject(kind, name) if kind in _REPLICATION and not ctx.is_new_object(name):
            return f"Changes the {kind} {name}."
        case DropObject(kind, name) if kind in _REPLICATION and not ctx.is_new_object(name):
            return f"Drops the {kind} {name}."
        case _:
            return None


@rule(
    "DG411",
    "required-before-the-code",
    (AddConstraint, AddColumn, CreateIndex),
    Risk.HIGH,
    effect="The column is as new as the rule that it must have a value: the application that is"
    " still running does not know it, and each row that it inserts is refused. NOT VALID spares"
    " the old rows only.",
    instead="Deploy the code that writes {table}.{column} first; require it in the release after.",
    bad=(
        (
            "ALTER TABLE orders ADD COLUMN due date; ALTER TABLE orders ADD CONSTRAINT ck CHECK (due IS"
            " NOT NULL) NOT VALID"
        ),
        "ALTER TABLE orders ADD COLUMN code text NOT NULL DEFAULT '' UNIQUE",
        (
            "ALTER TABLE orders ADD COLUMN code text DEFAULT 'x'; CREATE UNIQUE INDEX ix ON orders"
            " (code)"
        ),
    ),
    good=(
        "ALTER TABLE orders ADD CONSTRAINT ck CHECK (due IS NOT NULL) NOT VALID",
        (
            "ALTER TABLE orders ADD COLUMN state text DEFAULT 'new'; ALTER TABLE orders ADD CONSTRAINT"
            " ck CHECK (state IS NOT NULL) NOT VALID"
        ),
        (
            "ALTER TABLE orders ADD COLUMN price int; ALTER TABLE orders ADD CONSTRAINT ck CHECK"
            " (price > 0) NOT VALID"
        ),
    ),
)
def required_before_the_code(op: AddConstraint | AddColumn | CreateIndex, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table):
        return None
    alike = _unique_and_alike(op, ctx)
    if alike:
        return Found(
            f"Makes {alike} of {op.table} unique, which this run gives one value for all rows.",
            why="The second row that has the default breaks it: the migration fails where the table has"
            " two rows, and the application that is still running from its second INSERT on.",
            instead="Add the column without a default; fill it with values that differ, and make it"
            " unique in the release after the one whose code writes it.",
        )
    return _required(op, ctx) if isinstance(op, AddConstraint) else None


def _unique_and_alike(op: AddConstraint | AddColumn | CreateIndex, ctx: Context) -> str:
    """The columns that are made unique although all of them have a default that is the same in each row."""
    match op:
        case AddColumn(column=column, constraints=constraints):
            unique = {Constraint.UNIQUE, Constraint.PRIMARY_KEY} & set(constraints)
            same = op.default in {Volatility.CONSTANT, Volatility.STABLE} and not op.generated
            return column if unique and same else ""
        case AddConstraint(kind=kind, columns=columns):
            unique_kind = kind in {Constraint.UNIQUE, Constraint.PRIMARY_KEY}
            columns = columns if unique_kind else ()
        case CreateIndex(columns=columns, unique=unique_index):
            columns = columns if unique_index else ()
    table = ctx.key(op.table)
    same_in_all = columns and all((table, name) in ctx.fresh.alike for name in columns)
    return ", ".join(columns) if same_in_all else ""


def _required(op: AddConstraint, ctx: Context) -> Answer:
    if op.kind not in {Constraint.CHECK, Constraint.NOT_NULL}:
        return None
    column = not_null_column(op)
    if column is None or (ctx.key(op.table), column) not in ctx.fresh.bare:
        return None
    return Found(
        f"Requires a value in {op.table}.{column}, which this run adds without a default.",
        instead=f"Deploy the code that writes {op.table}.{column} first; require it in the release"
        " after.",
    )


RULES = (drop_not_null, change_replication, required_before_the_code)
