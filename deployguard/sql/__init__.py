"""SQL text → statements made of our own small operations; what is not known exactly is Unrecognised."""

from collections.abc import Mapping
from dataclasses import replace

from deployguard.operations import (
    AlterType,
    ColumnShape,
    CreateTable,
    DropNotNull,
    DropTable,
    Operation,
    RenameTable,
    SetNotNull,
    Unrecognised,
)
from deployguard.sql.bulk import shortened
from deployguard.sql.source import Source
from deployguard.sql.split import split

__all__ = ["lower", "split"]

_BATCH = "_alembic_tmp_"


def lower(
    text: str,
    dialect: str,
    *,
    old_types: Mapping[tuple[str, str], str] | None = None,
    shapes: Mapping[str, tuple[ColumnShape, ...]] | None = None,
) -> tuple[tuple[str, tuple[Operation, ...]], ...]:
    """Every statement of ``text`` in its original wording, with what it does.

    ``dialect`` is SQLAlchemy's name. ``old_types`` maps (table, column) to the type before this text, ``shapes``
    maps a table to all its columns before it; both may be partial. Never raises because of the SQL: a statement
    that is not understood has exactly one operation, :class:`Unrecognised`. Only comments: no statement at all.
    """
    if "\0" in text:  # C strings end there, so a parser would see less than the server is sent
        return ((text, (Unrecognised("contains a NUL character"),)),)
    return tuple(
        (statement, _known(_operations(statement, dialect), dialect, old_types or {}, shapes or {}))
        for statement in split(text, dialect)
    )


def _known(
    operations: tuple[Operation, ...],
    dialect: str,
    old_types: Mapping[tuple[str, str], str],
    shapes: Mapping[str, tuple[ColumnShape, ...]],
) -> tuple[Operation, ...]:
    """``operations`` with what was there before them."""
    remembered = tuple(_remember(operation, old_types, shapes) for operation in operations)
    if dialect not in {"mysql", "mariadb"}:
        return remembered
    return tuple(one for one in remembered if not _restates(one, remembered, shapes))


def _operations(statement: str, dialect: str) -> tuple[Operation, ...]:
    from deployguard.sql import glot

    source = shortened(Source.of(statement, dialect))
    if dialect in {"mysql", "mariadb"}:
        return _mysql(source)
    operations = glot.lower(source)
    if dialect == "postgresql":
        operations = _second_opinion(source, operations)
    elif dialect == "sqlite" and operations is None:
        from deployguard.sql import lite

        operations = lite.lower(source)
    if operations is None:
        return (Unrecognised(f"not a statement that deployguard knows on {dialect}"),)
    # A tree without any action is no statement that we understand.
    return operations or (Unrecognised("does nothing that could be read"),)


def _mysql(source: Source) -> tuple[Operation, ...]:
    """The own reader first; rows and queries by sqlglot."""
    from deployguard.sql import glot, mysql
    from deployguard.sql.my_reader import Unknown

    try:
        operations = mysql.lower(source)
    except Unknown as problem:
        return (Unrecognised(f"not a statement that deployguard knows on MySQL: {problem}"),)
    if operations is None:
        operations = glot.lower(source)
    return operations or (Unrecognised("not a statement that deployguard knows on MySQL"),)


def _second_opinion(source: Source, first: tuple[Operation, ...] | None) -> tuple[Operation, ...]:
    """PostgreSQL's own grammar reads every statement, too: what it rejects fails, whatever sqlglot makes of it."""
    from deployguard.sql import postgres

    second = postgres.lower(source)
    rejected = any(isinstance(operation, Unrecognised) for operation in second)
    if first is None or first == second or rejected:
        return second
    return (Unrecognised("sqlglot and PostgreSQL's grammar read it differently"),)


def _restates(
    operation: Operation,
    beside: tuple[Operation, ...],
    shapes: Mapping[str, tuple[ColumnShape, ...]],
) -> bool:
    """Whether MySQL's MODIFY or CHANGE only says again whether the column may be NULL; its type is there, too."""
    if not isinstance(operation, SetNotNull | DropNotNull):
        return False
    known = {shape.name.lower(): shape for shape in shapes.get(operation.table, ())}
    shape = known.get(operation.column.lower())
    if shape is not None:
        return shape.nullable == isinstance(operation, DropNotNull)
    # Where the type is what changes, NULL is taken to have been allowed before.
    return isinstance(operation, DropNotNull) and any(
        isinstance(one, AlterType)
        and one.column == operation.column
        and one.old_type is not None
        and one.old_type.lower() != one.type.lower()
        for one in beside
    )


def _remember(
    operation: Operation,
    old_types: Mapping[tuple[str, str], str],
    shapes: Mapping[str, tuple[ColumnShape, ...]],
) -> Operation:
    if isinstance(operation, DropTable | RenameTable) and operation.table in shapes:
        return replace(operation, before=shapes[operation.table])
    if isinstance(operation, AlterType) and operation.old_type is None:
        return replace(operation, old_type=old_types.get((operation.table, operation.column)))
    if isinstance(operation, CreateTable) and operation.table.rpartition(".")[2].startswith(_BATCH):
        table = operation.table.replace(_BATCH, "", 1)
        return replace(operation, before=shapes.get(table) or _from_types(table, old_types))
    return operation


def _from_types(table: str, old_types: Mapping[tuple[str, str], str]) -> tuple[ColumnShape, ...]:
    return tuple(
        ColumnShape(column, type_text)
        for (owner, column), type_text in old_types.items()
        if owner == table
    )
