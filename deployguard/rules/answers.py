"""The four questions of the operators' checklist, answered from the verdicts."""

from collections.abc import Iterable, Sequence

from deployguard.model import Answers, Finding, Lock, Opaque, Verdict, Way
from deployguard.operations import Procedural, Unrecognised, WriteRows
from deployguard.rules.returning import operations

_DROPS = {"DG101", "DG102", "DG104", "DG107"}
_BULK = {"DG103", "DG105", "DG903"}
_HEAVY = {"rewrite", "scan", "index build"}
# These hide only which rows are written, not which tables are dropped.
_ABOUT_ROWS = {Opaque.UNSEEN_WRITES, Opaque.DATA_DEPENDENT, Opaque.NON_ATOMIC}
_RUNS_CODE = {"do", "call", "execute", "select function", "prepare", "load", "copy program"}


def answer(verdicts: Sequence[Verdict]) -> Answers:
    """One sentence a question; its first word is yes, no or unknown."""
    return Answers(_drops(verdicts), _bulk(verdicts), _blocks(verdicts), _way_back(verdicts))


def _found(verdicts: Iterable[Verdict], codes: set[str]) -> list[Finding]:
    return [one for verdict in verdicts for one in verdict.findings if one.rule in codes]


def _several(findings: Sequence[Finding]) -> str:
    first = findings[0].message.rstrip(".")
    first = first[:1].lower() + first[1:]
    more = len(findings) - 1
    return f"{first} ({findings[0].revision}){f', and {more} more' if more else ''}."


def _hidden(verdicts: Iterable[Verdict], *, rows: bool) -> str:
    """The first revision of which something is hidden; ``rows`` counts what is hidden of rows, too."""
    for verdict in verdicts:
        up = verdict.revision.up
        codes = {one.code for one in up.opacities}
        writing = any(one.writes for one in up.opacities)
        if codes - _ABOUT_ROWS or (rows and writing and codes):
            return verdict.revision.id
        if any(
            isinstance(operation, Unrecognised)
            or (isinstance(operation, Procedural) and operation.what in _RUNS_CODE)
            for operation in operations(up)
        ):
            return verdict.revision.id
    return ""


def _drops(verdicts: Sequence[Verdict]) -> str:
    found = _found(verdicts, _DROPS)
    if found:
        return f"yes, it {_several(found)}"
    hidden = _hidden(verdicts, rows=False)
    if hidden:
        return f"unknown: {hidden} could not be read completely."
    return "no, nothing that was there before is dropped."


def _bulk(verdicts: Sequence[Verdict]) -> str:
    found = _found(verdicts, _BULK)
    if found:
        return f"yes, it {_several(found)}"
    if any(
        one.risk == 4 and one.rule == "DG902" for verdict in verdicts for one in verdict.findings
    ):
        return "yes, rows of the target decide which rows are written."
    hidden = _hidden(verdicts, rows=True)
    if hidden:
        return f"unknown: {hidden} could not be read completely."
    return "no, no rows that were there before are changed."


def _blocks(verdicts: Sequence[Verdict]) -> str:
    long = [
        (verdict, one)
        for verdict in verdicts
        for one in verdict.locks
        if one.work in _HEAVY and one.blocks in {"writes", "reads and writes"}
    ]
    if long:
        return f"yes, {_blocked(long)}"
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
    brief = sorted({one.relation for verdict in verdicts for one in verdict.locks})
    if brief:
        return (
            f"no, locks on {', '.join(brief[:4])}{' …' if len(brief) > 4 else ''} are held for"
            f" a moment only."
        )
    return "no, nothing that is in use is locked."


def _blocked(long: list[tuple[Verdict, Lock]]) -> str:
    parts = []
    for verdict, one in long[:3]:
        parts.append(
            f"{one.blocks} of {one.relation} during its {one.work} ({verdict.revision.id})"
        )
    more = len(long) - len(parts)
    return (
        f"{'; '.join(parts)}{f'; and {more} more' if more else ''}. How long depends on the"
        f" size of the table."
    )


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
        " before."
    )
