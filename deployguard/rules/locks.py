"""The lock that each operation takes on relations that were there before; measured by tests/rules.

Source: https://www.postgresql.org/docs/current/explicit-locking.html and tests/rules/test_locks_measured.py, which
runs every claim below on a real server.
"""

from collections.abc import Callable, Iterable, Mapping

from deployguard.model import Lock
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterObject,
    AlterTable,
    AlterType,
    AttachIndex,
    AttachPartition,
    ChangeAccess,
    ChangeTrigger,
    Constraint,
    CreateIndex,
    CreateObject,
    CreateTable,
    DetachPartition,
    DropColumn,
    DropConstraint,
    DropDefault,
    DropIndex,
    DropNotNull,
    DropObject,
    DropTable,
    LockTable,
    Maintain,
    Operation,
    Procedural,
    ReadRows,
    RebuildTable,
    RefreshView,
    Reindex,
    RenameColumn,
    RenameConstraint,
    RenameIndex,
    RenameTable,
    RewriteTable,
    SetDefault,
    SetNotNull,
    SetSchema,
    SetSetting,
    Truncate,
    ValidateConstraint,
    Volatility,
    WriteRows,
)
from deployguard.rules.context import Context, not_null_column
from deployguard.rules.mysql_locks import mysql_locks
from deployguard.rules.types import catalogue_only

ROW = "ROW EXCLUSIVE"
SUX = "SHARE UPDATE EXCLUSIVE"
S = "SHARE"
SRX = "SHARE ROW EXCLUSIVE"
E = "EXCLUSIVE"
AX = "ACCESS EXCLUSIVE"
MODES = ("ACCESS SHARE", "ROW SHARE", ROW, SUX, S, SRX, E, AX)
REWRITE, SCAN, BUILD = "rewrite", "scan", "index build"
FILE = "the database file"

_BLOCKS = {S: "writes", SRX: "writes", E: "writes", AX: "reads and writes"}


def lock(relation: str, mode: str, work: str = "") -> Lock:
    return Lock(relation, mode, _BLOCKS.get(mode, "schema changes"), work)


def locks(operation: Operation, context: Context) -> tuple[Lock, ...]:
    """What ``operation`` locks; a table that this run created is left out, since nobody uses it yet."""
    if isinstance(operation, SetSetting | ReadRows | Maintain | Procedural):
        return ()
    if context.sqlite:
        return _sqlite(operation, context)
    if context.mysql:
        return mysql_locks(operation, context)
    if not context.postgresql:
        table = getattr(operation, "table", "")
        known = isinstance(table, str) and table and not context.is_new(table)
        return (Lock(str(table), "unknown", "unknown"),) if known else ()
    claimed = _postgresql(operation, context)
    return tuple(one for one in claimed if not context.is_new(one.relation))


def _sqlite(operation: Operation, context: Context) -> tuple[Lock, ...]:
    if isinstance(operation, CreateTable | CreateObject):
        return ()
    table = getattr(operation, "table", "")
    if isinstance(table, str) and table and context.is_new(table):
        return ()
    if isinstance(operation, RebuildTable | RewriteTable):
        return (Lock(FILE, E, "reads and writes", REWRITE),)
    build = isinstance(operation, CreateIndex | Reindex)
    return (Lock(FILE, E, "reads and writes", BUILD if build else ""),)


def _postgresql(operation: Operation, context: Context) -> Iterable[Lock]:
    match operation:
        case AddColumn():
            return _add_column(operation, context)
        case AddConstraint():
            return _add_constraint(operation, context)
        case AlterType(table):
            return (lock(table, AX, _retyped(operation)),)
        case SetNotNull(table, column):
            proven = (context.key(table), column) in context.proven
            return (lock(table, AX, "" if proven else SCAN),)
        case ValidateConstraint(table, name):
            other = context.references.get((context.key(table), name))
            return (lock(table, SUX, SCAN), *((lock(other, "ROW SHARE", SCAN),) if other else ()))
        case DropConstraint(table, name):
            other = context.references.get((context.key(table), name))
            return (lock(table, AX), *((lock(other, AX),) if other else ()))
        case DropTable(table):
            others = {
                other for (own, _), other in context.references.items() if own == context.key(table)
            }
            return (lock(table, AX), *(lock(other, AX) for other in sorted(others - {table})))
        case CreateTable():
            parent = (lock(operation.partition_of, AX),) if operation.partition_of else ()
            return (*parent, *(lock(table, SRX) for table in operation.references))
        case CreateIndex() | DropIndex() | RenameIndex() | AttachIndex() | Reindex():
            return _indexes(operation, context)
        case _:
            simple = _SIMPLE.get(type(operation))
            return simple(operation) if simple else ()


