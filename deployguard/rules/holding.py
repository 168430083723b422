"""DG209 to DG212: other work that holds a lock others must wait for."""

import re

from deployguard.model import Risk
from deployguard.operations import (
    AlterObject,
    AttachPartition,
    ChangeTrigger,
    CreateTable,
    DetachPartition,
    LockTable,
    RebuildTable,
    RefreshView,
    Reindex,
    ValidateConstraint,
)
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context
from deployguard.rules.proofs import proves


@rule(
    "DG209",
    "validate-with-add",
    ValidateConstraint,
    Risk.MEDIUM,
    effect="The strong lock that NOT VALID took is held until the transaction ends, so it is held"
    " while every row is scanned: there is"
    " no gain over adding it in one step.",
    instead="Put VALIDATE into a revision of its own, and configure transaction_per_migration=True"
    " in env.py.",
    only_time=True,
    bad=(
        (
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (a > 0) NOT VALID; ALTER TABLE orders VALIDATE"
            " CONSTRAINT ck"
        ),
        (
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (a > 0) NOT VALID\n-- next revision\n"
            "ALTER TABLE orders VALIDATE CONSTRAINT ck"
        ),
    ),
    good=(
        (
            "ALTER TABLE orders ADD CONSTRAINT ck CHECK (a > 0) NOT VALID\n-- own transaction\n"
            "ALTER TABLE orders VALIDATE CONSTRAINT ck"
        ),
        "ALTER TABLE orders VALIDATE CONSTRAINT ck",
    ),
)
def validate_with_add(op: ValidateConstraint, ctx: Context) -> Answer:
    if (ctx.key(op.table), op.name) not in ctx.unvalidated or ctx.is_new(op.table):
        return None
    return f"Validates {op.name} of {op.table} in the transaction that added it."


@rule(
    "DG210",
    "lock-table",
    LockTable,
    Risk.HIGH,
    effect="The table is blocked from here to the end of the transaction, whatever else it does.",
    instead="Leave the lock out: each statement takes the one it needs. deployguard sets"
    " lock_timeout and retries.",
    bad=("LOCK TABLE orders", "LOCK TABLE orders IN SHARE MODE"),
    good=("LOCK TABLE orders IN ROW EXCLUSIVE MODE", "CREATE TABLE t (a int); LOCK TABLE t"),
)
def lock_table(op: LockTable, ctx: Context) -> Answer:
    if op.mode in {"ACCESS SHARE", "ROW SHARE", "ROW EXCLUSIVE"} or ctx.is_made_here(op.table):
        return None
    return f"Locks {op.table} in {op.mode} mode."


@rule(
    "DG211",
    "blocking-maintenance",
    (
        Reindex,
        RefreshView,
        ChangeTrigger,
        AttachPartition,
        DetachPartition,
        CreateTable,
        AlterObject,
    ),
    Risk.MEDIUM,
    effect="Others wait for the lock that it takes; how long depends on the size of the table and"
    " on what is running.",
    instead="Use the CONCURRENTLY form outside a transaction where there is one; otherwise a short"
    " lock_timeout and a quiet hour.",
    bad=(
        "REINDEX TABLE orders",
        "REFRESH MATERIALIZED VIEW reports",
        "CREATE TRIGGER tr BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION f()",
        "DROP TRIGGER tr ON orders",
        "ALTER TABLE orders DISABLE TRIGGER ALL",
        "CREATE TABLE events_2050 PARTITION OF events FOR VALUES IN (2050)",
        "ALTER TABLE events ATTACH PARTITION events_2030 FOR VALUES IN (2030)",
        "ALTER TABLE events DETACH PARTITION events_2020",
        "ALTER DOMAIN price ADD CHECK (VALUE > 0)",
    ),
    good=(
        "-- autocommit\nREINDEX TABLE CONCURRENTLY orders",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY reports",
        (
            "CREATE TABLE t (a int); CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE"
            " FUNCTION f()"
        ),
        "ALTER DOMAIN price ADD CHECK (VALUE > 0) NOT VALID",
        (
            "CREATE TABLE p (a int) PARTITION BY LIST (a); CREATE TABLE p1 PARTITION OF p FOR VALUES"
            " IN (1)"
        ),
        (
            "ALTER TABLE events_2030 ADD CONSTRAINT ck CHECK (year IS NOT NULL AND year = 2030) NOT"
            " VALID\n-- own transaction\nALTER TABLE events_2030 VALIDATE CONSTRAINT ck\n"
            "-- own transaction\nALTER TABLE events ATTACH PARTITION events_2030 FOR VALUES IN (2030)"
        ),
        "-- autocommit\nALTER TABLE events DETACH PARTITION events_2020 CONCURRENTLY",
    ),
)
def blocking_maintenance(
    op: Reindex
    | RefreshView
    | ChangeTrigger
    | AttachPartition
    | DetachPartition
    | CreateTable
    | AlterObject,
    ctx: Context,
) -> Answer:
    match op:
        case Reindex(kind, name, concurrently):
            return None if concurrently else _reindex(kind, name)
        case RefreshView(name, concurrently):
            if concurrently or ctx.is_new_object(name):
                return None
            return Found(
                f"Refreshes {name}.",
                Risk.HIGH,
                why="Takes an ACCESS EXCLUSIVE lock on it: nobody reads it until all of it is"
                " computed.",
                instead='op.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY {name}")  # needs a'
                " unique index on it",
            )
        case ChangeTrigger(table, action, name):
            if ctx.is_made_here(table):
                return None
            mode = "ACCESS EXCLUSIVE" if action in {"drop", "rename"} else "SHARE ROW EXCLUSIVE"
            # With ALL, foreign keys are no longer checked either; USER leaves them alone.
            unchecked = action == "disable" and not name and not _USER.search(ctx.sql)
            return Found(
                f"{_ing(action)} the trigger {name or '(all of them)'} of {table}.",
                Risk.HIGH if unchecked else None,
                why=_UNCHECKED
                if unchecked
                else f"Takes a {mode} lock on the table, and every later write behaves differently.",
                instead="Keep it in a revision of its own, so that the lock is short.",
            )
        case CreateTable():
            return _partition(op, ctx)
        case AttachPartition(table, partition):
            return _attach(op, ctx)
        case DetachPartition(table, partition, concurrently):
            if concurrently or ctx.is_made_here(table):
                return None
            return Found(
                f"Detaches the partition {partition} from {table}.",
                why="Takes an ACCESS EXCLUSIVE lock on both.",
                instead="with op.get_context().autocommit_block():\n"
                '    op.execute("ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY")',
            )
        case AlterObject(
            "domain", name, "add constraint" | "set not null" | "validate constraint" as how
        ):
            if ctx.is_new_object(name) or (how.startswith("validate") and ctx.at_least(18)):
                return None
            # What the same revision added NOT VALID is as if it had been checked at once.
            at_once = AlterObject("domain", name, "add constraint not valid") in ctx.steps
            later = how.startswith("validate") and not at_once and not ctx.older_than(18)
            return Found(
                f"Constrains the domain {name}.",
                Risk.LOW if later else None,
                why="Takes a SHARE lock on every table that uses it, and scans every row of them.",
                instead="Add the constraint NOT VALID, and validate it in a revision of its own.",
            )
        case _:
            return None


