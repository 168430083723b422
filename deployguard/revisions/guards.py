"""Whether what an inspector decided leaves anything unseen: most guards only leave out what is there already."""

from collections.abc import Iterable

from deployguard.model import Statement
from deployguard.operations import CreateTable, Operation
from deployguard.revisions.decisions import Guarded
from deployguard.revisions.features import FunctionFeatures
from deployguard.revisions.hints import unmet
from deployguard.revisions.levels import Level


def unseen(
    function: FunctionFeatures,
    statements: Iterable[Statement],
    looks: Iterable[int],
    asked: Iterable[int],
) -> int | None:
    """The line of the first statement that a look at the schema may have kept from running; None when all ran.

    Then the target runs what was recorded or less, whatever the look says there. `looks` are the lines in which
    the revision was seen to look, `asked` those in which something was asked of a batch.
    """
    ran = tuple(statements)
    lines = {*asked, *(one.line for one in ran)}
    places = function.statements
    for line in looks:
        around = [place for place in places if _covers(place, line)]
        told = any(place.asks or (place.helps and line in lines) for place in around)
        if not told:
            return line  # a helper looks, and what it would do otherwise is not in this file
    guarded = [
        place for place in places if place.acts and place.level in (Level.SCHEMA, Level.OPEN)
    ]
    for place in guarded:
        if place.looped or not any(_covers(place, line) for line in lines):
            return place.line
    other_half = _unmet(function, ran, asked)
    return _taken_for_new(guarded, ran) if other_half is None else other_half


def _unmet(
    function: FunctionFeatures, ran: Iterable[Statement], asked: Iterable[int] = ()
) -> int | None:
    """The line of something that is in the source and was not seen: the other half of a line that ran, perhaps."""
    for hint in unmet(function.hints, ran, frozenset(asked)):
        if not decided(function, hint.line, schema_known=False):
            return hint.line
    return None


def _taken_for_new(guarded: list[Guarded], ran: tuple[Statement, ...]) -> int | None:
    """A table that may be there already was made, and what follows was then judged as work on a new one."""
    inside = [one for one in ran if any(_covers(place, one.line) for place in guarded)]
    made = {
        operation.table
        for one in inside
        for operation in one.operations
        if isinstance(operation, CreateTable)
    }
    for one in ran:
        if one not in inside and any(_table(operation) in made for operation in one.operations):
            return one.line
    return None


def _table(operation: Operation) -> str | None:
    return getattr(operation, "table", None)


def _covers(place: Guarded, line: int) -> bool:
    return place.line <= line <= place.end


def decided(function: FunctionFeatures, line: int, *, schema_known: bool) -> bool:
    """Whether the condition under which a line runs has the same answer on the target.

    `schema_known`: what the schema decided, the target's own decided.
    """
    known = (Level.FIXED, Level.SCHEMA) if schema_known else (Level.FIXED,)
    found = [place for place in function.statements if place.line == line]
    return bool(found) and all(place.chosen and place.level in known for place in found)


def idle(function: FunctionFeatures, *, schema_known: bool) -> bool:
    """Whether nothing in the function does anything here, and nothing would on the target."""
    return all(
        decided(function, place.line, schema_known=schema_known)
        for place in function.statements
        if place.acts
    )


def steered(function: FunctionFeatures, statements: Iterable[Statement]) -> bool:
    """Whether something that is not known here (rows, mostly) decides what is done.

    A condition whose work was seen is no such thing (at most less is done), nor is a value that is only logged.
    """
    seen = tuple(statements)
    open_ones = False
    for place in function.statements:
        if not place.acts:
            continue
        ran = any(_covers(place, one.line) for one in seen)
        if place.fed or (place.level is Level.OPEN and (place.looped or not ran)):
            return True
        open_ones |= place.level is Level.OPEN
    return open_ones and _unmet(function, seen) is not None


def untold(
    function: FunctionFeatures,
    statements: Iterable[Statement],
    asked: Iterable[int],
    *,
    schema_known: bool,
) -> int | None:
    """The line of something that was not seen, and that the target may run: nobody here knows what decides it."""
    ran = tuple(statements)
    lines = {*asked, *(one.line for one in ran)}
    open_ones = [place for place in function.statements if (place.level or 0) > Level.SCHEMA]
    unknown = [
        place
        for place in function.statements
        if place in open_ones or (place.level is Level.SCHEMA and not schema_known)
    ]
    for hint in unmet(function.hints, ran, frozenset(asked)):
        if any(_covers(place, hint.line) for place in unknown):
            return hint.line
    for place in open_ones:
        if place.operates and not any(_covers(place, line) for line in lines):
            return place.line
    return None


def goes_through_schema(function: FunctionFeatures, line: int) -> bool:
    """Whether the loop that begins there is over what the schema has, not over rows."""
    return any(place.line == line and place.over is Level.SCHEMA for place in function.statements)