def _add_column(operation: AddColumn, context: Context) -> Iterable[Lock]:
    rewrites = (
        operation.default in {Volatility.VOLATILE, Volatility.UNKNOWN}
        or operation.generated in {"stored", "identity", "serial"}
        or (operation.default is not Volatility.NONE and context.older_than(11))
    )
    kinds = set(operation.constraints)
    has_default = operation.default is not Volatility.NONE
    if rewrites:
        work = REWRITE
    elif kinds & {Constraint.UNIQUE, Constraint.PRIMARY_KEY}:
        work = BUILD
    elif Constraint.CHECK in kinds or (Constraint.FOREIGN_KEY in kinds and has_default):
        work = SCAN
    else:
        work = ""
    yield lock(operation.table, AX, work)
    if operation.references and operation.references != operation.table:
        yield lock(operation.references, SRX, SCAN if has_default else "")


def _add_constraint(operation: AddConstraint, context: Context) -> Iterable[Lock]:
    work = "" if operation.not_valid else SCAN
    if operation.kind is Constraint.FOREIGN_KEY:
        yield lock(operation.table, SRX, work)
        if operation.references and operation.references != operation.table:
            yield lock(operation.references, SRX, work)
        return
    if operation.using_index:
        # A primary key must also know that no value is NULL.
        work = SCAN if operation.kind is Constraint.PRIMARY_KEY else ""
    elif operation.kind in {Constraint.UNIQUE, Constraint.PRIMARY_KEY, Constraint.EXCLUDE}:
        work = BUILD
    elif (
        operation.kind is Constraint.NOT_NULL
        and (context.key(operation.table), not_null_column(operation)) in context.proven
    ):
        work = ""
    yield lock(operation.table, AX, work)


def _retyped(operation: AlterType) -> str:
    if operation.collation:
        return BUILD
    free = catalogue_only(operation.old_type, operation.type)
    return "" if free else REWRITE


def _indexes(
    operation: CreateIndex | DropIndex | RenameIndex | AttachIndex | Reindex, context: Context
) -> Iterable[Lock]:
    match operation:
        case CreateIndex(table):
            work = "" if operation.only else BUILD
            yield lock(table, SUX if operation.concurrently else S, work)
        case DropIndex(name):
            mode = SUX if operation.concurrently else AX
            yield lock(context.table_of(name) or f"the table of {name}", mode)
        case RenameIndex(name):
            yield lock(name, SUX)
        case AttachIndex(name, child):
            yield lock(name, SUX)
            yield lock(child, AX)
        case Reindex(kind, name, concurrently):
            mode = SUX if concurrently else S
            if kind == "index":
                name = context.table_of(name) or f"the table of {name}"
            elif kind != "table":
                name = f"every table of the {kind}"
            yield lock(name, mode, BUILD)


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


def _object(operation: CreateObject | AlterObject | DropObject) -> Iterable[Lock]:
    views = {"view", "materialized view", "foreign table"}
    match operation:
        case CreateObject(kind, name, replace):
            return (lock(name, AX),) if kind in views and replace else ()
        case DropObject(kind, name):
            return (lock(name, AX),) if kind in {*views, "sequence"} else ()
        case AlterObject("sequence", name, "set"):
            return (lock(name, SRX),)
        case AlterObject("domain", name, "add constraint" | "set not null"):
            return (lock(f"every table that uses the domain {name}", S, SCAN),)
        case AlterObject(kind, name, action) if kind in {*views, "sequence"} and "rename" in action:
            return (lock(name, AX),)
        case _:
            return ()


def _brief(operation: Operation) -> Iterable[Lock]:
    return (lock(str(getattr(operation, "table", "")), AX),)


def _simple(operation: Operation) -> Iterable[Lock]:
    match operation:
        case RewriteTable(table):
            return (lock(table if table != "*" else "every table", AX, REWRITE),)
        case RefreshView(name, concurrently):
            return (lock(name, E if concurrently else AX, SCAN if concurrently else REWRITE),)
        case AttachPartition(table, partition):
            return (lock(table, SUX), lock(partition, AX, SCAN))
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
            return _object(operation)
        case _:
            return ()


_SIMPLE: Mapping[type[Operation], Callable[[Operation], Iterable[Lock]]] = {
    **dict.fromkeys(
        (
            RenameTable, SetSchema, DropColumn, RenameColumn, DropNotNull, SetDefault,
            DropDefault, RenameConstraint, Truncate,
        ),
        _brief,
    ),
    **dict.fromkeys(
        (
            RewriteTable, RefreshView, AttachPartition, DetachPartition, LockTable, WriteRows,
            AlterTable, ChangeTrigger, ChangeAccess, CreateObject, AlterObject, DropObject,
        ),
        _simple,
    ),
}  # fmt: skip
