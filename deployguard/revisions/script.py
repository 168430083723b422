"""The events and the source of one direction of a revision → its statements, and why it is not completely known."""

from deployguard.model import Body, Opaque, Script, Statement
from deployguard.operations import (
    ColumnShape,
    CreateIndex,
    CreateTable,
    Maintain,
    Operation,
    RebuildTable,
)
from deployguard.revisions.features import Features, FunctionFeatures
from deployguard.revisions.heard import Event
from deployguard.revisions.opacities import Opacities, Seen, line_of


def build_script(
    direction: str,
    features: Features,
    function: FunctionFeatures,
    events: list[Event] | None,
    seen: Seen,
) -> Script:
    """One direction of a revision. `events` None: it was not run."""
    statements = _statements(events or [], seen)
    found = Opacities(function, statements, events or [], seen)
    if features.error:
        found.add(
            Opaque.FAILED, features.error_line, f"the file has a syntax error: {features.error}"
        )
    elif (
        events is None
        and (direction == "upgrade" or seen.missing)
        and function.body is not Body.MISSING
    ):
        why = seen.missing or "the project's command did not come to this revision"
        found.add(Opaque.FAILED, function.line, f"it could not be run: {why}")
    found.collect()
    body = Body.PRESENT if features.error else function.body
    if direction == "downgrade" and body is not Body.PRESENT:
        # That there is no way back says it all.
        return Script(body, function.line, own_transaction=seen.own_transaction)
    opacities = tuple(found.found.values())
    return Script(
        body, function.line, tuple(statements), opacities, own_transaction=seen.own_transaction
    )


def _statements(events: list[Event], seen: Seen) -> list[Statement]:
    statements: list[Statement] = []
    batch: Event | None = None
    for event in events:
        if event["e"] == "batch":
            batch = event
        elif event["e"] == "batched":
            batch = None
        elif event["e"] == "sql":
            inside, lowered = bool(event.get("tx")), _lowered(event, batch, seen)
            several = seen.dialect == "postgresql" and not inside and len(lowered) > 1
            statements += [
                Statement(text.strip(), line_of(event), operations, inside, place if several else 0)
                for place, (text, operations) in enumerate(lowered, start=1)
            ]
    return statements


def _lowered(
    event: Event, batch: Event | None, seen: Seen
) -> tuple[tuple[str, tuple[Operation, ...]], ...]:
    old_types = {
        (str(table), str(column)): str(kind) for table, column, kind in _rows(event.get("old"))
    }
    lowered = seen.lower(
        str(event["sql"]), seen.dialect, old_types=old_types, shapes=_shapes(event)
    )
    # Elsewhere nobody keeps others from writing while the copy is made: it is what it looks like.
    if batch is None or seen.dialect != "sqlite":
        return lowered
    return tuple((text, _in_batch(operations, batch, seen)) for text, operations in lowered)


def _shapes(event: Event) -> dict[str, tuple[ColumnShape, ...]]:
    """All columns of the tables that the statement takes away, where the recorder could see them."""
    found: dict[str, tuple[ColumnShape, ...]] = {}
    rows = event.get("old")
    for row in rows if isinstance(rows, list) else ():
        if len(row) == 4:
            table, name, kind, required = map(str, row)
            found[table] = (*found.get(table, ()), ColumnShape(name, kind, not required))
    return found


def _in_batch(operations: tuple[Operation, ...], batch: Event, seen: Seen) -> tuple[Operation, ...]:
    """SQLite's copy and move as what the directives asked for; what only carries it out is no danger of its own."""
    table = str(batch["table"])
    first = operations[0] if operations else None
    if isinstance(first, CreateTable) and first.table.rpartition(".")[2].startswith(
        "_alembic_tmp_"
    ):
        asked = _asked(table, batch, seen)
        changes, lines = tuple(one for one, _ in asked), tuple(line for _, line in asked)
        return (RebuildTable(table, changes, lines),)
    indexes = batch.get("indexes")
    if isinstance(first, CreateIndex) and first.name not in (
        indexes if isinstance(indexes, list) else ()
    ):
        return operations
    return (Maintain(f"part of the batch copy of {table}"),)


def _asked(table: str, batch: Event, seen: Seen) -> tuple[tuple[Operation, int], ...]:
    """What the directives ask for, each with its line."""
    types = {(table, str(name)): str(kind) for name, kind, _ in _rows(batch.get("columns"))}
    asked = batch.get("asked")
    return tuple(
        (operation, int(line))
        for line, directive in (asked if isinstance(asked, list) else ())
        # ALTER as PostgreSQL writes it: SQLite has no words for most of these.
        for _, meant in seen.lower(str(directive), "postgresql", old_types=types)
        for operation in meant
    )


def _rows(value: object) -> list[tuple[object, object, object]]:
    rows = value if isinstance(value, list) else []
    return [(row[0], row[1], row[2]) for row in rows]
