"""DG5xx: what goes wrong because of a transaction, or because there is none."""

import re

from deployguard.model import Risk
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AddEnumValue,
    AlterType,
    ControlTransaction,
    CreateIndex,
    CreateObject,
    CreateTable,
    DetachPartition,
    DropIndex,
    DropObject,
    Maintain,
    Operation,
    Procedural,
    ReadRows,
    Reindex,
    RewriteTable,
    SetDefault,
    SetSetting,
    WriteRows,
)
from deployguard.rules.base import Answer, Found, Whole, rule
from deployguard.rules.context import Context

_BLOCK_OF_CODE = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/)*do\b", re.IGNORECASE | re.DOTALL)
_BLOCK = "with op.get_context().autocommit_block():\n    …"


@rule(
    "DG501",
    "not-in-a-transaction",
    (
        CreateIndex,
        DropIndex,
        Reindex,
        DetachPartition,
        Maintain,
        RewriteTable,
        CreateObject,
        DropObject,
        AddEnumValue,
        Procedural,
    ),
    Risk.HIGH,
    effect="PostgreSQL refuses it inside a transaction: the migration will fail here.",
    instead=_BLOCK,
    bad=(
        "CREATE INDEX CONCURRENTLY ix ON orders (a)",
        "DROP INDEX CONCURRENTLY ix",
        "REINDEX INDEX CONCURRENTLY ix",
        "VACUUM orders",
        "CREATE DATABASE other",
        "REINDEX SCHEMA public",
        "ALTER SYSTEM SET work_mem = '8MB'",
        "DROP TABLESPACE fast",
        "-- autocommit\nDO $$ BEGIN CREATE INDEX CONCURRENTLY ix ON orders (a); END $$",
        "-- autocommit\nSET lock_timeout = '5s'; DROP INDEX CONCURRENTLY ix",
    ),
    good=(
        "-- autocommit\nCREATE INDEX CONCURRENTLY ix ON orders (a)",
        "-- autocommit\nVACUUM orders",
    ),
)
def not_in_a_transaction(op: Operation, ctx: Context) -> Answer:
    # A DO block is a transaction, or a part of one, wherever it runs.
    if not ctx.postgresql or not (ctx.in_transaction or _BLOCK_OF_CODE.match(ctx.sql)):
        return None
    message = _refused(op, ctx)
    if message is None or not ctx.string:
        return message
    return Found(
        f"{message.removesuffix('.')}, and several statements in one string are one.",
        why="PostgreSQL runs all statements of one string in one transaction, also in an"
        " autocommit_block(), and refuses this one in it: the migration will fail here.",
        instead="Give it an op.execute() of its own, in the same autocommit_block().",
    )


def _refused(op: Operation, ctx: Context) -> str | None:
    match op:
        case CreateIndex() | DropIndex() | Reindex() | DetachPartition() if op.concurrently:
            return "CONCURRENTLY does not work inside a transaction."
        case Reindex(kind) if kind not in {"table", "index"}:
            return f"REINDEX {kind.upper()} does not work inside a transaction."
        case Maintain("vacuum") | RewriteTable(_, "vacuum full"):
            return "VACUUM does not work inside a transaction."
        case RewriteTable("*", "cluster"):
            return "CLUSTER of every table does not work inside a transaction."
        case CreateObject("database" | "tablespace" as kind) | DropObject(
            "database" | "tablespace" as kind
        ):
            return f"A {kind} is neither created nor dropped inside a transaction."
        case Procedural("alter system"):
            return "ALTER SYSTEM does not work inside a transaction."
        case Reindex("table", name) if ctx.key(name) in ctx.known.partitioned:
            return "REINDEX of a partitioned table does not work inside a transaction."
        case AddEnumValue() if ctx.older_than(12):
            return "ALTER TYPE … ADD VALUE does not work inside a transaction before PostgreSQL 12."
        case _:
            return None


@rule(
    "DG502",
    "transaction-control",
    ControlTransaction,
    Risk.HIGH,
    effect="Alembic believes that its own transaction is still open: a failure afterwards leaves"
    " the revision half done, and"
    " the version table does not know.",
    instead="Leave the transaction to Alembic. What must run outside of one goes into\n" + _BLOCK,
    bad=("COMMIT", "BEGIN", "ROLLBACK"),
    good=("SAVEPOINT a; RELEASE SAVEPOINT a",),
)
def transaction_control(op: ControlTransaction, ctx: Context) -> Answer:
    del ctx
    if op.action in {"savepoint", "release", "rollback to"}:
        return None
    return f"{op.action.upper()} inside a revision."


