"""What ``doctor`` found; the shape of the JSON is in docs/report-schema.md."""

from collections.abc import Sequence
from typing import Final

from deployguard.formats.spans import Line, Span, Style, clean, one_line, paragraph
from deployguard.formats.text import WIDEST
from deployguard.model import Json

Found = tuple[
    str, str, str, tuple[str, ...]
]  # name, "well" | "look" | "wrong", what was seen, commands

_SIGNS: Final = {"well": "✓", "look": "!", "wrong": "✗"}
_STYLES: Final = {"well": Style.GOOD, "look": Style.MEDIUM, "wrong": Style.BAD}
_NAME: Final = 15  # columns


def finding_lines(found: Found, width: int = 80) -> list[Line]:
    """One thing that was looked at, and what to type where it is not well."""
    name, how, said, commands = found
    sign = Span(f"{_SIGNS[how]} ", _STYLES[how])
    first, *more = paragraph(said, min(width, WIDEST), label=" ", hang=2 + _NAME)
    lines: list[Line] = [(sign, Span(one_line(name).ljust(_NAME)), *first[1:]), *more]
    lines += [(Span(" " * (2 + _NAME)), Span(clean(one), Style.COMMAND)) for one in commands]
    return lines


def sum_line(found: Sequence[Found]) -> Line:
    """How many were found how."""
    wrong = sum(1 for _, how, _, _ in found if how == "wrong")
    look = sum(1 for _, how, _, _ in found if how == "look")
    if wrong:
        return (Span(f"{wrong} wrong, {look} to look at: a deploy would stop.", Style.BAD),)
    if look:
        return (Span(f"Nothing is wrong, {look} to look at.", Style.MEDIUM),)
    return (Span("Everything is well.", Style.GOOD),)


def examined_document(environment: str, found: Sequence[Found]) -> Json:
    """Everything as ``deployguard.doctor/1``."""
    return {
        "schema": "deployguard.doctor/1",
        "environment": environment,
        "ok": all(how != "wrong" for _, how, _, _ in found),
        "findings": [
            {"name": name, "found": how, "detail": said, "next": list(commands)}
            for name, how, said, commands in found
        ],
    }
