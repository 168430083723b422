"""DG506 and DG507: what a second attempt meets when the first one failed outside of a transaction."""

import re
from collections.abc import Sequence

from deployguard.model import Risk, Statement
from deployguard.operations import (
    AddColumn,
    AddEnumValue,
    ControlTransaction,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropTable,
    Maintain,
    Operation,
    ReadRows,
    RefreshView,
    Reindex,
    SetSetting,
    ValidateConstraint,
    WriteRows,
)
from deployguard.rules.base import Answer, Found, Whole, rule
from deployguard.rules.context import Context
from deployguard.rules.known import index_key

_FIRST = (
    "with op.get_context().autocommit_block():\n"
    '    op.execute("DROP INDEX CONCURRENTLY IF EXISTS {name}")\n'
    '    op.create_index("{name}", "{own}", {columns_list}{schema}, postgresql_concurrently=True)'
)


@rule(
    "DG506",
    "left-over-index",
    CreateIndex,
    Risk.HIGH,
    effect="A concurrent build that fails leaves an INVALID index behind, which slows writes down and"
    " serves no query. IF NOT EXISTS takes it for the index; without it the name is taken.",
    instead=_FIRST,
    bad=(
        "-- autocommit\nCREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON orders (a)",
        "-- invalid: orders.ix\n-- autocommit\nCREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON orders (a)",
        "-- invalid: orders.ix\n-- autocommit\nCREATE INDEX CONCURRENTLY ix ON orders (a)",
    ),
    good=(
        "-- exists: orders\n-- autocommit\nCREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON orders (a)",
        (
            "-- invalid: orders.ix\n-- autocommit\nDROP INDEX CONCURRENTLY IF EXISTS ix\n"
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON orders (a)"
        ),
    ),
)
def left_over_index(op: CreateIndex, ctx: Context) -> Answer:
    name = index_key(op, ctx.key)
    if not ctx.postgresql or not op.name or ctx.is_new(op.table):
        return None
    if name in ctx.known.dropped_indexes:
        return None
    if name in {ctx.key(one) for one in ctx.facts.invalid_indexes}:
        what = "leaves the INVALID one as it is" if op.if_not_exists else "fails on the INVALID one"
        return f"The index {op.name} is there already, left by a build that failed; this {what}."
    if not (op.if_not_exists and op.concurrently) or ctx.facts.tables is not None:
        return None
    return Found(
        f"Takes any index of the name {op.name} for the one that is wanted, an INVALID one too.",
        Risk.LOW,
    )


_SAFE_TWICE = (
    ControlTransaction, Maintain, ReadRows, RefreshView, Reindex, SetSetting, ValidateConstraint,
)  # fmt: skip
_GUARD = re.compile(r"\bif\s+(not\s+)?exists\b", re.IGNORECASE)


@rule(
    "DG507",
    "not-repeatable",
    Whole,
    Risk.LOW,
    effect="Outside of a transaction each statement stays when a later one fails. The revision is"
    " then run again from its start, and fails on what is there already.",
    instead="Let each statement but the last be one that may run twice: IF EXISTS, IF NOT EXISTS, or"
    " DROP … IF EXISTS before it. Or give each its own revision.",
    bad=(
        (
            "-- autocommit\nCREATE INDEX CONCURRENTLY ix ON orders (a)\n"
            "CREATE INDEX CONCURRENTLY iy ON orders (b)"
        ),
    ),
    good=(
        (
            "-- autocommit\nDROP INDEX CONCURRENTLY IF EXISTS ix\n"
            "CREATE INDEX CONCURRENTLY ix ON orders (a)\nDROP INDEX CONCURRENTLY IF EXISTS iy\n"
            "CREATE INDEX CONCURRENTLY iy ON orders (b)"
        ),
        "-- autocommit\nCREATE INDEX CONCURRENTLY ix ON orders (a)",
    ),
)
def not_repeatable(whole: Whole, ctx: Context) -> Answer:
    if not ctx.postgresql:
        return None
    statements = [
        one
        for one in whole.up.statements
        if not all(isinstance(item, SetSetting | ReadRows) for item in one.operations)
    ]
    if any(one.in_transaction for one in statements):
        return None  # DG504 says it
    once = [one for at, one in enumerate(statements[:-1]) if not _twice(one, statements[:at])]
    if not once:
        return None
    many = f" and {len(once) - 1} more" if len(once) > 1 else ""
    return Found(
        f"Can't be run again: {' '.join(once[0].sql.split())[:80]}{many}.", line=once[0].line
    )


def _twice(statement: Statement, before: Sequence[Statement]) -> bool:
    dropped = {
        operation.name
        for one in before
        for operation in one.operations
        if isinstance(operation, DropIndex) and operation.if_exists
    }
    return all(_operation_twice(one, statement.sql, dropped) for one in statement.operations)


def _operation_twice(operation: Operation, sql: str, dropped: set[str]) -> bool:
    match operation:
        case CreateIndex(_, name) if name in dropped:
            return True
        case CreateIndex() | CreateTable() | AddColumn():
            return operation.if_not_exists
        case DropIndex() | DropTable() | DropColumn() | DropConstraint():
            return operation.if_exists
        case AddEnumValue():
            return bool(_GUARD.search(sql))
        case WriteRows(_, verb):
            return verb in {"update", "delete"}
        case _:
            return isinstance(operation, _SAFE_TWICE)


RULES = (left_over_index, not_repeatable)
