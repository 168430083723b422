"""DG213 to DG216: locks on other tables than the statement is about, and locks that pile up in one transaction."""

import re

from deployguard.model import Risk
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterType,
    Constraint,
    CreateIndex,
    CreateTable,
    DropIndex,
    Operation,
    RefreshView,
    Reindex,
    RewriteTable,
    SetNotNull,
    ValidateConstraint,
    WriteRows,
)
from deployguard.rules.base import Answer, Found, Whole, rule
from deployguard.rules.context import Context
from deployguard.rules.locks import locks
from deployguard.rules.modes import AX

_FROM = re.compile(r"\b(from|table|execute|using)\b", re.IGNORECASE)
_APART = (
    "Give each its own revision, and configure transaction_per_migration=True in env.py: a lock is"
    " then held no longer than its own statement takes."
)


@rule(
    "DG213",
    "fails-on-partitions",
    (CreateIndex, DropIndex, AddConstraint),
    Risk.HIGH,
    effect="PostgreSQL refuses it on a partitioned table: the migration will fail here.",
    instead="Do it to each partition by itself; an index is then made ON ONLY the parent, and each"
    " partition's index is attached to it:\n"
    'op.execute("CREATE INDEX … ON ONLY {table} (…)")\n'
    'op.execute("ALTER INDEX … ATTACH PARTITION …")',
    bad=(
        (
            "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1)\n-- autocommit\n"
            "CREATE INDEX CONCURRENTLY ix ON logs (a)"
        ),
        (
            "CREATE TABLE logs (a int) PARTITION BY LIST (a)\n-- autocommit\n"
            "CREATE INDEX CONCURRENTLY ix ON logs (a)"
        ),
        (
            "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1)\n-- own transaction\n"
            "ALTER TABLE logs ADD CONSTRAINT c UNIQUE USING INDEX logs_a"
        ),
        (
            "-- server: 15.4\nCREATE TABLE logs_1 PARTITION OF logs FOR VALUES IN (1)\n"
            "-- own transaction\n"
            "ALTER TABLE logs ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES users (id) NOT VALID"
        ),
    ),
    good=(
        "-- autocommit\nCREATE INDEX CONCURRENTLY ix ON events_2020 (year)",
        "ALTER TABLE orders ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES users (id) NOT VALID",
    ),
)
def fails_on_partitions(op: CreateIndex | DropIndex | AddConstraint, ctx: Context) -> Answer:
    if not ctx.postgresql:
        return None
    table = ctx.table_of(op.name) if isinstance(op, DropIndex) else op.table
    if table is None or ctx.key(table) not in ctx.known.partitioned:
        return None
    match op:
        case CreateIndex(only=True):
            return None
        case CreateIndex() | DropIndex() if op.concurrently:
            return f"{table} is partitioned: CONCURRENTLY does not work on it."
        case AddConstraint() if op.using_index:
            return f"{table} is partitioned: a constraint on it can't take over an index."
        case AddConstraint(kind=Constraint.FOREIGN_KEY) if op.not_valid and not ctx.at_least(18):
            return (
                f"{table} is partitioned: before PostgreSQL 18 its foreign keys can't be NOT VALID."
            )
        case _:
            return None


def _heavy(op: Operation, ctx: Context) -> str:
    """What takes long about an operation; "" for what only touches the catalogue or nobody's table."""
    if isinstance(op, WriteRows):
        many = op.verb != "insert" or op.from_query
        if op.from_query and not _FROM.search(ctx.sql):
            return ""  # INSERT … SELECT of constants
        return "writes rows" if many and not (ctx.is_new(op.table) and not op.from_query) else ""
    works = [one.work for one in locks(op, ctx) if one.work]
    named = {"scan": "scans every row", "index build": "builds an index"}
    return named.get(works[0], "rewrites the table") if works else ""


