"""Why a script is not completely known: what the recording, the statements and the source give away."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from deployguard.model import Body, Opacity, Opaque, Statement
from deployguard.operations import (
    ColumnShape,
    Operation,
    Procedural,
    ReadRows,
    Truncate,
    Unrecognised,
    WriteRows,
)
from deployguard.revisions.features import FunctionFeatures
from deployguard.revisions.guards import decided, goes_through_schema, idle, steered, unseen, untold
from deployguard.revisions.heard import Event
from deployguard.revisions.places import Site

_SYSTEM = ("information_schema.", "pg_catalog.", "pg_", "sqlite_")
_SESSION = "session"
# Reasons that stand for all that was not seen.
_EXPLAINED = (Opaque.FAILED, Opaque.GUARDED, Opaque.DATA_DEPENDENT, Opaque.EXTERNAL_INPUT)
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


class Opacities:
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
        self._untold()
        self._nothing()

    def _has(self, code: Opaque) -> bool:
        return any(known is code for known, _ in self.found)

    def _told(self) -> None:
        looks: list[tuple[int, str]] = []
        for event in self.events:
            line, what = line_of(event), str(event.get("what", ""))
            if event["e"] == "fail":
                self._failed(str(event.get("kind")), line, what)
            elif event["e"] == "outside":
                self.add(Opaque.EXTERNAL_INPUT, line, f"it reaches for {what}")
            elif event["e"] == "driver":
                why = f"it uses the driver directly ({what}), which cannot be recorded"
                self.add(Opaque.UNPARSED, line, why)
            elif event["e"] == "apart":
                why = "it works on a connection of its own, which a rollback does not reach"
                self.add(Opaque.NON_ATOMIC, line, why)
            elif event["e"] == "look" and (
                event.get("answered") is False or not self.seen.target_catalogue
            ):
                looks.append((line, what))
        self._guarded(looks)

    def _guarded(self, looks: list[tuple[int, str]]) -> None:
        if not looks:
            return
        did = [line_of(event) for event in self.events if event["e"] == "did"]
        line = unseen(self.function, self.statements, [line for line, _ in looks], did)
        if line is None:
            return
        # One reason for all of them, where the looking begins.
        begins = [site.line for site in self.function.inspects]
        questions = list(dict.fromkeys(what for _, what in looks))
        asked = ", ".join(questions[:_QUESTIONS]) + (", …" if len(questions) > _QUESTIONS else "")
        first = min([*begins, *(line for line, _ in looks if line)], default=0)
        why = f"what it does depends on the schema it finds: {asked}"
        self.add(Opaque.GUARDED, first, f"{why} (line {line} may do more)" if line else why)

    def _failed(self, kind: str, line: int, what: str) -> None:
        if kind == "import" and self.function.helper:
            detail = f"it only calls {self.function.helper}, which could not be imported: {what}"
            self.add(Opaque.APPLICATION_HELPER, self.function.helper_line, detail)
        else:
            where = line or self.function.line
            absent = _ABSENT.fullmatch(what)
            why = _FAILURES.get(kind, "{}").format(what)
            if absent:
                why = (
                    f"it imports {absent[1]}, which is not installed where the migrations are read"
                )
            self.add(Opaque.FAILED, where, why)

    def _data_dependent(self) -> None:
        if not steered(self.function, self.statements):
            return
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
                if goes_through_schema(self.function, site.line):
                    continue
                self.add(Opaque.DATA_DEPENDENT, site.line, "it loops over the result of a query")

    def _unseen_writes(self) -> None:
        written = [
            (at.line, operation.verb if isinstance(operation, WriteRows) else "truncate")
            for at, operation in self.operations
            if isinstance(operation, WriteRows | Truncate)
        ]
        ran = [
            (line_of(event), _words(str(event["sql"])))
            for event in self.events
            if event["e"] == "sql"
        ]
        answered = all(event.get("answered") is not False for event in self.events)
        known = self.seen.target_catalogue and answered
        for site in self.function.writes:
            if decided(self.function, site.line, schema_known=known):
                continue
            if not (_was_seen(site, written) or _ran(site, ran)):
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

    def _untold(self) -> None:
        """What no other reason stands for already: a condition on the server's name, a file, the machine."""
        if any(map(self._has, _EXPLAINED)):
            return
        did = [line_of(event) for event in self.events if event["e"] == "did"]
        known = self.seen.target_catalogue
        line = untold(self.function, self.statements, did, schema_known=known)
        if line is not None:
            why = "it is not known what decides whether this runs, which was not seen to"
            self.add(Opaque.EXTERNAL_INPUT, line, why)

    def _nothing(self) -> None:
        if self.function.body is not Body.PRESENT or self.statements:
            return
        function = self.function
        explained = (Opaque.FAILED, Opaque.APPLICATION_HELPER, Opaque.GUARDED)
        decided = self.seen.target_catalogue and any(event["e"] == "look" for event in self.events)
        if idle(function, schema_known=self.seen.target_catalogue):
            return
        if decided or any(self._has(code) for code in explained):
            return
        if function.helper:
            self.add(
                Opaque.APPLICATION_HELPER, function.helper_line, f"it only calls {function.helper}"
            )
        else:
            self.add(Opaque.EMPTY, function.line, "it has a body, but nothing was seen to run")


_ABSENT = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
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
    return not site.runs and any(verb == site.what for _, verb in written)


def _ran(site: Site, ran: list[tuple[int, str]]) -> bool:
    """Whether the very text ran: a comment or a function may speak of a DELETE, and is judged by what it does."""
    return bool(site.text) and any(
        text == _words(site.text) and (not site.runs or site.line <= line <= site.end)
        for line, text in ran
    )


def _words(text: str) -> str:
    """One spelling for a text of SQL; a driver wants its signs of per cent doubled."""
    return " ".join(text.replace("%%", "%").split()).rstrip("; ")


def line_of(event: Event) -> int:
    line = event.get("line")
    return line if isinstance(line, int) else 0
