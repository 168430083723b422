"""The check report as GitLab's code quality report: a list of issues that a merge request shows on the lines.

The source is GitLab's page "Code Quality", "Import Code Quality results from a CI/CD job".
"""

import json

from deployguard.formats import words
from deployguard.formats.marks import file_of, marked
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import one_line
from deployguard.model import Finding, Json, Risk

_SEVERITY = {
    Risk.CRITICAL: "blocker",
    Risk.HIGH: "critical",
    Risk.MEDIUM: "major",
    Risk.LOW: "minor",
}


def gitlab(report: CheckReport, prefix: str = "") -> str:
    """One issue a finding; ``prefix`` is the project's folder inside the repository. What is accepted is "info"."""
    issues: list[Json] = [
        {
            "description": _description(finding),
            "check_name": finding.rule,
            "fingerprint": mark,
            "severity": "info" if finding.accepted else _SEVERITY[finding.risk],
            "location": {
                "path": file_of(finding.path, prefix),
                "lines": {"begin": max(finding.line, 1)},
            },
        }
        for _, finding, mark in marked(report)
    ]
    return json.dumps(issues, indent=2, ensure_ascii=True) + "\n"


def _description(finding: Finding) -> str:
    said = one_line(words.sentence(finding.message))
    if finding.accepted:
        return f"{said} Accepted: {one_line(words.accepted(finding))}"
    return f"{said} {one_line(finding.why)}".rstrip()