@rule(
    "DG214",
    "long-work-under-a-lock",
    (
        AddColumn,
        AddConstraint,
        AlterType,
        CreateIndex,
        RefreshView,
        Reindex,
        RewriteTable,
        SetNotNull,
        ValidateConstraint,
        WriteRows,
    ),
    Risk.MEDIUM,
    effect="An earlier statement of the same transaction took an ACCESS EXCLUSIVE lock, which is"
    " brief by itself. It is held to the end of the transaction, so reads and writes of that"
    " table wait while this one works.",
    instead=_APART,
    bad=(
        "ALTER TABLE orders ADD COLUMN due date; ALTER TABLE users VALIDATE CONSTRAINT fk",
        "ALTER TABLE orders ADD COLUMN due date; UPDATE orders SET due = now()",
        "ALTER TABLE orders ADD COLUMN due date\n-- next revision\nCREATE INDEX i ON users (email)",
        "ALTER TABLE orders DROP CONSTRAINT ck; CREATE INDEX i ON orders (b)",
    ),
    good=(
        (
            "ALTER TABLE orders ADD COLUMN due date\n-- own transaction\n"
            "ALTER TABLE orders VALIDATE CONSTRAINT fk"
        ),
        "ALTER TABLE orders ADD COLUMN due date; CREATE TABLE t (a int); CREATE INDEX i ON t (a)",
    ),
    only_time=True,
)
def long_work_under_a_lock(op: Operation, ctx: Context) -> Answer:
    if not ctx.postgresql or not ctx.in_transaction or not ctx.held:
        return None
    if isinstance(op, ValidateConstraint) and (ctx.key(op.table), op.name) in ctx.unvalidated:
        return None  # DG209 says it
    # What this statement locks as strongly by itself, it holds for as long without any of that.
    own = {ctx.key(one.relation) for one in locks(op, ctx) if one.mode == AX}
    held = [name for name in _exclusive(ctx) if name not in own]
    heavy = _heavy(op, ctx) if held else ""
    if not heavy:
        return None
    table = getattr(op, "table", getattr(op, "name", ""))
    locked = f"{_list(held)} {'are' if len(held) > 1 else 'is'} locked by an earlier statement"
    return f"{heavy[0].upper()}{heavy[1:]} ({table}) while {locked}."


def _exclusive(ctx: Context) -> list[str]:
    """The tables that the transaction holds ACCESS EXCLUSIVE; partitions go without saying."""
    return [
        name
        for name, one in ctx.held.items()
        if one.mode == AX and " " not in name and name not in ctx.known.parents
    ]


def _list(names: list[str]) -> str:
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")


@rule(
    "DG215",
    "several-tables-locked",
    Whole,
    Risk.LOW,
    effect="One transaction locks them one after the other and holds all of them to its end: another"
    " one that locks them in a different order can deadlock with it, and a long query on one keeps"
    " all of them locked.",
    instead=_APART,
    bad=("ALTER TABLE orders ADD COLUMN due date; ALTER TABLE users ADD COLUMN due date",),
    good=(
        (
            "ALTER TABLE orders ADD COLUMN due date\n-- own transaction\n"
            "ALTER TABLE users ADD COLUMN due date"
        ),
        "ALTER TABLE orders ADD COLUMN due date; CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN b int",
        "-- autocommit\nALTER TABLE orders ADD COLUMN IF NOT EXISTS due date\nALTER TABLE users ADD COLUMN due date",
    ),
)
def several_tables_locked(whole: Whole, ctx: Context) -> Answer:
    held = sorted(_exclusive(ctx)) if ctx.postgresql else []
    if len(held) < 2 or not whole.up.statements:
        return None
    if len(_exclusive(whole.before)) > 1:
        return None  # an earlier revision in the same transaction has said it
    # One statement that needs several (DETACH PARTITION, DROP TABLE a, b) can't be taken apart.
    last = 0
    for statement in whole.up.statements:
        taken = (one for operation in statement.operations for one in locks(operation, ctx))
        own = {ctx.key(one.relation) for one in taken if one.mode == AX} & set(held)
        if own >= set(held):
            return None
        last = statement.line if own else last
    return Found(f"Holds ACCESS EXCLUSIVE locks on {_list(held)} together.", line=last or None)


@rule(
    "DG216",
    "locks-referenced-table",
    (CreateTable, AddConstraint),
    Risk.LOW,
    effect="A foreign key takes a SHARE ROW EXCLUSIVE lock on the table that it points at: nobody"
    " writes to that one until the transaction ends, and the lock waits for all who are writing.",
    instead="Keep the rest of the transaction short: nothing that takes long after it. deployguard"
    " sets lock_timeout and tries again.",
    bad=(
        "CREATE TABLE notes (id int, user_id int REFERENCES users (id))",
        "CREATE TABLE notes (user_id int); ALTER TABLE notes ADD FOREIGN KEY (user_id) REFERENCES users (id)",
    ),
    good=(
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int REFERENCES a (id))",
        "CREATE TABLE notes (id int PRIMARY KEY, parent int REFERENCES notes (id))",
    ),
)
def locks_referenced_table(op: CreateTable | AddConstraint, ctx: Context) -> Answer:
    if not ctx.postgresql:
        return None
    if isinstance(op, AddConstraint):
        # On a table that is in use the key is spoken of by itself (DG203), or is NOT VALID.
        targets = [op.references] if op.references and ctx.is_new(op.table) else []
    else:
        targets = [name for name in op.references if name != op.table]
    others = [name for name in targets if not ctx.is_made_here(name)]
    if not others:
        return None
    return f"The foreign key of {op.table} locks {_list(others)} against writes."


RULES = (
    fails_on_partitions,
    long_work_under_a_lock,
    several_tables_locked,
    locks_referenced_table,
)
