"""What of a revision may be committed before the whole of it is: what a retry would repeat and a failure leave."""

from typing import Final

from deployguard.model import Opacity, Opaque, Script, Statement
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AddEnumValue,
    ControlTransaction,
    CreateIndex,
    CreateTable,
    DetachPartition,
    DropIndex,
    Maintain,
    Operation,
    ReadRows,
    Reindex,
    SetSetting,
    WriteRows,
)

_TRIFLES: Final = (SetSetting, Maintain, ReadRows)
# What these leave behind is in the catalogue, or nothing at all.
_SHOWN: Final = (*_TRIFLES, CreateIndex, DropIndex, Reindex, AddColumn, AddConstraint, AddEnumValue)
_INSIDE: Final = {"savepoint", "release", "rollback to"}
# PROCEDURAL and NON_ATOMIC are told by the statements themselves: inside a transaction no block can commit.
_HIDES: Final = {
    Opaque.FAILED,
    Opaque.UNPARSED,
    Opaque.UNSEEN_WRITES,
    Opaque.APPLICATION_HELPER,
    Opaque.EXTERNAL_INPUT,
    Opaque.EMPTY,
}


def non_atomic(script: Script, dialect: str) -> str:
    """Why a part of ``script`` may stay when the rest fails; "" when it is one transaction and seen completely."""
    hidden = _hidden(script)
    if hidden is not None:
        return f"what it does is not known completely: {hidden.detail}"
    work = [statement for statement in script.statements if not _all(statement, _TRIFLES)]
    control = next((one for one in script.statements if _ends_transaction(one)), None)
    if control is not None:
        return f"it ends the transaction itself (line {control.line})"
    outside = next((one for one in work if not one.in_transaction), None)
    if outside is not None:
        return f"a part of it is committed by itself (line {outside.line})"
    by_itself = [statement for statement in work if not _all(statement, (WriteRows,))]
    if dialect != "postgresql" and by_itself and len(work) > 1:
        return f"{dialect} commits each of its schema changes by itself"
    return ""


def unseen(script: Script, dialect: str) -> bool:
    """Whether a part that stays may be rows, which no look at the schema shows."""
    if _hidden(script) is not None or any(map(_ends_transaction, script.statements)):
        return True
    if dialect not in ("postgresql", "sqlite"):
        return bool(non_atomic(script, dialect))
    return any(
        not _is_shown(operation)
        for statement in script.statements
        if not statement.in_transaction
        for operation in statement.operations or (None,)
    )


def _is_shown(operation: Operation | None) -> bool:
    """Whether the catalogue shows all that an operation leaves behind."""
    if isinstance(operation, CreateTable):
        return not operation.from_query
    return isinstance(operation, _SHOWN)


def builds_concurrently(script: Script) -> bool:
    """Whether anything in it is built or dropped concurrently."""
    return any(
        _concurrent(operation)
        for statement in script.statements
        for operation in statement.operations
    )


def only_builds_concurrently(script: Script) -> bool:
    """Whether all its work is concurrent builds and drops, which wait for locks without being in anybody's way."""
    work = [statement for statement in script.statements if not _all(statement, _TRIFLES)]
    return not script.opacities and all(
        statement.operations and all(map(_concurrent, statement.operations)) for statement in work
    )


def _hidden(script: Script) -> Opacity | None:
    return next((one for one in script.opacities if _hides(one)), None)


def _hides(opacity: Opacity) -> bool:
    # A loop over rows that writes may well commit each portion: the recording sees no commit of the driver's.
    portions = opacity.code in (Opaque.DATA_DEPENDENT, Opaque.GUARDED) and opacity.writes
    return portions or opacity.code in _HIDES


def _ends_transaction(statement: Statement) -> bool:
    return any(
        isinstance(operation, ControlTransaction) and operation.action not in _INSIDE
        for operation in statement.operations
    )


def _concurrent(operation: Operation) -> bool:
    return (
        isinstance(operation, CreateIndex | DropIndex | Reindex | DetachPartition)
        and operation.concurrently
    )


def _all(statement: Statement, kinds: tuple[type[Operation], ...]) -> bool:
    operations = statement.operations
    return bool(operations) and all(isinstance(one, kinds) for one in operations)
