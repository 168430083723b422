"""Text with a meaning for each piece of it, so that one layout serves terminals, pipes and ASCII."""

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from deployguard.model import Risk


class Style(StrEnum):
    """What a piece of text is; the terminal chooses how that looks."""

    PLAIN = "plain"
    TITLE = "title"
    DIM = "dim"
    GOOD = "good"
    BAD = "bad"
    COMMAND = "command"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    style: Style = Style.PLAIN


Line: TypeAlias = tuple[Span, ...]
BLANK: Line = ()

_PROSE = re.compile(
    r"[A-Z][a-z]|[A-Z] "
)  # code begins with a small letter, a sign, or a word of SQL
_ASCII = str.maketrans(
    {
        "→": "->",
        "←": "<-",
        "·": "-",
        "…": "...",
        "\u2014": "-",
        "\u2013": "-",
        "✓": "ok",
        "█": "#",
        "░": ".",
        "✗": "x",
        "▸": ">",
        "≥": ">=",
        "≤": "<=",
        "\u201c": '"',
        "\u201d": '"',
        "\u2018": "'",
        "\u2019": "'",
        "\u00a0": " ",
    }
)


def risk_style(risk: Risk | None) -> Style:
    """The style of a level; nothing pending is good news."""
    return Style.GOOD if risk is None else Style(str(risk))


def plain(lines: Iterable[Line]) -> str:
    """The text alone, one newline after each line, without spaces at line ends."""
    return "".join("".join(span.text for span in line).rstrip() + "\n" for line in lines)


def ascii_only(text: str) -> str:
    """The same text for an output that knows only ASCII: our own signs spelled out, others escaped."""
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def clean(text: str) -> str:
    """Text of others made safe to show: control characters, which could move a cursor, are written out."""
    return "".join(
        c if c == "\n" or c.isprintable() else _written_out(c) for c in text.expandtabs(4)
    )


def one_line(text: str) -> str:
    """The same on a single line, runs of white space as one space: for headings and cells of a table."""
    return clean(" ".join(text.split()))


def cut(text: str, room: int) -> str:
    """``text`` in at most ``room`` columns, with a sign where the rest is missing."""
    if cells(text) <= room:
        return text
    kept = ""
    for char in text:
        if cells(kept + char) > room - 1:
            break
        kept += char
    return f"{kept}…"


def cells(text: str) -> int:
    """How many columns of a terminal ``text`` takes: some scripts have wide characters, accents have none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(c) in {"W", "F"} for c in text)
    return len(text) + wide - sum(bool(unicodedata.combining(c)) for c in text)


def _written_out(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def paragraph(
    text: str,
    width: int,
    *,
    indent: int = 0,
    label: str = "",
    hang: int = 0,
    style: Style = Style.PLAIN,
) -> list[Line]:
    """``text`` wrapped to ``width``; ``label`` stands dimmed in the ``hang`` columns before it."""
    room = max(width - indent - hang, 20)
    pieces: list[str] = []
    for part in clean(text).splitlines() or [""]:
        lead = len(part) - len(part.lstrip(" "))
        pieces += textwrap.wrap(
            part,
            room,
            subsequent_indent=" " * min(lead, room // 2),
            drop_whitespace=True,
            break_on_hyphens=False,
            break_long_words=False,
        ) or [""]
    head = Span(" " * indent + label.ljust(hang), Style.DIM)
    rest = Span(" " * (indent + hang))
    return [(head if i == 0 else rest, Span(piece, style)) for i, piece in enumerate(pieces)]


def advice(text: str, width: int, *, indent: int, label: str = "", hang: int = 0) -> list[Line]:
    """Advice whose sentences are wrapped, and whose code is not: a line of it must be one when it is copied."""
    lines: list[Line] = []
    for number, part in enumerate(clean(text).splitlines()):
        name = label if number == 0 else ""
        if is_prose(part):
            lines += paragraph(part, width, indent=indent, label=name, hang=hang)
        else:
            lines.append((Span(" " * indent + name.ljust(hang), Style.DIM), Span(part)))
    return lines


def is_prose(line: str) -> bool:
    """Whether a line of a safe form is a sentence, which may be wrapped; code must stay as it is."""
    return _PROSE.match(line) is not None


def ends(left: Sequence[Span], right: Span, width: int) -> list[Line]:
    """One line with ``right`` at its end; two lines when both do not fit."""
    used = sum(cells(span.text) for span in left)
    gap = width - used - len(right.text)
    if gap >= 2:
        return [(*left, Span(" " * gap), right)]
    return [tuple(left), (Span(" " * max(width - len(right.text), 0)), right)]


def table(head: Sequence[str], rows: Sequence[Sequence[Span]], width: int) -> list[Line]:
    """Columns as wide as their longest cell, two spaces between; the last column wraps at ``width``."""
    widths = [
        max(len(name), *(len(row[i].text) for row in rows)) if rows else len(name)
        for i, name in enumerate(head)
    ]
    lines: list[Line] = [_row([Span(name, Style.DIM) for name in head], widths)]
    before = sum(widths[:-1]) + 2 * (len(head) - 1)
    room = max(width - before, 20)
    for row in rows:
        first, *more = textwrap.wrap(row[-1].text, room, break_on_hyphens=False) or [""]
        lines.append(_row([*row[:-1], Span(first, row[-1].style)], widths))
        lines += [(Span(" " * before), Span(piece, row[-1].style)) for piece in more]
    return lines


def _row(cells: Sequence[Span], widths: Sequence[int]) -> Line:
    *most, last = cells
    padded = [Span(cell.text.ljust(widths[i] + 2), cell.style) for i, cell in enumerate(most)]
    return (*padded, last)
