"""The check report as GitHub-flavoured Markdown, for pull requests and job summaries."""

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from deployguard.formats import words
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import clean, is_prose
from deployguard.model import Finding, Verdict

COMMENT = 65_536  # characters that GitHub takes in a comment
_MANY = 20  # from so many revisions on, the quiet ones share a row
_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])|(?<=^)([-+=])|(?<=^\d)([.)])")
_REFERENCE = re.compile(r"([@#])(?=\w)")
_NO_WIDTH = "\u200b"  # GitHub looks for @name and #1 after Markdown's own escapes are gone
_SIGNS = {"low": "🟢", "medium": "🟡", "high": "🟠", "critical": "🔴"}


def markdown(report: CheckReport, limit: int = COMMENT) -> str:
    """The report in at most ``limit`` characters; what comes from the project (names, SQL) is escaped or fenced.

    What does not fit is left out, SQL first and then the least dangerous revisions, and a sentence says so.
    """
    plan = report.plan
    sign = _SIGNS[str(plan.open_risk)] if plan.open_risk else "✅"
    head = [
        f"## {sign} deployguard: {words.level(plan)}",
        f"{escape(words.headline(plan))} · {escape(plan.environment)} · {code(words.judged(plan))}",
    ]
    if len(plan.verdicts) > 1:
        head.append(escape(words.counts(plan.verdicts)))
    tail = [_demands(report)]
    if report.next_commands:
        tail.append("Next:\n\n" + fence("\n".join(report.next_commands), "sh"))
    if not plan.verdicts:
        return _joined([*head, *tail])
    middle = [_checklist(report), _overview(plan.verdicts)]
    shown = [one for one in plan.verdicts if len(plan.verdicts) < _MANY or not words.quiet(one)]
    whole = [*head, *middle, *(_verdict(one, sql=True) for one in shown), *tail]
    if len(_joined(whole)) <= limit:
        return _joined(whole)
    return _shortened(shown, head, tail, middle, limit)


def escape(text: str) -> str:
    """Text of others on one line, with nothing in it that Markdown, HTML or an @mention would act on."""
    one_line = " ".join(clean(text).split())
    return _REFERENCE.sub(rf"\1{_NO_WIDTH}", _SPECIAL.sub(r"\\\g<0>", one_line))


def code(text: str) -> str:
    """A code span that holds ``text`` whatever backticks are in it; for tables, pipes are escaped too."""
    body = " ".join(clean(text).split()).replace("|", "\\|")
    ticks = "`" * (1 + max((len(run) for run in re.findall("`+", body)), default=0))
    pad = " " if body.startswith("`") or body.endswith("`") else ""
    return f"{ticks}{pad}{body}{pad}{ticks}" if body else ""


def fence(text: str, language: str = "") -> str:
    """A fenced block that ``text`` cannot end."""
    body = clean(text)
    ticks = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", body)), default=0))
    return f"{ticks}{language}\n{body}\n{ticks}"


