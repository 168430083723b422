"""What MySQL and MariaDB (InnoDB) keep others from while a schema changes, when nothing is demanded of them.

Source: https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html; what MariaDB accepts with
ALGORITHM= and LOCK= is measured by tests/rules/test_mysql_measured.py. Every change waits for the transactions that
use the table and makes later ones wait behind it, be it for a moment.
"""

from deployguard.model import Lock
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterTable,
    AlterType,
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
    RenameColumn,
    RenameIndex,
    RenameTable,
    RewriteTable,
    SetDefault,
    SetNotNull,
    Truncate,
    Volatility,
    WriteRows,
)
from deployguard.rules.context import Context
from deployguard.rules.mysql_types import unchanged_rows

ROWS = "ROWS"
UPGRADABLE = "SHARED UPGRADABLE"  # until the end, when it becomes the next one
METADATA = "EXCLUSIVE METADATA"  # for a moment
SHARED = "LOCK=SHARED"
EXCLUSIVE = "LOCK=EXCLUSIVE"
MYSQL_MODES = (ROWS, UPGRADABLE, METADATA, SHARED, EXCLUSIVE)  # by how much they keep others from
REWRITE, BUILD, SCAN = "rewrite", "index build", "scan"
# What InnoDB builds anew in place, while others go on reading and writing.
_IN_PLACE = {
    "force",
    "row_format",
    "key_block_size",
    "optimize table",
    "optimize partition",
    "encryption",
}


def mysql_locks(operation: Operation, context: Context) -> tuple[Lock, ...]:
    """The locks of one operation on tables that were there before this run."""
    return tuple(one for one in _claimed(operation, context) if not context.is_new(one.relation))


def brief(table: str) -> Lock:
    return Lock(table, METADATA, "reads and writes", "")


def copy(table: str) -> Lock:
    return Lock(table, SHARED, "writes", REWRITE)


def online(table: str, work: str) -> Lock:
    """Built in place: only other schema changes have to wait all the time."""
    return Lock(table, UPGRADABLE, "schema changes", work)


def _claimed(operation: Operation, context: Context) -> tuple[Lock, ...]:
    match operation:
        case AddColumn(table):
            return (_added(operation, table),)
        case AlterType(table):
            free = operation.online or unchanged_rows(
                operation.old_type, operation.type, context.dialect
            )
            return (brief(table) if free else copy(table),)
        case SetNotNull(table) | DropNotNull(table):
            return (online(table, REWRITE),)
        case AddConstraint(table):
            return _constraint(operation, table)
        case CreateIndex(table):
            heavy = operation.kind and not operation.concurrently
            return (Lock(table, SHARED, "writes", BUILD) if heavy else online(table, BUILD),)
        case DropIndex(name) | RenameIndex(name):
            return (brief(context.table_of(name) or f"the table of {name}"),)
        case RewriteTable(table, how):
            return (online(table, REWRITE) if how in _IN_PLACE else copy(table),)
        case LockTable(table, mode):
            reads = mode in {"read", "shared"}
            return (
                Lock(table, SHARED, "writes")
                if reads
                else Lock(table, EXCLUSIVE, "reads and writes"),
            )
        case WriteRows(table):
            return (Lock(table, ROWS, "schema changes"),)
        case CreateTable():
            return tuple(brief(table) for table in operation.references)
        case (
            DropTable(table)
            | DropColumn(table)
            | Truncate(table)
            | RenameTable(table)
            | RenameColumn(table)
            | SetDefault(table)
            | DropDefault(table)
            | DropConstraint(table)
            | AlterTable(table)
        ):
            return (brief(table),)
        case _:
            return ()


def _added(operation: AddColumn, table: str) -> Lock:
    if operation.generated == "stored" or operation.default in {
        Volatility.VOLATILE,
        Volatility.UNKNOWN,
    }:
        return copy(table)
    if operation.generated == "identity":
        return copy(table)
    if set(operation.constraints) & {Constraint.UNIQUE, Constraint.PRIMARY_KEY}:
        return online(table, BUILD)
    return brief(table)


def _constraint(operation: AddConstraint, table: str) -> tuple[Lock, ...]:
    if operation.kind in {Constraint.UNIQUE, Constraint.PRIMARY_KEY}:
        work = BUILD if operation.kind is Constraint.UNIQUE else REWRITE
        return (online(table, work),)
    own = brief(table) if operation.not_valid else copy(table)
    other = operation.references
    return (own, brief(other)) if other and other != table else (own,)
