"""The list of base backups, and what prune says of them, in each form."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from deployguard.formats import words
from deployguard.formats.markdown import code, escape
from deployguard.formats.records import markdown_table
from deployguard.formats.spans import BLANK, Line, Span, Style, one_line, paragraph, table
from deployguard.formats.text import WIDEST, command_lines
from deployguard.model import Json


@dataclass(frozen=True, slots=True)
class BaseEntry:
    """One base backup. ``verified`` None: nobody has read it back."""

    id: str
    kind: str
    parent: str
    created: datetime
    age: timedelta
    size: int
    server: str
    start: str
    stop: str
    verified: bool | None


@dataclass(frozen=True, slots=True)
class BaseFate:
    """What becomes of one, and each reason."""

    entry: BaseEntry
    keep: bool
    reasons: tuple[str, ...]


def bases_lines(entries: Sequence[BaseEntry], width: int = 80) -> list[Line]:
    """The list, newest first."""
    if not entries:
        return [
            (Span("There are no base backups yet."),),
            *command_lines(("deployguard backup physical create",)),
        ]
    rows = [
        [
            Span(one_line(one.id)),
            Span(words.age(one.age)),
            Span(words.size(one.size)),
            _verified(one),
            Span(one.kind),
        ]
        for one in entries
    ]
    return table(("base backup", "age", "size", "verified", "kind"), rows, width)


def bases_document(entries: Sequence[BaseEntry]) -> Json:
    """The list as ``deployguard.physical-backups/1``."""
    return {
        "schema": "deployguard.physical-backups/1",
        "backups": [
            {
                "id": one.id,
                "kind": one.kind,
                "parent": one.parent or None,
                "created": one.created.isoformat(),
                "bytes": one.size,
                "server": one.server,
                "start": one.start,
                "stop": one.stop,
                "verified": one.verified,
            }
            for one in entries
        ],
    }


def bases_markdown(entries: Sequence[BaseEntry]) -> str:
    """The list as a table."""
    rows = [
        (
            code(one.id),
            words.moment(one.created),
            words.age(one.age),
            words.size(one.size),
            _verified(one).text,
            escape(one.kind),
        )
        for one in entries
    ]
    return markdown_table(("base backup", "created (UTC)", "age", "size", "verified", "kind"), rows)


def _verified(one: BaseEntry) -> Span:
    if one.verified is None:
        return Span("not read", Style.MEDIUM)
    return Span("yes", Style.GOOD) if one.verified else Span("DAMAGED", Style.BAD)


def prune_lines(
    fates: Sequence[BaseFate], log: tuple[int, int], width: int = 80, *, done: bool
) -> list[Line]:
    """What goes and what stays, with each reason; ``log`` are archived files and their bytes."""
    lines: list[Line] = []
    for fate in fates:
        mark = Span("keep  ", Style.GOOD) if fate.keep else Span("remove", Style.BAD)
        facts = f"  {words.size(fate.entry.size)}, {words.age(fate.entry.age)}, {fate.entry.kind}"
        lines.append((mark, Span(f"  {one_line(fate.entry.id)}", Style.TITLE), Span(facts)))
        why = "; ".join(fate.reasons)
        lines += paragraph(why, min(width, WIDEST), indent=8, style=Style.DIM)
    lines += [BLANK, (Span(_sum(fates, log, done=done)),)]
    again = ("deployguard backup physical prune --yes",)
    return [*lines, *command_lines(again if not done and _any(fates, log) else ())]


def prune_document(fates: Sequence[BaseFate], log: tuple[int, int], *, done: bool) -> Json:
    """The same as ``deployguard.physical-prune/1``."""
    return {
        "schema": "deployguard.physical-prune/1",
        "done": done,
        "backups": [
            {"id": fate.entry.id, "keep": fate.keep, "reasons": [*fate.reasons]} for fate in fates
        ],
        "log": {"files": log[0], "bytes": log[1]},
    }


def prune_markdown(fates: Sequence[BaseFate], log: tuple[int, int], *, done: bool) -> str:
    """The same as a table."""
    rows = [
        (
            "keep" if fate.keep else "**remove**",
            code(fate.entry.id),
            escape("; ".join(fate.reasons)),
        )
        for fate in fates
    ]
    return markdown_table(("", "base backup", "why"), rows) + f"\n{_sum(fates, log, done=done)}\n"


def _any(fates: Sequence[BaseFate], log: tuple[int, int]) -> bool:
    return bool(log[0]) or any(not fate.keep for fate in fates)


def _sum(fates: Sequence[BaseFate], log: tuple[int, int], *, done: bool) -> str:
    going = sum(not fate.keep for fate in fates)
    said = "Removed" if done else "Would remove"
    return (
        f"{said} {going} of {len(fates)} base backups, and {log[0]} files of archived log"
        f" ({words.size(log[1])})."
    )