@rule(
    "DG503",
    "enum-value-used-at-once",
    (WriteRows, SetDefault, AddColumn, AddConstraint, CreateIndex, CreateTable, AlterType),
    Risk.HIGH,
    effect="PostgreSQL does not let a new enum value be used before the transaction that added it"
    " is committed: the migration"
    " will fail here.",
    instead="Add the value in an earlier revision, inside\n" + _BLOCK,
    bad=(
        (
            "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (a mood); ALTER TYPE mood ADD VALUE"
            " 'sad';"
            " INSERT INTO t VALUES ('sad')"
        ),
    ),
    good=(
        (
            "CREATE TYPE mood AS ENUM ('ok'); CREATE TABLE t (a mood)\n-- own transaction\nALTER"
            " TYPE"
            " mood ADD VALUE 'sad'\n"
            "-- own transaction\nINSERT INTO t VALUES ('sad')"
        ),
    ),
)
def enum_value_used_at_once(
    op: WriteRows | SetDefault | AddColumn | AddConstraint | CreateIndex | CreateTable | AlterType,
    ctx: Context,
) -> Answer:
    del op
    if not ctx.postgresql or not ctx.in_transaction:
        return None
    for type_name, value in sorted(ctx.enum_values):
        # Measured: PostgreSQL 17 and later let it be used where the type is as new as the value.
        if ctx.is_new_object(type_name) and ctx.at_least(17):
            continue
        if "'" + value.replace("'", "''") + "'" in ctx.sql:
            return f"Uses the value {value!r} of {type_name} in the transaction that added it."
    return None


_TRIFLES = (SetSetting, Maintain, ReadRows, ControlTransaction)


@rule(
    "DG504",
    "non-atomic",
    Whole,
    Risk.LOW,
    effect="What ran before it is committed by itself. When the rest fails, the revision is half"
    " done: running it again fails"
    " on what is there already, and an index that was being built stays behind INVALID.",
    instead="Give what runs outside a transaction a revision of its own.",
    bad=(
        (
            "ALTER TABLE orders ADD COLUMN a int\n-- autocommit\nCREATE INDEX CONCURRENTLY ix ON"
            " orders (a)"
        ),
    ),
    good=(
        (
            "-- autocommit\nDROP INDEX CONCURRENTLY IF EXISTS ix\nCREATE INDEX CONCURRENTLY ix ON"
            " orders (a)"
        ),
        "SET lock_timeout = '5s'\n-- autocommit\nCREATE INDEX CONCURRENTLY ix ON orders (a)",
    ),
)
def non_atomic(whole: Whole, ctx: Context) -> Answer:
    if not ctx.postgresql:
        return None
    work = [
        statement
        for statement in whole.up.statements
        if not all(isinstance(operation, _TRIFLES) for operation in statement.operations)
    ]
    outside = [statement for statement in work if not statement.in_transaction]
    if not outside or len(outside) == len(work):
        return None
    if any(
        isinstance(operation, ControlTransaction) and operation.action in {"commit", "rollback"}
        for statement in whole.up.statements
        for operation in statement.operations
    ):
        return None  # DG502 says it, and worse
    return Found("Runs one part in a transaction and another outside of it.", line=outside[0].line)


_COMMITTING = {"mysql", "mariadb", "oracle"}


@rule(
    "DG505",
    "ddl-commits-at-once",
    Whole,
    Risk.LOW,
    effect="On this kind of database each schema change commits by itself. When a later one fails,"
    " the revision is half done,"
    " and running it again fails on what is there already.",
    instead="One schema change a revision.",
    bad=(
        (
            "-- dialect: mysql\nALTER TABLE orders ADD COLUMN a INTEGER\nALTER TABLE orders ADD"
            " COLUMN b INTEGER"
        ),
    ),
    good=(
        "-- dialect: mysql\nALTER TABLE orders ADD COLUMN a INTEGER",
        "ALTER TABLE orders ADD COLUMN a int; ALTER TABLE orders ADD COLUMN b int",
    ),
)
def ddl_commits_at_once(whole: Whole, ctx: Context) -> Answer:
    if ctx.dialect not in _COMMITTING:
        return None
    changes = [
        statement
        for statement in whole.up.statements
        if not all(
            isinstance(operation, (*_TRIFLES, WriteRows)) for operation in statement.operations
        )
    ]
    if len(changes) < 2:
        return None
    return Found(
        f"Makes {len(changes)} schema changes that commit one by one.", line=changes[1].line
    )


RULES = (
    not_in_a_transaction,
    transaction_control,
    enum_value_used_at_once,
    non_atomic,
    ddl_commits_at_once,
)
