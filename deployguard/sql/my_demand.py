"""What ALGORITHM= and LOCK= demand of MySQL, and what a statement does when the server has to keep it.

Source: https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html and https://mariadb.com/kb/en/alter-table/
"""

from dataclasses import dataclass, replace

from deployguard.operations import (
    AddConstraint,
    AlterTable,
    AlterType,
    Constraint,
    CreateIndex,
    DropIndex,
    DropNotNull,
    LockTable,
    Operation,
    RewriteTable,
    SetNotNull,
)
from deployguard.sql.my_column import POSITION
from deployguard.sql.my_reader import Operations, Reader

_ONLINE = {"instant", "nocopy", "inplace"}
_LOCKING = {"shared", "exclusive"}


@dataclass(slots=True)
class Demand:
    """What ALGORITHM= and LOCK= demand of the server, which refuses the statement when it can't comply."""

    algorithm: str = "default"
    lock: str = "default"

    @property
    def catalogue(self) -> bool:
        """Rows are not copied: only a change of the dictionary is accepted, or one in place."""
        return self.algorithm in _ONLINE

    @property
    def online(self) -> bool:
        """Nobody who writes has to wait."""
        return (self.catalogue or self.lock == "none") and self.lock not in _LOCKING


def demanded(reader: Reader, demand: Demand) -> bool:
    if reader.take("algorithm"):
        reader.take("=")
        demand.algorithm = reader.one_of("default", "instant", "nocopy", "inplace", "copy")
    elif reader.take("lock"):
        reader.take("=")
        demand.lock = reader.one_of("default", "none", "shared", "exclusive")
    elif not (reader.take("with", "validation") or reader.take("without", "validation")):
        return False
    return True


def demands(reader: Reader) -> Demand:
    """The clauses at the end of CREATE INDEX and DROP INDEX."""
    demand = Demand()
    while demanded(reader, demand):
        pass
    return demand


def explicit(table: str, demand: Demand) -> Operations:
    """What the clauses themselves do: a copy, or a lock that stops the application."""
    copies = (RewriteTable(table, "algorithm=copy"),) if demand.algorithm == "copy" else ()
    locks = (LockTable(table, demand.lock),) if demand.lock in _LOCKING else ()
    return (*copies, *locks)


def impossible(operation: Operation, demand: Demand) -> bool:
    """Whether the server could not do this and keep what is demanded: MODIFY then only states NULL again."""
    return demand.algorithm in {"instant", "nocopy"} and isinstance(
        operation, SetNotNull | DropNotNull
    )


def guarded(operation: Operation, demand: Demand) -> Operation:
    """``operation`` as it is when the server has to keep what the clauses demand."""
    heavy = isinstance(operation, CreateIndex) and operation.kind and demand.lock != "none"
    if not demand.online or heavy:
        return operation
    match operation:
        case CreateIndex() | DropIndex():
            return replace(operation, concurrently=True)
        case AlterType():
            return replace(operation, online=demand.catalogue)
        case AddConstraint(table, Constraint.UNIQUE, name, columns):
            return CreateIndex(table, name, columns, unique=True, concurrently=True)
        case AddConstraint(kind=Constraint.FOREIGN_KEY):
            return replace(operation, not_valid=True)  # accepted only when rows are not checked
        case AlterTable(table, action) if action == POSITION:
            return AlterTable(table, f"{POSITION}, online")
        case RewriteTable(table, how):
            return AlterTable(table, f"{how}, online")
        case _:
            return operation