def _ing(action: str) -> str:
    return {"create": "Creates", "drop": "Drops", "enable": "Enables", "disable": "Disables"}.get(
        action, "Renames"
    )


def _reindex(kind: str, name: str) -> Found:
    many = kind not in {"table", "index"}
    return Found(
        f"Rebuilds the indexes of the {kind} {name}.",
        Risk.HIGH if many else None,
        only_time=not many,
        why="Takes a SHARE lock on the table and an ACCESS EXCLUSIVE lock on each index while it"
        " is rebuilt.",
        instead="with op.get_context().autocommit_block():\n"
        f'    op.execute("REINDEX {kind.upper()} CONCURRENTLY {name}")',
    )


def _partition(op: CreateTable, ctx: Context) -> Answer:
    if op.partition_of is None or ctx.is_made_here(op.partition_of):
        return None
    return Found(
        f"Creates {op.table} as a partition of {op.partition_of}.",
        why=f"Takes an ACCESS EXCLUSIVE lock on {op.partition_of}: all reads and writes of it"
        f" wait.",
        instead=f"Create {op.table} (LIKE {op.partition_of} INCLUDING ALL) by itself, then\n"
        f"ALTER TABLE {op.partition_of} ATTACH PARTITION {op.table} …",
    )


_USER = re.compile(r"\btrigger\s+user\b", re.IGNORECASE)
_UNCHECKED = (
    "Foreign keys of and to the table are not checked until it is enabled again, and nothing checks"
    " later what came in meanwhile."
)


def _attach(op: AttachPartition, ctx: Context) -> Answer:
    table, partition = op.table, op.partition
    if ctx.is_new(partition) or ctx.is_made_here(table) or proves(op, ctx):
        return None
    return Found(
        f"Attaches {partition} to {table}.",
        Risk.LOW if proves(op, ctx, null=True) else None,
        why=f"Takes an ACCESS EXCLUSIVE lock on {partition} while every row of it is checked.",
        instead=f"Add a CHECK that says the same as the partition's bounds to {partition}, NOT"
        f" VALID, and validate it first:"
        " the rows are then not looked at.",
    )


@rule(
    "DG212",
    "rebuild-table",
    RebuildTable,
    Risk.MEDIUM,
    effect="SQLite copies the whole table into a new one, and locks the database file while it"
    " does. Triggers, and indexes that are not made again, are gone with the old one.",
    instead="Nothing: SQLite has no other way. Keep the file backed up, and run it"
    " at a quiet time.",
    bad=(
        (
            "-- dialect: sqlite\n-- was: t.id INTEGER\nCREATE TABLE _alembic_tmp_t (id INTEGER)\n"
            "INSERT INTO _alembic_tmp_t (id) SELECT t.id FROM t\nDROP TABLE t\nALTER TABLE"
            " _alembic_tmp_t RENAME TO t"
        ),
    ),
    good=("-- dialect: sqlite\nALTER TABLE t ADD COLUMN a INTEGER",),
)
def rebuild_table(op: RebuildTable, ctx: Context) -> Answer:
    if ctx.is_new(op.table):
        return None
    if op.changes is None:
        return Found(
            f"Rewrites {op.table}; what it was before is not known, so columns may be lost.",
            Risk.CRITICAL,
            why="Whatever the new table has no place for is gone.",
            instead="Check against the database itself (leave out --since), so that its present"
            " columns are known.",
        )
    return f"Rewrites the table {op.table}."


RULES = (validate_with_add, lock_table, blocking_maintenance, rebuild_table)
