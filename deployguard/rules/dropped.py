"""What a downgrade loses of all that came into what the upgrade made: the engine counts it before it goes back."""

from collections.abc import Iterable, Iterator

from deployguard.operations import (
    AlterType,
    DropColumn,
    DropObject,
    DropTable,
    Operation,
    Truncate,
    WriteRows,
)
from deployguard.rules.context import Context
from deployguard.rules.made import Made

# What tables may have columns of: dropped with CASCADE, it takes them along.
_TYPES = {"type", "domain", "extension", "schema"}


def dropped_back(
    upward: Iterable[Operation], downward: Iterable[Operation], before: Context
) -> Iterator[tuple[str, str | None]]:
    """(table, column) of all that the upgrade made and the downgrade loses; the column is None for a whole table."""
    made = Made(doubtful=True)
    for operation in upward:
        made.note(operation, before)
    for operation in downward:
        yield from _lost(operation, made, before)
        made.note(operation, before)


def _lost(operation: Operation, made: Made, before: Context) -> Iterator[tuple[str, str | None]]:
    match operation:
        case DropTable(table) | Truncate(table) if made.has_table(table, before):
            yield table, None
        case WriteRows(table, verb) if verb != "insert" and made.has_table(table, before):
            yield table, None
        case WriteRows(table) if only_new_columns(operation, made, before):
            yield from ((table, column) for column in operation.columns)
        case DropColumn(table, column) | AlterType(table, column) if made.has_column(
            table, column, before
        ):
            yield table, column
        case DropObject(kind, name, cascade):
            yield from _lost_with(kind, name, cascade=cascade, made=made, before=before)
        case _:
            pass


def _lost_with(
    kind: str, name: str, *, cascade: bool, made: Made, before: Context
) -> Iterator[tuple[str, str | None]]:
    prefix = f"{before.key(name)}."
    inside = sorted(t for t in made.tables if kind == "schema" and t.startswith(prefix))
    yield from ((table, None) for table in inside)
    if cascade:
        # Which of the new columns go with it is not said.
        yield from sorted(made.columns)
        if kind in _TYPES:
            yield from ((table, None) for table in sorted(made.tables) if table not in inside)


def only_new_columns(operation: WriteRows, made: Made, ctx: Context) -> bool:
    """Whether it is an UPDATE that only sets columns which the upgrade added."""
    return (
        operation.verb == "update"
        and bool(operation.columns)
        and all(made.has_column(operation.table, name, ctx) for name in operation.columns)
    )
