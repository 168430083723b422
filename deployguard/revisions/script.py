"""The events and the source of one direction of a revision → its statements, and why it is not completely known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from deployguard.model import Body, Opacity, Opaque, Script, Statement
from deployguard.operations import (
    ColumnShape,
    CreateIndex,
    CreateTable,
    Maintain,
    Operation,
    Procedural,
    ReadRows,
    RebuildTable,
    Truncate,
    Unrecognised,
    WriteRows,
)
from deployguard.revisions.features import Features, FunctionFeatures, Site
from deployguard.revisions.recording import Event

_SYSTEM = ("information_schema.", "pg_catalog.", "pg_", "sqlite_")
_SESSION = "session"
_QUESTIONS = 3  # of an inspector, that are named


class Lower(Protocol):
    """`deployguard.sql.lower`."""

    def __call__(
        self,
        text: str,
        dialect: str,
        *,
        old_types: Mapping[tuple[str, str], str] | None = None,
        shapes: Mapping[str, tuple[ColumnShape, ...]] | None = None,
    ) -> tuple[tuple[str, tuple[Operation, ...]], ...]: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """What is the same for every script of a reading.

    `own_transaction`: each revision begins one (transaction_per_migration, or a database without transactional DDL);
    `target_catalogue` is true when the schema is the target's own, so that what an inspector decided is decided;
    `missing` is the reason why nothing was recorded at all.
    """

    lower: Lower
    dialect: str
    transactional: bool
    target_catalogue: bool
    own_transaction: bool = False
    missing: str = ""


def build_script(
    direction: str,
    features: Features,
    function: FunctionFeatures,
    events: list[Event] | None,
    seen: Seen,
) -> Script:
    """One direction of a revision. `events` None: it was not run."""
    statements = _statements(events or [], seen)
    found = _Opacities(function, statements, events or [], seen)
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


class _Opacities:
    """Collects the reasons, one for a code and line."""

    def __init__(
        self,
        function: FunctionFeatures,
        statements: list[Statement],
        events: list[Event],
        seen: Seen,
    ) -> None:
        self.function = function
        self.statements = statements
        self.events = events
        self.seen = seen
        self.found: dict[tuple[Opaque, int], Opacity] = {}
        self.operations = [
            (statement, operation) for statement in statements for operation in statement.operations
        ]

    def add(self, code: Opaque, line: int, detail: str) -> None:
        """Note a reason, unless the same one is noted for that line."""
        self.found.setdefault(
            (code, line), Opacity(code, line, detail, writes=bool(self.function.writes))
        )

    def collect(self) -> None:
        """Look for every kind of reason."""
        self._told()
        self._data_dependent()
        self._unseen_writes()
        self._unreadable_sql()
        self._non_atomic()
        for site in self.function.external:
            self.add(Opaque.EXTERNAL_INPUT, site.line, f"it depends on {site.what}")
        self._nothing()

    def _has(self, code: Opaque) -> bool:
        return any(known is code for known, _ in self.found)

    def _told(self) -> None:
        looks: list[tuple[int, str]] = []
        for event in self.events:
            line, what = _line(event), str(event.get("what", ""))
            if event["e"] == "fail":
                self._failed(str(event.get("kind")), line, what)
            elif event["e"] == "outside":
                self.add(Opaque.EXTERNAL_INPUT, line, f"it reaches for {what}")
            elif event["e"] == "driver":
                why = f"it uses the driver directly ({what}), which cannot be recorded"
                self.add(Opaque.UNPARSED, line, why)
            elif event["e"] == "look" and (
                event.get("answered") is False or not self.seen.target_catalogue
            ):
                looks.append((line, what))
        if looks:
            # One reason for all of them, where the looking begins.
            begins = [site.line for site in self.function.inspects]
            questions = list(dict.fromkeys(what for _, what in looks))
            asked = ", ".join(questions[:_QUESTIONS]) + (
                ", …" if len(questions) > _QUESTIONS else ""
            )
            first = min([*begins, *(line for line, _ in looks if line)], default=0)
            self.add(Opaque.GUARDED, first, f"what it does depends on the schema it finds: {asked}")

    def _failed(self, kind: str, line: int, what: str) -> None:
        if kind == "import" and self.function.helper:
            detail = f"it only calls {self.function.helper}, which could not be imported: {what}"
            self.add(Opaque.APPLICATION_HELPER, self.function.helper_line, detail)
        else:
            self.add(Opaque.FAILED, line, _FAILURES.get(kind, "{}").format(what))

    def _data_dependent(self) -> None:
        for statement, operation in self.operations:
            tables = operation.tables if isinstance(operation, ReadRows) else ()
            users = [table for table in tables if not table.startswith(_SYSTEM)]
            if users:
                self.add(
                    Opaque.DATA_DEPENDENT,
                    statement.line,
                    f"it reads {', '.join(users)} while it runs",
                )
        if not self._has(Opaque.DATA_DEPENDENT):
            for site in self.function.loops:
                self.add(Opaque.DATA_DEPENDENT, site.line, "it loops over the result of a query")

    def _unseen_writes(self) -> None:
        written = [
            (at.line, operation.verb if isinstance(operation, WriteRows) else "truncate")
            for at, operation in self.operations
            if isinstance(operation, WriteRows | Truncate)
        ]
        for site in self.function.writes:
            if not _was_seen(site, written):
                what = "a change of rows" if site.what == _SESSION else site.what.upper()
                self.add(
                    Opaque.UNSEEN_WRITES,
                    site.line,
                    f"{what} is in the source but was not seen to run",
                )

    def _unreadable_sql(self) -> None:
        for statement, operation in self.operations:
            if isinstance(operation, Unrecognised):
                self.add(Opaque.UNPARSED, statement.line, operation.reason)
            elif isinstance(operation, Procedural):
                self.add(
                    Opaque.PROCEDURAL, statement.line, f"{operation.what} {operation.name}".strip()
                )

    def _non_atomic(self) -> None:
        if not self.seen.transactional:
            return
        outside = [statement for statement in self.statements if not statement.in_transaction]
        if outside and len(outside) < len(self.statements):
            self.add(
                Opaque.NON_ATOMIC, outside[0].line, "part of it runs outside of the transaction"
            )

    def _nothing(self) -> None:
        if self.function.body is not Body.PRESENT or self.statements:
            return
        function = self.function
        explained = (Opaque.FAILED, Opaque.APPLICATION_HELPER, Opaque.GUARDED)
        decided = self.seen.target_catalogue and any(event["e"] == "look" for event in self.events)
        if decided or any(self._has(code) for code in explained):
            return
        if function.helper:
            self.add(
                Opaque.APPLICATION_HELPER, function.helper_line, f"it only calls {function.helper}"
            )
        else:
            self.add(Opaque.EMPTY, function.line, "it has a body, but nothing was seen to run")


_FAILURES = {
    "import": "it cannot be imported: {}",
    "limit": "it was stopped: {}",
    "exit": "{}",
    "error": "it failed while it was read: {}",
}


def _was_seen(site: Site, written: list[tuple[int, str]]) -> bool:
    if site.what == _SESSION:
        return bool(written)
    if any(site.line <= line <= site.end for line, _ in written):
        return True
    # A statement that is built in one place and executed in another.
    return any(verb == site.what for _, verb in written)


def _line(event: Event) -> int:
    line = event.get("line")
    return line if isinstance(line, int) else 0


def _statements(events: list[Event], seen: Seen) -> list[Statement]:
    statements: list[Statement] = []
    batch: Event | None = None
    for event in events:
        if event["e"] == "batch":
            batch = event
        elif event["e"] == "batched":
            batch = None
        elif event["e"] == "sql":
            for text, operations in _lowered(event, batch, seen):
                statements.append(
                    Statement(
                        text.strip(), _line(event), operations, in_transaction=bool(event.get("tx"))
                    )
                )
    return statements


def _lowered(
    event: Event, batch: Event | None, seen: Seen
) -> tuple[tuple[str, tuple[Operation, ...]], ...]:
    old_types = {
        (str(table), str(column)): str(kind) for table, column, kind in _rows(event.get("old"))
    }
    lowered = seen.lower(str(event["sql"]), seen.dialect, old_types=old_types)
    # Elsewhere nobody keeps others from writing while the copy is made: it is what it looks like.
    if batch is None or seen.dialect != "sqlite":
        return lowered
    return tuple((text, _in_batch(operations, batch, seen)) for text, operations in lowered)


def _in_batch(operations: tuple[Operation, ...], batch: Event, seen: Seen) -> tuple[Operation, ...]:
    """SQLite's copy and move as what the directives asked for; what only carries it out is no danger of its own."""
    table = str(batch["table"])
    first = operations[0] if operations else None
    if isinstance(first, CreateTable) and first.table.rpartition(".")[2].startswith(
        "_alembic_tmp_"
    ):
        return (RebuildTable(table, _asked(table, batch, seen)),)
    indexes = batch.get("indexes")
    if isinstance(first, CreateIndex) and first.name not in (
        indexes if isinstance(indexes, list) else ()
    ):
        return operations
    return (Maintain(f"part of the batch copy of {table}"),)


def _asked(table: str, batch: Event, seen: Seen) -> tuple[Operation, ...]:
    types = {(table, str(name)): str(kind) for name, kind, _ in _rows(batch.get("columns"))}
    asked = batch.get("asked")
    return tuple(
        operation
        for directive in (asked if isinstance(asked, list) else ())
        # ALTER as PostgreSQL writes it: SQLite has no words for most of these.
        for _, meant in seen.lower(str(directive), "postgresql", old_types=types)
        for operation in meant
    )


def _rows(value: object) -> list[tuple[object, object, object]]:
    rows = value if isinstance(value, list) else []
    return [(row[0], row[1], row[2]) for row in rows]
