"""The four questions of the operators' checklist, answered from the verdicts."""

from collections.abc import Iterable, Sequence

from deployguard.model import Answers, Finding, Lock, Opaque, Risk, Verdict, Way
from deployguard.operations import (
    AddConstraint,
    AlterType,
    ChangeTrigger,
    CreateIndex,
    DropConstraint,
    DropIndex,
    DropObject,
    Procedural,
    RebuildTable,
    Unrecognised,
    WriteRows,
)
from deployguard.rules.estimates import about
from deployguard.rules.held import AT_LEAST
from deployguard.rules.returning import operations
from deployguard.rules.types import plain_cast

_DROPS = {"DG101", "DG102", "DG104", "DG107"}
_BULK = {"DG103", "DG105", "DG903"}
_HEAVY = {"rewrite", "scan", "index build"}
# These hide only which rows are written, not which tables are dropped.
_ABOUT_ROWS = {Opaque.UNSEEN_WRITES, Opaque.NON_ATOMIC}
_MOMENT = 1.0  # seconds
_RUNS_CODE = {"do", "call", "execute", "select function", "prepare", "load", "copy program"}


def answer(verdicts: Sequence[Verdict]) -> Answers:
    """One sentence a question; its first word is yes, no or unknown."""
    return Answers(_drops(verdicts), _bulk(verdicts), _blocks(verdicts), _way_back(verdicts))


def _found(verdicts: Iterable[Verdict], codes: set[str]) -> list[Finding]:
    return [one for verdict in verdicts for one in verdict.findings if one.rule in codes]


def _children(verdicts: Iterable[Verdict]) -> list[Finding]:
    """SQLite's copies that take rows of other tables with them, or may."""
    return [one for one in _found(verdicts, {"DG151"}) if one.risk is Risk.CRITICAL]


def _several(findings: Sequence[Finding]) -> str:
    first = findings[0].message.rstrip(".")
    first = first[:1].lower() + first[1:]
    more = len(findings) - 1
    return f"{first} ({findings[0].revision}){f', and {more} more' if more else ''}."


def _hidden(verdicts: Iterable[Verdict], *, rows: bool) -> str:
    """The first revision of which something is hidden; ``rows`` counts what is hidden of rows, too."""
    for verdict in verdicts:
        up = verdict.revision.up
        seen = {
            one.line
            for one in up.statements
            if any(isinstance(o, Procedural) for o in one.operations)
        }
        # Of code that was seen, the operation says more: a routine that is made does not run.
        codes = {
            one.code
            for one in up.opacities
            if one.code is not Opaque.PROCEDURAL or one.line not in seen
        }
        writing = any(one.writes for one in up.opacities)
        if codes - _ABOUT_ROWS or (rows and writing and codes):
            return verdict.revision.id
        if any(
            isinstance(operation, Unrecognised | RebuildTable)
            or (isinstance(operation, Procedural) and operation.what in _RUNS_CODE)
            for operation in operations(up)
        ):
            return verdict.revision.id
    return ""


def _drops(verdicts: Sequence[Verdict]) -> str:
    found = _found(verdicts, _DROPS) + _children(verdicts)
    if found:
        return f"yes, it {_several(found)}"
    hidden = _hidden(verdicts, rows=False)
    if hidden:
        return f"unknown: {hidden} could not be read completely."
    other = _dropped_besides(verdicts)
    if other:
        return f"no, nothing that holds data; it drops {', '.join(other[:3])}{' …' if len(other) > 3 else ''}."
    return "no, nothing that was there before is dropped."


def _dropped_besides(verdicts: Sequence[Verdict]) -> list[str]:
    """Indexes, constraints, triggers and code that the run drops and did not make itself."""
    made: set[str] = set()
    found: list[str] = []
    for verdict in verdicts:
        for operation in operations(verdict.revision.up):
            match operation:
                case CreateIndex(_, name) | AddConstraint(_, _, name):
                    made.add(name)
                case DropIndex(name) if name not in made:
                    found.append(f"the index {name}")
                case DropConstraint(table, name) if name not in made:
                    found.append(f"the constraint {name} of {table}")
                case ChangeTrigger(table, "drop", name):
                    found.append(f"the trigger {name} of {table}")
                case DropObject(kind, name):
                    found.append(f"the {kind} {name}")
                case _:
                    pass
    return list(dict.fromkeys(found))


def _bulk(verdicts: Sequence[Verdict]) -> str:
    found = _found(verdicts, _BULK)
    found += [one for one in _found(verdicts, {"DG108"}) if one.risk is Risk.CRITICAL]
    found += _children(verdicts)
    if found:
        return f"yes, it {_several(found)}"
    computed = _computed(verdicts)
    if computed:
        return f"yes, it recomputes every value of {computed}."
    if any(
        one.risk is Risk.CRITICAL and one.rule == "DG902"
        for verdict in verdicts
        for one in verdict.findings
    ):
        return "yes, rows of the target decide which rows are written."
    hidden = _hidden(verdicts, rows=True)
    if hidden:
        return f"unknown: {hidden} could not be read completely."
    return "no, no rows that were there before are changed."


