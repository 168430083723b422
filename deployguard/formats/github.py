"""The check report as GitHub Actions workflow commands: annotations on the lines of the revision files.

The source is GitHub's page "Workflow commands for GitHub Actions"; a message escapes %, CR and LF, a property also
: and , so that text of the project can neither end a command nor begin another one.
"""

from deployguard.formats import words
from deployguard.formats.markdown import markdown
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import clean
from deployguard.model import Finding, Risk

_SUMMARY_BYTES = 900_000
_KIND = {
    Risk.CRITICAL: "error",
    Risk.HIGH: "error",
    Risk.MEDIUM: "warning",
    Risk.LOW: "notice",
}


def github(report: CheckReport, prefix: str = "") -> str:
    """One command a finding, worst first since GitHub shows ten of a kind, then a line that sums up.

    ``prefix`` is the project's folder inside the repository, which paths in annotations count from.
    """
    findings = [f for verdict in report.plan.verdicts for f in verdict.findings]
    findings.sort(key=lambda f: -f.risk)
    lines = [_annotation(finding, prefix) for finding in findings]
    level = str(report.plan.risk) if report.plan.risk else "nothing pending"
    summary = f"deployguard: {level}. {words.headline(report.plan)}. {words.demand(report)}"
    return "\n".join([*lines, _plain(summary)]) + "\n"


def outputs(report: CheckReport) -> str:
    """The lines for GITHUB_OUTPUT: names and values that are single words by construction."""
    values = {
        "level": str(report.plan.risk) if report.plan.risk else "none",
        "pending": str(len(report.plan.verdicts)),
        "digest": report.plan.digest,
        "needs-approval": str(report.needs_approval).lower(),
        "needs-backup": str(report.needs_backup).lower(),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def summary(report: CheckReport) -> str:
    """The Markdown for GITHUB_STEP_SUMMARY, which takes a mebibyte a step."""
    whole = markdown(report)
    if len(whole.encode()) <= _SUMMARY_BYTES:
        return whole
    cut = whole.encode()[:_SUMMARY_BYTES].decode(errors="ignore").rpartition("\n\n")[0]
    return f"{cut}\n\n(cut: the whole report is in the JSON document)\n"


def command(kind: str, message: str, **properties: str) -> str:
    """``::kind name=value,…::message`` with everything escaped."""
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items() if value)
    return f"::{kind}{' ' + listed if listed else ''}::{_data(message)}"


def _annotation(finding: Finding, prefix: str) -> str:
    message = "\n".join(
        part
        for part in (
            finding.message,
            finding.why,
            finding.instead and f"Instead: {finding.instead}",
        )
        if part
    )
    return command(
        _KIND[finding.risk],
        message,
        title=f"{finding.rule} {finding.risk}",
        file=f"{prefix.strip('/')}/{finding.path}" if prefix else finding.path,
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
