"""A rule of the book for people, as ``explain`` shows it."""

from collections.abc import Sequence

from deployguard.formats.spans import BLANK, Line, Span, Style, ends, paragraph, risk_style, table
from deployguard.formats.text import WIDEST
from deployguard.rules.base import Rule


def rule_lines(rule: Rule, width: int = 80) -> list[Line]:
    """One rule: what it finds, why that is dangerous, the safe form, and its examples."""
    width = min(width, WIDEST)
    head = [Span(f"{rule.code}  ", Style.TITLE), Span(rule.name, Style.TITLE)]
    lines = [*ends(head, Span(str(rule.risk), risk_style(rule.risk)), width), BLANK]
    lines += paragraph(rule.effect, width)
    if rule.sqlite_effect:
        lines += [BLANK, *paragraph(rule.sqlite_effect, width, label="SQLite", hang=8)]
    lines += [BLANK, (Span("Instead", Style.TITLE),), *paragraph(rule.instead, width, indent=2)]
    if rule.sqlite_instead:
        lines += paragraph(rule.sqlite_instead, width, indent=2, label="SQLite", hang=8)
    return [
        *lines,
        *_examples("Found in", rule.bad, Style.BAD, width),
        *_examples("Not found in", rule.good, Style.GOOD, width),
    ]


def book_lines(book: Sequence[Rule], width: int = 80) -> list[Line]:
    """Every rule on a line."""
    rows = [
        [Span(rule.code, Style.TITLE), Span(str(rule.risk), risk_style(rule.risk)), Span(rule.name)]
        for rule in book
    ]
    return table(("rule", "level", "finds"), rows, width)


def _examples(title: str, examples: Sequence[str], style: Style, width: int) -> list[Line]:
    lines: list[Line] = [BLANK, (Span(title, style),)] if examples else []
    for number, example in enumerate(examples):
        lines += [BLANK] if number else []
        lines += paragraph(example, width, indent=2)
    return lines
