"""The events and the source of one direction of a revision → its statements, and why it is not completely known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from deployguard.model import Body, Opacity, Opaque, Script, Statement
from deployguard.operations import (
    ColumnShape,
    ControlTransaction,
    CreateIndex,
    Maintain,
    Operation,
    Procedural,
    ReadRows,
    RenameTable,
    Unrecognised,
    WriteRows,
)
from deployguard.revisions.features import Features, FunctionFeatures, Site
from deployguard.revisions.recording import Event

_SYSTEM = ("information_schema.", "pg_catalog.", "pg_", "sqlite_")
_SESSION = "session"


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

    `target_catalogue` is true when the schema is the target's own, so that what an inspector decided is decided;
    `missing` is the reason why nothing was recorded at all.
    """

    lower: Lower
    dialect: str
    transactional: bool
    target_catalogue: bool
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
    body = function.body
    if features.error:
        body = Body.PRESENT
    if body is Body.RAISES and direction == "downgrade":
        return Script(body, function.line)
    found.collect()
    return Script(body, function.line, tuple(statements), tuple(found.found.values()))


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
        for event in self.events:
            line, what = _line(event), str(event.get("what", ""))
            if event["e"] == "fail":
                self.add(
                    Opaque.FAILED, line, _FAILURES.get(str(event.get("kind")), "{}").format(what)
                )
            elif event["e"] == "outside":
                self.add(Opaque.EXTERNAL_INPUT, line, f"it reaches for {what}")
            elif event["e"] == "driver":
                self.add(
                    Opaque.UNPARSED,
                    line,
                    f"it uses the driver directly ({what}), which cannot be recorded",
                )
            elif event["e"] == "look" and (
                event.get("answered") is False or not self.seen.target_catalogue
            ):
                self.add(
                    Opaque.GUARDED, line, f"what it does depends on the schema it finds: {what}"
                )

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
            (at.line, operation.verb)
            for at, operation in self.operations
            if isinstance(operation, WriteRows)
        ]
        for site in self.function.writes:
            if not _was_seen(site, written):
                verb = "changes rows" if site.what == _SESSION else site.what.upper()
                self.add(
                    Opaque.UNSEEN_WRITES,
                    site.line,
                    f"{verb} is in the source but was not seen to run",
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
        for statement, operation in self.operations:
            if isinstance(operation, ControlTransaction) and operation.action in {
                "begin",
                "commit",
                "rollback",
            }:
                self.add(
                    Opaque.NON_ATOMIC, statement.line, f"it says {operation.action.upper()} itself"
                )

    def _nothing(self) -> None:
        if self.function.body is not Body.PRESENT or self.statements:
            return
        if self.function.helper:
            self.add(
                Opaque.APPLICATION_HELPER,
                self.function.line,
                f"it only calls {self.function.helper}",
            )
        decided = self.seen.target_catalogue and any(event["e"] == "look" for event in self.events)
        if (
            not decided
            and not self._has(Opaque.FAILED)
            and not self._has(Opaque.APPLICATION_HELPER)
        ):
            self.add(Opaque.EMPTY, self.function.line, "it has a body, but nothing was seen to run")


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
    if batch is None:
        return seen.lower(str(event["sql"]), seen.dialect, old_types=old_types)
    shape = tuple(
        ColumnShape(str(name), str(kind), bool(nullable))
        for name, kind, nullable in _rows(batch.get("columns"))
    )
    lowered = seen.lower(str(event["sql"]), seen.dialect, shapes={str(batch["table"]): shape})
    return tuple((text, _in_batch(operations, batch, shape, seen)) for text, operations in lowered)


def _in_batch(
    operations: tuple[Operation, ...], batch: Event, shape: tuple[ColumnShape, ...], seen: Seen
) -> tuple[Operation, ...]:
    """The last move of a copy carries what the directives asked for; indexes that were there come back with it."""
    indexes = batch.get("indexes")
    kept = set(map(str, indexes)) if isinstance(indexes, list) else set()
    found: list[Operation] = []
    for operation in operations:
        if isinstance(operation, CreateIndex) and operation.name in kept:
            found.append(Maintain("create index again after the batch copy"))
            continue
        found.append(operation)
        if isinstance(operation, RenameTable) and operation.to == str(batch["table"]):
            types = {(str(batch["table"]), column.name): column.type for column in shape}
            asked = batch.get("asked")
            for directive in asked if isinstance(asked, list) else ():
                # ALTER as PostgreSQL writes it: SQLite has no words for most of these.
                for _, meant in seen.lower(str(directive), "postgresql", old_types=types):
                    found.extend(meant)
    return tuple(found)


def _rows(value: object) -> list[tuple[object, object, object]]:
    rows = value if isinstance(value, list) else []
    return [(row[0], row[1], row[2]) for row in rows]
