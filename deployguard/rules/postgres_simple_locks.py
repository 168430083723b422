"""The locks on PostgreSQL of what changes neither a column nor a constraint nor an index; measured by tests/rules."""

from collections.abc import Callable, Iterable, Mapping

from deployguard.model import Lock
from deployguard.operations import (
    AlterObject,
    AlterTable,
    ChangeAccess,
    ChangeTrigger,
    CreateObject,
    DetachPartition,
    DropDefault,
    DropNotNull,
    DropObject,
    LockTable,
    Operation,
    RefreshView,
    RenameColumn,
    RenameConstraint,
    RenameTable,
    RewriteTable,
    SetDefault,
    SetSchema,
    Truncate,
    WriteRows,
)
from deployguard.rules.context import Context
from deployguard.rules.modes import AX, REWRITE, ROW, SCAN, SRX, SUX, E, S, dependents, domain, lock


def _alter_table(operation: AlterTable) -> Iterable[Lock]:
    light = {
        "set statistics", "set (options)", "reset (options)", "set (column options)",
        "reset (column options)", "cluster on", "set without cluster",
    }  # fmt: skip
    return (lock(operation.table, SUX if operation.action in light else AX),)


def _trigger(operation: ChangeTrigger) -> Iterable[Lock]:
    heavy = operation.action in {"drop", "rename"}
    return (lock(operation.table, AX if heavy else SRX),)


def _access(operation: ChangeAccess) -> Iterable[Lock]:
    if operation.what in {"owner", "policy", "row security"} and operation.name:
        return (lock(operation.name, AX),)
    return ()


def _object(operation: CreateObject | AlterObject | DropObject, context: Context) -> Iterable[Lock]:
    views = {"view", "materialized view", "foreign table"}
    match operation:
        case CreateObject(kind, name, replace):
            return (lock(name, AX),) if kind in views and replace else ()
        case DropObject(kind, name, cascade):
            own = (lock(name, AX),) if kind in {*views, "sequence"} else ()
            return (*own, lock(dependents(name), AX)) if cascade or kind == "schema" else own
        case AlterObject("domain", name, "add constraint" | "set not null"):
            return (lock(domain(name), S, SCAN),)
        case AlterObject("domain", name, "validate constraint"):
            return (lock(domain(name), S if context.older_than(18) else SUX, SCAN),)
        case AlterObject("sequence", name, "set value"):
            return ()  # setval() writes one row, as nextval() does
        case AlterObject("sequence", name, action) if not action.startswith(
            ("rename", "set schema")
        ):
            return (lock(name, SRX),)
        case AlterObject(kind, name) if kind in {*views, "sequence"}:
            return (lock(name, AX),)
        case _:
            return ()


def _brief(operation: Operation, _: Context) -> Iterable[Lock]:
    table = str(getattr(operation, "table", ""))
    own = (lock(table, AX),)
    cascades = isinstance(operation, Truncate) and operation.cascade
    return (*own, lock(dependents(table), AX)) if cascades else own


def _simple(operation: Operation, context: Context) -> Iterable[Lock]:
    match operation:
        case RewriteTable(table):
            return (lock(table if table != "*" else "every table", AX, REWRITE),)
        case RefreshView(name, concurrently):
            return (lock(name, E if concurrently else AX, SCAN if concurrently else REWRITE),)
        case DetachPartition(table, partition, concurrently):
            mode = SUX if concurrently else AX
            return (lock(table, mode), lock(partition, AX))
        case LockTable(table, mode):
            return (lock(table, mode),)
        case WriteRows(table):
            return (lock(table, ROW),)
        case AlterTable():
            return _alter_table(operation)
        case ChangeTrigger():
            return _trigger(operation)
        case ChangeAccess():
            return _access(operation)
        case CreateObject() | AlterObject() | DropObject():
            return _object(operation, context)
        case _:
            return ()


SIMPLE: Mapping[type[Operation], Callable[[Operation, Context], Iterable[Lock]]] = {
    **dict.fromkeys(
        (
            RenameTable, SetSchema, RenameColumn, DropNotNull, SetDefault,
            DropDefault, RenameConstraint, Truncate,
        ),
        _brief,
    ),
    **dict.fromkeys(
        (
            RewriteTable, RefreshView, DetachPartition, LockTable, WriteRows,
            AlterTable, ChangeTrigger, ChangeAccess, CreateObject, AlterObject, DropObject,
        ),
        _simple,
    ),
}  # fmt: skip
