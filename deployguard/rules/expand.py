"""Whether the application of before works on the schema of after: only what is proven harmless counts."""

from deployguard.model import Opaque, Script
from deployguard.operations import (
    AddColumn,
    AlterType,
    AttachIndex,
    ControlTransaction,
    CreateIndex,
    CreateObject,
    CreateTable,
    CreateType,
    LockTable,
    Maintain,
    Operation,
    ReadRows,
    RebuildTable,
    RefreshView,
    Reindex,
    RewriteTable,
    SetSetting,
    ValidateConstraint,
    Volatility,
)
from deployguard.rules.context import Context
from deployguard.rules.types import catalogue_only

_HARMLESS = (
    AttachIndex, CreateType, LockTable, Maintain, ReadRows, RefreshView, Reindex, RewriteTable, SetSetting,
    ValidateConstraint,
)  # fmt: skip


def expand_only(up: Script, before: Context) -> bool:
    """True only when all of ``up`` is provably harmless for the old application, and nothing is opaque."""
    if any(opacity.code is not Opaque.NON_ATOMIC for opacity in up.opacities):
        return False
    ctx = before
    for statement in up.statements:
        for operation in statement.operations:
            if not harmless(operation, ctx):
                return False
            ctx = ctx.after(operation)
    return True


def harmless(operation: Operation, ctx: Context) -> bool:
    """Whether the old application, which knows nothing of it, can go on as before."""
    table = getattr(operation, "table", "")
    if isinstance(table, str) and table and ctx.is_made_here(table):
        return True
    match operation:
        case CreateTable():
            return True
        case CreateObject(kind, _, replaces):
            return not replaces and kind != "event trigger"
        case AddColumn():
            has_value = (
                operation.nullable
                or bool(operation.generated)
                or operation.default is not Volatility.NONE
            )
            return has_value and not operation.constraints
        case CreateIndex(unique=unique):
            return not unique
        case AlterType():
            return (
                bool(catalogue_only(operation.old_type, operation.type)) and not operation.collation
            )
        case RebuildTable(_, changes):
            return changes is not None and all(harmless(change, ctx) for change in changes)
        case ControlTransaction(action):
            return action in {"savepoint", "release"}
        case _:
            return isinstance(operation, _HARMLESS)