def _computed(verdicts: Sequence[Verdict]) -> str:
    """A column whose values a USING expression replaces, with its revision; "" for none."""
    for verdict in verdicts:
        for operation in operations(verdict.revision.up):
            if not isinstance(operation, AlterType) or not operation.using_sql:
                continue
            judged = _found((verdict,), {"DG301"})
            if judged and not plain_cast(operation.using_sql, operation.column):
                return f"{operation.table}.{operation.column} ({verdict.revision.id})"
    return ""


def _blocks(verdicts: Sequence[Verdict]) -> str:
    long = [
        (verdict, one)
        for verdict in verdicts
        for one in verdict.locks
        if one.blocks in {"writes", "reads and writes"}
        and (one.work in _HEAVY or (one.seconds or 0.0) >= _MOMENT)
    ]
    seconds = [one.seconds for _, one in long if one.seconds is not None]
    short = len(seconds) == len(long) and max(seconds, default=0.0) < _MOMENT
    if long and not short:
        return f"yes, {_blocked(long, _hidden(verdicts, rows=True))}"
    explicit = _found(verdicts, {"DG210"})
    if explicit:
        return f"yes, it {_several(explicit)}"
    hidden = _hidden(verdicts, rows=True)
    if hidden:
        return f"unknown: {hidden} could not be read completely."
    if any(one.blocks == "unknown" for verdict in verdicts for one in verdict.locks):
        return "unknown: which locks this kind of database takes is not known."
    if _writes(verdicts):
        return (
            "unknown: rows stay locked until the transaction that changes them ends, and how"
            " many there are decides."
        )
    endless = next(
        (one for v in verdicts for one in v.locks if one.basis.startswith(AT_LEAST)), None
    )
    if endless is not None:
        return f"unknown: {endless.blocks} of {endless.relation}, {endless.basis}."
    brief = sorted({one.relation for verdict in verdicts for one in verdict.locks})
    if brief:
        return (
            f"no, locks on {', '.join(brief[:4])}{' …' if len(brief) > 4 else ''} are held for"
            f" a moment only."
        )
    return "no, nothing that is in use is locked."


def _blocked(long: list[tuple[Verdict, Lock]], hidden: str) -> str:
    parts = []
    for verdict, one in long[:3]:
        when = f"during its {one.work}" if one.work else "to the end of the transaction"
        parts.append(f"{one.blocks} of {one.relation} {when} ({verdict.revision.id})")
    more = len(long) - len(parts)
    seconds = [one.seconds for _, one in long]
    known = [one for one in seconds if one is not None]
    said = f"{'; '.join(parts)}{f'; and {more} more' if more else ''}. "
    return said + (_at_least(known, hidden) if hidden else _how_long(long, known))


def _at_least(known: list[float], hidden: str) -> str:
    """What could not be read may lock anything, and for longer than all that is known."""
    longest = max(known, default=0.0)
    said = f"At least {about(longest)}, an estimate. " if longest >= _MOMENT else ""
    return f"{said}How long in all is unknown: {hidden} could not be read completely."


def _how_long(long: list[tuple[Verdict, Lock]], known: list[float]) -> str:
    if len(known) == len(long):
        return f"{about(max(known)).capitalize()} at the longest, an estimate."
    endless = next((one for _, one in long if one.basis.startswith(AT_LEAST)), None)
    if endless is not None:
        return f"{endless.basis[:1].upper()}{endless.basis[1:]}."
    longest = max(known, default=0.0)
    said = f"At least {about(longest)}, an estimate. " if longest >= _MOMENT else ""
    return f"{said}How long depends on the size of the table."


def _writes(verdicts: Sequence[Verdict]) -> bool:
    bulk = _found(verdicts, _BULK - {"DG103"})
    return bool(bulk) or any(
        isinstance(operation, WriteRows) and operation.verb in {"update", "delete", "merge"}
        for verdict in verdicts
        for operation in operations(verdict.revision.up)
        if _found((verdict,), {"DG105"})
    )


def _way_back(verdicts: Sequence[Verdict]) -> str:
    ways = {way: [v for v in verdicts if v.undo.way is way] for way in Way}
    if ways[Way.RESTORE]:
        verdict = ways[Way.RESTORE][0]
        return f"no, only by restoring a backup: {verdict.revision.id}. {verdict.undo.reason}"
    if ways[Way.UNKNOWN]:
        verdict = ways[Way.UNKNOWN][0]
        return f"unknown: {verdict.revision.id}. {verdict.undo.reason}"
    if ways[Way.LOSSY]:
        verdict = ways[Way.LOSSY][0]
        return f"no, not without loss: {verdict.revision.id}. {verdict.undo.reason}"
    if not verdicts:
        return "yes, there is nothing to take back."
    return (
        "yes, the downgrades take back what the upgrades made and lose nothing that was there"
        f" before{_besides(verdicts)}."
    )


def _besides(verdicts: Sequence[Verdict]) -> str:
    """What is to be said of downgrades that lose nothing old: what they leave, and which new rows go with them."""
    left = [f"{one.revision.id} {what}" for one in verdicts for what in one.undo.left[:1]]
    going = [name for one in verdicts for name in one.undo.goes]
    said = f"; but {', and '.join(left[:2])}" if left else ""
    names = ", ".join(dict.fromkeys(going[:4])) + (" …" if len(going) > 4 else "")
    return said + (f"; what is written into {names} after the deploy goes with it" if going else "")