def _joined(parts: Iterable[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _shortened(
    shown: Sequence[Verdict], head: list[str], tail: list[str], middle: list[str], limit: int
) -> str:
    """The worst revisions without their SQL, as many as fit; each part is in it whole or not at all."""
    said = "{} of {} revisions are not shown here, and no SQL: that is in the JSON report."
    longest = said.format(len(shown), len(shown))
    fixed = [*head, *middle, longest, *tail]
    if len(_joined(fixed)) > limit:  # even the table of revisions is too long
        fixed = [*head, middle[0], longest, *tail]
        middle = middle[:1]
    room = limit - len(_joined(fixed))
    chosen: dict[int, str] = {}
    for number, verdict in sorted(enumerate(shown), key=lambda one: -one[1].open_risk):
        block = _verdict(verdict, sql=False)
        if len(block) + 2 <= room:
            chosen[number] = block
            room -= len(block) + 2
    blocks = [block for _, block in sorted(chosen.items())]
    left = said.format(len(shown) - len(blocks), len(shown))
    parts = [*head, *middle, *blocks, left, *tail]
    if len(_joined(parts)) > limit:  # names that long are not for people
        parts = [head[0], left]
    return _joined(parts)


def _overview(verdicts: Sequence[Verdict]) -> str:
    rows = ["| revision | level | what | undo |", "| --- | --- | --- | --- |"]
    many = len(verdicts) >= _MANY
    for quiet, together in groupby(verdicts, lambda one: many and words.quiet(one)):
        run = list(together)
        if quiet and len(run) > 1:
            names = f"{code(run[0].revision.id)} … {code(run[-1].revision.id)}"
            rows.append(f"| {names} | {_SIGNS['low']} low | {len(run)} revisions, no finding | |")
            continue
        rows += [_row(verdict) for verdict in run]
    return "\n".join(rows)


def _row(verdict: Verdict) -> str:
    revision = verdict.revision
    codes = ", ".join(dict.fromkeys(_short(f) for f in verdict.findings)) or "no finding"
    level = f"{_SIGNS[str(verdict.open_risk)]} {words.verdict_level(verdict)}"
    what = f"{escape(revision.message)} ({codes})"
    return f"| {code(revision.id)} | {level} | {what} | {verdict.undo.way} |"


def _short(finding: Finding) -> str:
    return f"{finding.rule} accepted" if finding.accepted else finding.rule


def _checklist(report: CheckReport) -> str:
    rows = ["| checklist | |", "| --- | --- |"]
    for question, key in words.QUESTIONS:
        rows.append(f"| {question} | {escape(words.question(report.plan.answers, key))} |")
    return "\n".join(rows)


def _verdict(verdict: Verdict, *, sql: bool) -> str:
    return "\n\n".join(_parts(verdict, sql=sql))


def _parts(verdict: Verdict, *, sql: bool) -> Iterator[str]:
    revision = verdict.revision
    first_line = revision.message.partition("\n")[0]
    yield f"### {code(revision.id)} {escape(first_line)}"
    yield code(revision.path)
    yield from (_finding(finding) for finding in verdict.findings)
    facts = [f"- lock: {escape(words.lock(lock))}" for lock in verdict.locks]
    yield "\n".join([*facts, f"- undo: {escape(words.undo(verdict.undo))}"])
    if sql and revision.up.statements:
        text = fence(";\n".join(s.sql for s in revision.up.statements) + ";", "sql")
        yield f"<details><summary>SQL</summary>\n\n{text}\n\n</details>"


def _finding(finding: Finding) -> str:
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    head = f"**{finding.rule} {finding.risk}** {escape(words.sentence(finding.message))} ({code(place)})"
    if finding.accepted:
        return f"{head}\n\n_Accepted:_ {escape(words.accepted(finding))}"
    why = f"\n\n{escape(finding.why)}" if finding.why else ""
    instead = f"\n\n{advised(finding.instead)}" if finding.instead.strip() else ""
    return head + why + instead


def advised(text: str, title: str = "Instead:") -> str:
    """A safe form: its sentences as text that wraps, its code in blocks to copy."""
    parts: list[str] = []
    for prose, together in groupby(clean(text).splitlines(), is_prose):
        lines = tuple(together)
        parts += [escape(line) for line in lines] if prose else [fence("\n".join(lines))]
    first = f"{title} {parts[0]}" if is_prose(clean(text)) else f"{title}\n\n{parts[0]}"
    return "\n\n".join([first, *parts[1:]])


def _demands(report: CheckReport) -> str:
    lines = [f"- policy: {escape(words.demand(report))}"]
    if report.plan.verdicts:
        lines.append(f"- evidence: {escape(words.evidence(report))}")
    lines += [f"- note: {escape(words.sentence(note))}" for note in report.plan.notes]
    lines.append(f"- digest: {code(report.plan.digest)}")
    return "\n".join(lines)
