"""SQLite's copy-and-move put together: what Alembic's batch mode, or a hand, writes becomes one RebuildTable."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

from deployguard.model import Script, Statement
from deployguard.operations import (
    AddColumn,
    AlterType,
    ColumnShape,
    CreateTable,
    DropColumn,
    DropNotNull,
    DropTable,
    Maintain,
    Operation,
    ReadRows,
    RebuildTable,
    RenameColumn,
    RenameTable,
    SetNotNull,
    SetSetting,
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


def spans(script: Script, collapsed: Script) -> list[tuple[int, int]]:
    """For each statement of ``collapse(script, …)`` the (first, last) of ``script`` that it stands for."""
    starts: list[int] = []
    at = 0
    for statement in collapsed.statements:
        while script.statements[at].sql is not statement.sql:
            at += 1
        starts.append(at)
        at += 1
    return [(first, after - 1) for first, after in pairwise([*starts, len(script.statements)])]


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
    """The copy that begins at ``at`` as one statement, and where the run goes on; None where none begins."""
    made = _only(statements[at])
    steps = list(_next_steps(statements, at))
    operations = [operation for _, operation in steps]
    found: RebuildTable | None = None
    match (made, *operations[:3]):
        case (
            CreateTable(new) as into,
            WriteRows() as copied,
            DropTable(old) as gone,
            RenameTable(moved, to),
        ) if moved == new and _same_place(new, to, old):
            found = _moved(old, into, copied, into.before or gone.before)
        case (
            RenameTable(old, aside) as away,
            CreateTable(new) as into,
            WriteRows() as copied,
            DropTable(last),
        ) if new == old and _same_place(old, aside, last):
            found = _moved(old, into, copied, away.before, aside=last)
    if found is None:
        return None
    end = steps[2][0]
    others = [
        operation
        for position in range(at, end + 1)
        for operation in statements[position].operations
        if isinstance(operation, _TRIFLES)
    ]
    return replace(statements[at], operations=(found, *others)), end + 1


_TRIFLES = (SetSetting, Maintain, ReadRows)


def _next_steps(statements: list[Statement], at: int) -> Iterator[tuple[int, Operation | None]]:
    """The statements behind ``at`` that do something, with their places."""
    for position in range(at + 1, min(at + 12, len(statements))):
        operations = statements[position].operations
        if not all(isinstance(one, _TRIFLES) for one in operations):
            yield position, _only(statements[position])


def _same_place(table: str, to: str, wanted: str) -> bool:
    """Whether ``table``, renamed to ``to``, is called ``wanted``."""
    schema, _, _ = table.rpartition(".")
    return wanted in {to, f"{schema}.{to}" if schema else to, f"main.{to}"}


def _moved(
    table: str,
    made: CreateTable,
    copied: WriteRows,
    before: tuple[ColumnShape, ...],
    aside: str = "",
) -> RebuildTable | None:
    """The change of ``table``; None when it is no plain copy of all its rows, or a table that nobody knows."""
    if copied.table != made.table or not copied.from_query:
        return None
    alembic = made.table.rpartition(".")[2].startswith(_PREFIX)
    if not alembic and (copied.copies != (aside or table) or not before):
        return None
    names = tuple(shape.name for shape in before)
    sources = names if copied.sources == ("*",) else copied.sources
    columns = copied.columns or made.columns
    if not alembic and len(columns) != len(sources):
        return None
    return RebuildTable(
        table, differences(table, made.shapes, before, dict(zip(columns, sources, strict=False)))
    )


def _only(statement: Statement) -> Operation | None:
    return statement.operations[0] if len(statement.operations) == 1 else None


def differences(
    table: str,
    shapes: tuple[ColumnShape, ...],
    before: tuple[ColumnShape, ...],
    origin: Mapping[str, str],
) -> tuple[Operation, ...] | None:
    """What the copy changes, as ordinary operations; None when nobody knows what the table was.

    ``origin`` names the old column behind each new one.
    """
    if not before:
        return None
    known = {shape.name.casefold(): shape for shape in before}
    kept = {name.casefold() for name in origin.values()}
    # What is lost comes first: a new column of the same name brings no value back.
    found: list[Operation] = [
        DropColumn(table, shape.name) for name, shape in known.items() if name not in kept
    ]
    for shape in shapes:
        old = known.get(origin.get(shape.name, "").casefold())
        if old is None:
            found.append(AddColumn(table, shape.name, shape.type, shape.nullable))
        else:
            found += _changed(table, old, shape)
    return tuple(found)


def _changed(table: str, old: ColumnShape, new: ColumnShape) -> Iterator[Operation]:
    if old.name.casefold() != new.name.casefold():
        yield RenameColumn(table, old.name, new.name)
    one, other = parse(old.type), parse(new.type)
    if one is None or other is None or not same(one, other):
        yield AlterType(table, new.name, new.type, old_type=old.type)
    if old.nullable and not new.nullable:
        yield SetNotNull(table, new.name)
    elif new.nullable and not old.nullable:
        yield DropNotNull(table, new.name)
