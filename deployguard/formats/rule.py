"""A rule of the book for people, as ``explain`` shows it."""

from collections.abc import Sequence

from deployguard.formats import words
from deployguard.formats.spans import (
    BLANK,
    Line,
    Span,
    Style,
    advice,
    ends,
    paragraph,
    risk_style,
    table,
)
from deployguard.formats.text import WIDEST
from deployguard.model import Lock
from deployguard.rules.base import Rule
from deployguard.rules.examples import read
from deployguard.rules.judge import judge_run
from deployguard.rules.mysql_words import MYSQL, Words
from deployguard.rules.reference import safe_form


def rule_lines(rule: Rule, width: int = 80) -> list[Line]:
    """One rule: what it finds, why that is dangerous, the safe form, its locks and examples, how to accept it."""
    width = min(width, WIDEST)
    head = [Span(f"{rule.code}  ", Style.TITLE), Span(rule.name, Style.TITLE)]
    lines = [*ends(head, Span(str(rule.risk), risk_style(rule.risk)), width), BLANK]
    lines += paragraph(rule.effect, width)
    mysql = MYSQL.get(rule.code, Words())
    for name, said in (("SQLite", rule.sqlite_effect), ("MySQL", mysql.effect)):
        if said:
            lines += [BLANK, *paragraph(_filled(said), width, label=name, hang=8)]
    lines += [BLANK, (Span("Instead", Style.TITLE), Span(" (for the first example)", Style.DIM))]
    lines += advice(safe_form(rule), width, indent=2)
    for name, said in (("SQLite", rule.sqlite_instead), ("MySQL", mysql.instead)):
        if said:
            lines += advice(_filled(said), width, indent=2, label=name, hang=8)
    return [
        *lines,
        *_locks(rule, width),
        *_examples("Flagged", rule.bad, Style.BAD, width),
        *_examples("Not flagged", rule.good, Style.GOOD, width),
        *_accepting(rule),
    ]


def book_lines(book: Sequence[Rule], width: int = 80) -> list[Line]:
    """Every rule on a line."""
    rows = [
        [Span(rule.code, Style.TITLE), Span(str(rule.risk), risk_style(rule.risk)), Span(rule.name)]
        for rule in book
    ]
    return table(("code", "level", "name"), rows, width)


def _locks(rule: Rule, width: int) -> list[Line]:
    """What the first example takes, where it is one for PostgreSQL: others' locks are worded by the rules."""
    revisions, facts = read(rule.bad[0])
    taken: list[Lock] = []
    if facts.dialect == "postgresql":
        for verdict in judge_run((rule,), revisions, facts):
            taken += verdict.locks
    if not taken:
        return []
    lines: list[Line] = [
        BLANK,
        (Span("Locks", Style.TITLE), Span(" (PostgreSQL, for the first example)", Style.DIM)),
    ]
    for lock in taken:
        lines += paragraph(words.lock(lock), width, indent=2)
    return lines


def _examples(title: str, examples: Sequence[str], style: Style, width: int) -> list[Line]:
    lines: list[Line] = [BLANK, (Span(title, style),)] if examples else []
    for number, example in enumerate(examples):
        lines += [BLANK] if number else []
        lines += paragraph(example, width, indent=2)
    return lines


def _accepting(rule: Rule) -> list[Line]:
    comment = f'# deployguard: accept {rule.code} reason="…"'
    return [
        BLANK,
        (Span("To accept it", Style.TITLE), Span(" (on the line, or directly above)", Style.DIM)),
        (Span("  "), Span(comment, Style.COMMAND)),
    ]


def _filled(template: str) -> str:
    return template.replace("{", "<").replace("}", ">")
