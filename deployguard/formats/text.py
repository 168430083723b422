"""The check report for a terminal: laid out in columns, meaning marked, colour left to the terminal."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from deployguard.formats import words
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import (
    BLANK,
    Line,
    Span,
    Style,
    advice,
    cells,
    clean,
    cut,
    ends,
    one_line,
    paragraph,
    plain,
    risk_style,
)
from deployguard.model import Finding, Verdict, Way

WIDEST = 110  # longer lines are hard to read, however wide the terminal is
MANY = 8  # from so many revisions on, the report is kept brief unless all of it is asked for


def text(report: CheckReport, width: int = 80) -> str:
    """The report without colour, at most ``width`` columns wide where its words allow."""
    return plain(check_lines(report, width))


def check_lines(report: CheckReport, width: int = 80) -> list[Line]:
    """The report as lines of marked text."""
    width = min(width, WIDEST)
    plan = report.plan
    risk = report.level
    level = Span(f" {str(risk).upper()} " if risk else " OK ", risk_style(risk))
    lines: list[Line] = [
        (
            Span(f"{one_line(plan.environment)} ", Style.TITLE),
            Span(one_line(words.judged(plan)), Style.DIM),
        ),
        *_headline(level, words.headline(plan), width),
    ]
    counts = words.counts(plan.verdicts)
    if ", " in counts:
        lines += paragraph(counts, width, indent=2)
    lines += [BLANK, *_verdicts(report, width)]
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


def _headline(level: Span, said: str, width: int) -> list[Line]:
    first, *more = paragraph(said, width, hang=len(level.text) + 1, style=Style.TITLE)
    return [(level, Span(" "), *first[1:]), *more]


def _verdicts(report: CheckReport, width: int) -> Iterator[Line]:
    """Every revision; where there are many, quiet ones together and each rule explained once."""
    brief = len(report.plan.verdicts) >= MANY and not report.show_sql
    explained: set[str] = set()
    for quiet, together in groupby(report.plan.verdicts, lambda one: brief and words.quiet(one)):
        run = list(together)
        if quiet and len(run) > 1:
            yield from _collapsed(run, width)
            yield BLANK
            continue
        for verdict in run:
            yield from _verdict(report, verdict, width, explained if brief else None)
            yield BLANK
    if brief:
        said = "Each rule is explained once, and only long locks are listed; -v shows everything."
        yield from paragraph(said, width, style=Style.DIM)
        yield BLANK


def _collapsed(run: Sequence[Verdict], width: int) -> list[Line]:
    first, last = run[0].revision.id, run[-1].revision.id
    left = [Span(f"{first} … {last}  ", Style.TITLE), Span(f"{len(run)} revisions", Style.TITLE)]
    return ends(left, Span("low: nothing found", Style.LOW), width)


def _verdict(
    report: CheckReport, verdict: Verdict, width: int, explained: set[str] | None
) -> Iterator[Line]:
    """One revision. ``explained``: the rules whose effect and safe form need not be told again; None tells all."""
    revision = verdict.revision
    level = Span(words.verdict_level(verdict), risk_style(verdict.open_risk))
    name = cut(one_line(revision.id), width // 2)
    title = cut(
        one_line(revision.message.partition("\n")[0]), width - cells(name) - len(level.text) - 4
    )
    yield from ends([Span(f"{name}  ", Style.TITLE), Span(title, Style.TITLE)], level, width)
    said: set[str] = set()  # within one revision nobody reads the same reason twice
    for finding in verdict.findings:
        if explained is not None and finding.rule in explained:
            said |= {finding.why, finding.instead}
        yield from _finding(finding, width, said)
        if not finding.accepted:
            said |= {finding.why, finding.instead}
            if explained is not None:
                explained.add(finding.rule)
    if not verdict.findings and explained is None:
        yield from paragraph(revision.path, width, indent=2, label="file", hang=6, style=Style.DIM)
    for item in verdict.locks:
        if explained is None or item.work or item.seconds:
            yield from paragraph(words.lock(item), width, indent=2, label="lock", hang=6)
    if explained is None or verdict.undo.way not in (Way.LOSSLESS, Way.NOTHING):
        yield from paragraph(words.undo(verdict.undo), width, indent=2, label="undo", hang=6)
    if report.show_sql:
        for statement in revision.up.statements:
            yield from paragraph(
                statement.sql, width, indent=2, label="sql", hang=6, style=Style.DIM
            )


def _finding(finding: Finding, width: int, said: set[str]) -> Iterator[Line]:
    """One finding; what is in ``said`` is not said again."""
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    head = f"{finding.rule} {finding.risk}{' accepted' if finding.accepted else ''}"
    style = Style.DIM if finding.accepted else risk_style(finding.risk)
    first, *more = paragraph(words.sentence(finding.message), width, indent=2, hang=len(head) + 2)
    yield (Span("  "), Span(head, style), Span("  "), *first[1:])
    yield from more
    yield from paragraph(place, width, indent=4, label="at", hang=6, style=Style.DIM)
    if finding.accepted:
        yield from paragraph(words.accepted(finding), width, indent=4, label="ok", hang=6)
        return
    if finding.why and finding.why not in said:
        yield from paragraph(finding.why, width, indent=4, label="why", hang=6)
    if finding.instead and finding.instead not in said:
        yield from advice(finding.instead, width, indent=4, label="safe", hang=6)


def _checklist(report: CheckReport, width: int) -> list[Line]:
    answers = report.plan.answers
    lines: list[Line] = [(Span("Checklist", Style.TITLE),)]
    for question, key in words.QUESTIONS:
        answer = words.question(answers, key)
        lines += paragraph(answer, width, indent=2, label=question, hang=29)
    return lines


def _demands(report: CheckReport, width: int) -> list[Line]:
    lines = paragraph(words.demand(report), width, label="Policy", hang=10)
    if report.plan.verdicts:
        lines += paragraph(words.evidence(report), width, label="Evidence", hang=10)
    for note in report.plan.notes:
        lines += paragraph(words.sentence(note), width, label="Note", hang=10)
    return [*lines, (Span("Digest".ljust(10), Style.DIM), Span(report.plan.digest))]
