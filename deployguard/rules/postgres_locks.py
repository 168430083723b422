"""The locks of each operation on PostgreSQL, and the work under them; every claim is measured by tests/rules.

Source: https://www.postgresql.org/docs/current/sql-altertable.html and what servers were seen to do.
"""

from collections.abc import Iterable

from deployguard.model import Lock
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterType,
    AttachIndex,
    AttachPartition,
    ChangeTrigger,
    Constraint,
    CreateIndex,
    CreateTable,
    DropColumn,
    DropConstraint,
    DropDefault,
    DropIndex,
    DropNotNull,
    DropTable,
    LockTable,
    Operation,
    Reindex,
    RenameColumn,
    RenameIndex,
    SetDefault,
    SetNotNull,
    Truncate,
    ValidateConstraint,
    Volatility,
    WriteRows,
)
from deployguard.rules.context import Context
from deployguard.rules.known import index_key, not_null_column
from deployguard.rules.modes import AX, BUILD, REWRITE, SCAN, SRX, SUX, S, dependents, lock
from deployguard.rules.postgres_simple_locks import SIMPLE
from deployguard.rules.proofs import never_null, proves
from deployguard.rules.types import leaves_rows


def postgres_locks(operation: Operation, context: Context) -> tuple[Lock, ...]:
    """What ``operation`` locks, with the partitions that are known; what the work is said of is the parent."""
    claimed = tuple(_claims(operation, context))
    found = list(claimed)
    for one in claimed:
        own = one.relation == getattr(operation, "table", one.relation)
        mode = _on_partitions(operation, one, context) if own else ""
        below = context.known.below(context.key(one.relation)) if mode else ()
        found += [lock(partition, mode) for partition in below]
    return tuple(dict.fromkeys(found))


def _on_partitions(operation: Operation, one: Lock, context: Context) -> str:
    """The lock that each partition of the relation gets as well; "" for none."""
    match operation:
        case AddConstraint(kind=Constraint.UNIQUE | Constraint.EXCLUDE) if one.mode == AX:
            return S if context.older_than(18) else AX  # before, the index was built like any other
        case (
            CreateIndex(only=True) | ChangeTrigger(action="enable" | "disable" | "rename" | "drop")
        ):
            return ""
        case Reindex(concurrently=True):
            return S  # held while they are listed, not while they are built
        case (
            AddColumn() | AddConstraint() | AlterType() | SetNotNull() | DropNotNull() | SetDefault()
            | DropDefault() | DropColumn() | RenameColumn() | ValidateConstraint() | DropConstraint()
            | CreateIndex() | DropIndex() | Reindex() | Truncate() | DropTable() | ChangeTrigger() | LockTable()
            | WriteRows()
        ):  # fmt: skip
            return one.mode
        case _:
            return ""


def _claims(operation: Operation, context: Context) -> Iterable[Lock]:
    match operation:
        case AddColumn():
            return _add_column(operation, context)
        case AddConstraint():
            return _add_constraint(operation, context)
        case AlterType(table):
            return (lock(table, AX, _retyped(operation, context)),)
        case SetNotNull(table, column):
            proven = (context.key(table), column) in context.proven and not context.older_than(12)
            return (lock(table, AX, "" if proven else SCAN),)
        case ValidateConstraint(table, name):
            other = context.references.get((context.key(table), name))
            return (lock(table, SUX, SCAN), *((lock(other, "ROW SHARE", SCAN),) if other else ()))
        case DropConstraint() | DropTable() | DropColumn():
            return _drops(operation, context)
        case CreateTable(table):
            parent = (lock(operation.partition_of, AX),) if operation.partition_of else ()
            return (
                *parent,
                *(lock(other, SRX) for other in operation.references if other != table),
            )
        case CreateIndex() | DropIndex() | RenameIndex() | AttachIndex() | Reindex():
            return _indexes(operation, context)
        case AttachPartition(table, partition):
            return (
                lock(table, SUX),
                lock(partition, AX, "" if proves(operation, context) else SCAN),
            )
        case _:
            simple = SIMPLE.get(type(operation))
            return simple(operation, context) if simple else ()


def _drops(operation: DropConstraint | DropTable | DropColumn, context: Context) -> Iterable[Lock]:
    table = context.key(operation.table)
    match operation:
        case DropConstraint(_, name):
            others = {context.references.get((table, name), "")}
        case DropColumn(_, column):
            others = set(context.known.points_at.get((table, column), ()))
        case DropTable():
            others = {other for (own, _), other in context.references.items() if own == table}
            pairs = context.known.points_at.items()
            others |= {other for (own, _), seen in pairs if own == table for other in seen}
            others.add(context.known.parents.get(table, ""))
    yield lock(operation.table, AX)
    for other in sorted(others - {table, ""}):
        yield lock(other, AX)
    if operation.cascade:
        yield lock(dependents(operation.table), AX)


def _add_column(operation: AddColumn, context: Context) -> Iterable[Lock]:
    rewrites = (
        operation.default in {Volatility.VOLATILE, Volatility.UNKNOWN}
        or operation.generated in {"stored", "identity", "serial"}
        or (operation.default is not Volatility.NONE and context.older_than(11))
        or context.key(operation.type) in context.known.domains  # its constraint is checked
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
        work = "" if context.is_new(operation.table) else work  # no row that could point anywhere
        yield lock(operation.table, SRX, work)
        if operation.references and operation.references != operation.table:
            yield lock(operation.references, SRX, work)
        return
    if operation.using_index:
        # A primary key must also know that no value is NULL.
        scans = operation.kind is Constraint.PRIMARY_KEY and not never_null(operation, context)
        work = SCAN if scans else ""
    elif operation.kind in {Constraint.UNIQUE, Constraint.PRIMARY_KEY, Constraint.EXCLUDE}:
        work = BUILD
    elif (
        operation.kind is Constraint.NOT_NULL
        and (context.key(operation.table), not_null_column(operation)) in context.proven
    ):
        work = ""
    yield lock(operation.table, AX, work)


def _retyped(operation: AlterType, context: Context) -> str:
    zone = context.known.setting("timezone")
    free = leaves_rows(
        operation.old_type, operation.type, operation.column, operation.using_sql, zone
    )
    if operation.collation and free is not False:
        return BUILD if context.may_be_indexed(operation.table, operation.column) else ""
    return "" if free else REWRITE


def _indexes(
    operation: CreateIndex | DropIndex | RenameIndex | AttachIndex | Reindex, context: Context
) -> Iterable[Lock]:
    match operation:
        case CreateIndex(table):
            work = "" if builds_nothing(operation, context) else BUILD
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


def builds_nothing(operation: CreateIndex, context: Context) -> bool:
    """Whether no row is looked at: the index is there already, or only the parent of partitions gets one."""
    if operation.if_not_exists and index_key(operation, context.key) in context.indexes:
        return True
    return operation.only and context.may_be_partitioned(operation.table)
