"""The check report for a terminal: laid out in columns, meaning marked, colour left to the terminal."""

from deployguard.formats import words
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import (
    BLANK,
    Line,
    Span,
    Style,
    clean,
    ends,
    paragraph,
    plain,
    risk_style,
)
from deployguard.model import Finding, Verdict

WIDEST = 110  # longer lines are hard to read, however wide the terminal is


def text(report: CheckReport, width: int = 80) -> str:
    """The report without colour, at most ``width`` columns wide where its words allow."""
    return plain(check_lines(report, width))


def check_lines(report: CheckReport, width: int = 80) -> list[Line]:
    """The report as lines of marked text."""
    width = min(width, WIDEST)
    plan = report.plan
    level = Span(f" {str(plan.risk).upper()} " if plan.risk else " OK ", risk_style(plan.risk))
    lines: list[Line] = [
        (Span(f"{plan.environment} ", Style.TITLE), Span(clean(plan.target), Style.DIM)),
        (level, Span(f" {clean(words.headline(plan))}", Style.TITLE)),
        BLANK,
    ]
    for verdict in plan.verdicts:
        lines += [*_verdict(verdict, width, show_sql=report.show_sql), BLANK]
    if plan.verdicts:
        lines += [*_checklist(report, width), BLANK]
    lines += _demands(report, width)
    return [*lines, *command_lines(report.next_commands)]


def command_lines(commands: tuple[str, ...]) -> list[Line]:
    """What to type next, one command a line, never wrapped so that it can be copied."""
    if not commands:
        return []
    shown: list[Line] = [(Span("  "), Span(clean(command), Style.COMMAND)) for command in commands]
    return [BLANK, (Span("Next", Style.TITLE),), *shown]


def _verdict(verdict: Verdict, width: int, *, show_sql: bool) -> list[Line]:
    revision = verdict.revision
    level = Span(str(verdict.risk), risk_style(verdict.risk))
    title = clean(revision.message).partition("\n")[0]
    room = width - len(revision.id) - len(level.text) - 5
    title = title if len(title) <= room else title[: room - 1] + "…"
    left = [Span(f"{revision.id}  ", Style.TITLE), Span(title, Style.TITLE)]
    lines = ends(left, level, width)
    for finding in verdict.findings:
        lines += _finding(finding, width)
    if not verdict.findings:
        lines += paragraph(revision.path, width, indent=2, label="file", hang=6, style=Style.DIM)
    for item in verdict.locks:
        lines += paragraph(words.lock(item), width, indent=2, label="lock", hang=6)
    lines += paragraph(words.undo(verdict.undo), width, indent=2, label="undo", hang=6)
    if show_sql:
        for statement in revision.up.statements:
            lines += paragraph(statement.sql, width, indent=2, label="sql", hang=6, style=Style.DIM)
    return lines


def _finding(finding: Finding, width: int) -> list[Line]:
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    head = f"{finding.rule} {finding.risk}"
    first, *more = paragraph(finding.message, width, indent=2, hang=len(head) + 2)
    lines: list[Line] = [
        (Span("  "), Span(head, risk_style(finding.risk)), Span("  "), *first[1:]),
        *more,
        *paragraph(place, width, indent=4, label="at", hang=6, style=Style.DIM),
    ]
    if finding.why:
        lines += paragraph(finding.why, width, indent=4, label="why", hang=6)
    if finding.instead:
        lines += paragraph(finding.instead, width, indent=4, label="safe", hang=6)
    return lines


def _checklist(report: CheckReport, width: int) -> list[Line]:
    answers = report.plan.answers
    lines: list[Line] = [(Span("Checklist", Style.TITLE),)]
    for question, key in words.QUESTIONS:
        answer = str(getattr(answers, key))
        lines += paragraph(answer, width, indent=2, label=question, hang=29)
    return lines


def _demands(report: CheckReport, width: int) -> list[Line]:
    lines = paragraph(words.demand(report), width, label="Policy", hang=10)
    if report.plan.verdicts:
        lines += paragraph(words.evidence(report), width, label="Evidence", hang=10)
    for note in report.plan.notes:
        lines += paragraph(note, width, label="Note", hang=10)
    return [*lines, (Span("Digest".ljust(10), Style.DIM), Span(report.plan.digest))]
