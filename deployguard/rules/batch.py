"""SQLite's copy-and-move put together: the four statements of Alembic's batch mode become one RebuildTable."""

from collections.abc import Iterator
from dataclasses import replace

from deployguard.model import Script, Statement
from deployguard.operations import (
    AddColumn,
    AlterType,
    ColumnShape,
    CreateTable,
    DropColumn,
    DropNotNull,
    DropTable,
    Operation,
    RebuildTable,
    RenameColumn,
    RenameTable,
    SetNotNull,
    WriteRows,
)
from deployguard.rules.types import parse, same

_PREFIX = "_alembic_tmp_"


def collapse(script: Script, dialect: str) -> Script:
    """``script`` with every batch copy as one statement; what is not exactly a copy stays as it is.

    Only SQLite needs the copy; elsewhere grants, triggers and sequences of the old table are lost with it.
    """
    if dialect != "sqlite":
        return script
    return replace(script, statements=tuple(_collapsed(list(script.statements))))


def _collapsed(statements: list[Statement]) -> Iterator[Statement]:
    at = 0
    while at < len(statements):
        rebuilt = _rebuild(statements, at)
        if rebuilt is None:
            yield statements[at]
            at += 1
        else:
            statement, at = rebuilt
            yield statement


def _rebuild(statements: list[Statement], at: int) -> tuple[Statement, int] | None:
    made = _only(statements[at])
    if not isinstance(made, CreateTable):
        return None
    schema, _, own = made.table.rpartition(".")
    if not own.startswith(_PREFIX):
        return None
    table = f"{schema}.{own.removeprefix(_PREFIX)}" if schema else own.removeprefix(_PREFIX)
    copied: WriteRows | None = None
    for position in range(at + 1, min(at + 4, len(statements))):
        operation = _only(statements[position])
        match operation:
            case WriteRows() if operation.table == made.table and operation.from_query:
                copied = operation
            case DropTable() if operation.table == table and copied:
                continue
            case RenameTable() if operation.table == made.table and copied:
                if operation.to != own.removeprefix(_PREFIX):
                    return None
                changes = differences(table, made, copied)
                found = RebuildTable(table, changes)
                return replace(statements[at], operations=(found,)), position + 1
            case _:
                return None
    return None


def _only(statement: Statement) -> Operation | None:
    return statement.operations[0] if len(statement.operations) == 1 else None


def differences(table: str, made: CreateTable, copied: WriteRows) -> tuple[Operation, ...] | None:
    """What the copy changes, as ordinary operations; None when nobody knows what the table was."""
    if not made.before:
        return None
    before = {shape.name: shape for shape in made.before}
    origin = dict(zip(copied.columns, copied.sources, strict=False))
    found: list[Operation] = []
    for shape in made.shapes:
        source = origin.get(shape.name, "")
        old = before.get(source)
        if old is None:
            found.append(AddColumn(table, shape.name, shape.type, shape.nullable))
        else:
            found += _changed(table, old, shape)
    kept = set(origin.values())
    found += [DropColumn(table, name) for name in before if name not in kept]
    return tuple(found)


def _changed(table: str, old: ColumnShape, new: ColumnShape) -> Iterator[Operation]:
    if old.name != new.name:
        yield RenameColumn(table, old.name, new.name)
    one, other = parse(old.type), parse(new.type)
    if one is None or other is None or not same(one, other):
        yield AlterType(table, new.name, new.type, old_type=old.type)
    if old.nullable and not new.nullable:
        yield SetNotNull(table, new.name)
    elif new.nullable and not old.nullable:
        yield DropNotNull(table, new.name)
