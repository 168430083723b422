"""The check report as GitHub Actions workflow commands: annotations on the lines of the revision files.

The source is GitHub's page "Workflow commands for GitHub Actions"; a message escapes %, CR and LF, a property also
: and , so that text of the project can neither end a command nor begin another one.
"""

import re
from collections import Counter
from collections.abc import Sequence

from deployguard.formats import words
from deployguard.formats.markdown import markdown
from deployguard.formats.marks import file_of
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import clean
from deployguard.model import Finding, Risk

_SUMMARY = 260_000  # characters of at most four bytes: a step's summary takes a mebibyte
_SHOWN = 10  # annotations of a kind that GitHub shows for one step
_PLACED = re.compile(r"(.+?):(\d+): (.*)", re.DOTALL)
_KIND = {
    Risk.CRITICAL: "error",
    Risk.HIGH: "error",
    Risk.MEDIUM: "warning",
    Risk.LOW: "notice",
}


def github(report: CheckReport, prefix: str = "") -> str:
    """One command a finding, the worst open ones first, then lines of the log that sum up.

    GitHub shows ten of a kind for one step: only those are annotations, the others are lines of the log.
    ``prefix`` is the project's folder inside the repository, which paths in annotations count from.
    """
    findings = [f for verdict in report.plan.verdicts for f in verdict.findings]
    findings.sort(key=lambda f: (bool(f.accepted), -f.risk))
    shown: Counter[str] = Counter()
    lines: list[str] = []
    rest: list[str] = []
    for finding in findings:
        kind = _kind(finding)
        shown[kind] += 1
        if shown[kind] <= _SHOWN:
            lines.append(_annotation(finding, prefix))
        else:
            place = f"{finding.path}:{finding.line}"
            message = words.sentence(finding.message)
            rest.append(_plain(f"{finding.rule} {finding.risk} {place} {message}"))
    if rest:
        more = "1 more finding is" if len(rest) == 1 else f"{len(rest)} more findings are"
        rest.insert(0, f"{more} not annotated, since GitHub shows {_SHOWN} of a kind:")
    plan = report.plan
    place = f"{plan.environment}, {words.judged(plan)}"
    said = (words.level(plan), words.headline(plan), place, words.demand(report))
    summary = f"deployguard: {' '.join(words.sentence(one) for one in said)}"
    return "\n".join([*lines, *rest, _plain(summary)]) + "\n"


def outputs(report: CheckReport) -> str:
    """The lines for GITHUB_OUTPUT: names and values that are single words by construction."""
    values = {
        "level": str(report.plan.open_risk) if report.plan.open_risk else "none",
        "level-with-accepted": str(report.plan.risk) if report.plan.risk else "none",
        "pending": str(len(report.plan.verdicts)),
        "digest": report.plan.digest,
        "needs-approval": str(report.needs_approval).lower(),
        "needs-backup": str(report.needs_backup).lower(),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def summary(report: CheckReport) -> str:
    """The Markdown for GITHUB_STEP_SUMMARY, which takes a mebibyte a step."""
    return markdown(report, _SUMMARY)


def complaints(problems: Sequence[str], prefix: str = "") -> str:
    """Suppressions that cannot stand, as errors at their lines; each problem begins with ``file:line: ``."""
    lines: list[str] = []
    for problem in problems[:_SHOWN]:
        found = _PLACED.match(problem)
        place, line, said = found.groups() if found else ("", "", problem)
        file = file_of(place, prefix) if place else ""
        lines.append(command("error", said, title="deployguard suppression", file=file, line=line))
    return "\n".join(lines) + "\n"


def command(kind: str, message: str, **properties: str) -> str:
    """``::kind name=value,…::message`` with everything escaped."""
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{kind}{' ' + listed if listed else ''}::{_data(message)}"


def _kind(finding: Finding) -> str:
    return "notice" if finding.accepted else _KIND[finding.risk]


def _annotation(finding: Finding, prefix: str) -> str:
    said = words.sentence(finding.message)
    if finding.accepted:
        parts = [said, f"Accepted: {words.accepted(finding)}"]
    else:
        instead = finding.instead and f"Instead: {finding.instead}"
        parts = [part for part in (said, finding.why, instead) if part]
    return command(
        _kind(finding),
        "\n".join(parts),
        title=f"{finding.rule} {finding.risk}{' accepted' if finding.accepted else ''}",
        file=file_of(finding.path, prefix),
        line=str(finding.line or 1),
    )


def _data(text: str) -> str:
    tidy = "\n".join(clean(line) for line in text.splitlines())
    return tidy.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _plain(text: str) -> str:
    """A line of the log that cannot be taken for a command: those begin with ``::`` or contain ``##[``."""
    return " ".join(clean(text).split()).replace("::", ": :").replace("##[", "## [")
