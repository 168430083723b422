"""The check report as GitHub-flavoured Markdown, for pull requests and job summaries."""

import re

from deployguard.formats import words
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import clean
from deployguard.model import Finding, Verdict

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~&$])|(?<=^)([-+=])|(?<=^\d)([.)])")
_REFERENCE = re.compile(r"([@#])(?=\w)")
_NO_WIDTH = "\u200b"  # GitHub looks for @name and #1 after Markdown's own escapes are gone
_SIGNS = {"low": "🟢", "medium": "🟡", "high": "🟠", "critical": "🔴"}


def markdown(report: CheckReport) -> str:
    """The whole report; what comes from the project (names, SQL) is escaped or fenced."""
    plan = report.plan
    sign = _SIGNS[str(plan.risk)] if plan.risk else "✅"
    level = str(plan.risk) if plan.risk else "nothing pending"
    parts = [
        f"## {sign} deployguard: {level}",
        f"{escape(words.headline(plan))} · {escape(plan.environment)} · {code(plan.target)}",
    ]
    if plan.verdicts:
        parts += [_overview(report), _checklist(report)]
        parts += [_verdict(verdict) for verdict in plan.verdicts]
    parts.append(_demands(report))
    if report.next_commands:
        parts.append("Next:\n\n" + fence("\n".join(report.next_commands), "sh"))
    return "\n\n".join(parts) + "\n"


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


def _overview(report: CheckReport) -> str:
    rows = ["| revision | level | what | undo |", "| --- | --- | --- | --- |"]
    for verdict in report.plan.verdicts:
        revision = verdict.revision
        codes = ", ".join(dict.fromkeys(f.rule for f in verdict.findings)) or "no finding"
        level = f"{_SIGNS[str(verdict.risk)]} {verdict.risk}"
        what = f"{escape(revision.message)} ({codes})"
        rows.append(f"| {code(revision.id)} | {level} | {what} | {verdict.undo.way} |")
    return "\n".join(rows)


def _checklist(report: CheckReport) -> str:
    rows = ["| checklist | |", "| --- | --- |"]
    for question, key in words.QUESTIONS:
        rows.append(f"| {question} | {escape(str(getattr(report.plan.answers, key)))} |")
    return "\n".join(rows)


def _verdict(verdict: Verdict) -> str:
    revision = verdict.revision
    first_line = revision.message.partition("\n")[0]
    parts = [f"### {code(revision.id)} {escape(first_line)}", code(revision.path)]
    parts += [_finding(finding) for finding in verdict.findings]
    facts = [f"- lock: {escape(words.lock(lock))}" for lock in verdict.locks]
    parts.append("\n".join([*facts, f"- undo: {escape(words.undo(verdict.undo))}"]))
    if revision.up.statements:
        sql = fence(";\n".join(s.sql for s in revision.up.statements) + ";", "sql")
        parts.append(f"<details><summary>SQL</summary>\n\n{sql}\n\n</details>")
    return "\n\n".join(parts)


def _finding(finding: Finding) -> str:
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    head = f"**{finding.rule} {finding.risk}** {escape(finding.message)} ({code(place)})"
    why = f"\n\n{escape(finding.why)}" if finding.why else ""
    instead = f"\n\nInstead:\n\n{fence(finding.instead)}" if finding.instead else ""
    return head + why + instead


def _demands(report: CheckReport) -> str:
    lines = [f"- policy: {escape(words.demand(report))}"]
    if report.plan.verdicts:
        lines.append(f"- evidence: {escape(words.evidence(report))}")
    lines += [f"- note: {escape(note)}" for note in report.plan.notes]
    lines.append(f"- digest: {code(report.plan.digest)}")
    return "\n".join(lines)
