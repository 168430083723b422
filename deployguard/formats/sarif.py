"""The check report as SARIF 2.1.0, the OASIS standard that code scanning reads."""

import json
from urllib.parse import quote

from deployguard import __version__
from deployguard.formats import words
from deployguard.formats.markdown import advised, escape
from deployguard.formats.marks import file_of, marked
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import clean, one_line
from deployguard.model import Finding, Json, Risk, Verdict
from deployguard.rules import Rule, explain
from deployguard.rules.reference import safe_form

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_LEVEL = {Risk.CRITICAL: "error", Risk.HIGH: "error", Risk.MEDIUM: "warning", Risk.LOW: "note"}


def sarif(report: CheckReport, prefix: str = "") -> str:
    """The log with one run; ``prefix`` is the project's folder inside the repository.

    What is accepted is there as a suppressed result, with the reason as its justification.
    """
    found = list(marked(report))
    codes = sorted({finding.rule for _, finding, _ in found})
    index = {code: number for number, code in enumerate(codes)}
    plan = report.plan
    run: dict[str, Json] = {
        "tool": {
            "driver": {
                "name": "deployguard",
                "version": __version__,
                "rules": [_rule(code, explain(code)) for code in codes],
            }
        },
        "automationDetails": {"id": f"deployguard/{quote(one_line(plan.environment), safe='')}/"},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [
                    {"level": "note", "message": {"text": clean(note)}} for note in plan.notes
                ],
            }
        ],
        "results": [
            _result(verdict, finding, mark, index[finding.rule], prefix)
            for verdict, finding, mark in found
        ],
        "properties": {
            "level": str(plan.open_risk) if plan.open_risk else None,
            "levelWithAccepted": str(plan.risk) if plan.risk else None,
            "digest": plan.digest,
        },
    }
    log: Json = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=True) + "\n"


def _rule(code: str, known: Rule | None) -> Json:
    if known is None:  # a finding of a book that is not ours has its code only
        return {"id": code}
    said = clean(known.effect)
    # Its own names are in each result; the rule's help has those of the rule's first example.
    instead = clean(safe_form(known))
    return {
        "id": code,
        "name": "".join(word.capitalize() for word in known.name.split("-")),
        "shortDescription": {"text": known.name},
        "fullDescription": {"text": said},
        "help": {
            "text": f"{said}\n\nInstead (for an example): {instead}",
            "markdown": f"{escape(known.effect)}\n\n"
            f"{advised(instead, '**Instead** (for an example):')}\n",
        },
        "defaultConfiguration": {"level": _LEVEL[known.risk]},
        "properties": {"level": str(known.risk), "tags": ["migration", f"level-{known.risk}"]},
    }


def _result(verdict: Verdict, finding: Finding, mark: str, rule: int, prefix: str) -> Json:
    parts = [clean(words.sentence(finding.message)), clean(finding.why)]
    if finding.instead:
        parts.append(f"Instead: {clean(finding.instead)}")
    # GitHub shows an absolute address as it is; a path must be one inside of the repository.
    uri = quote(file_of(finding.path, prefix), safe="/")
    return {
        "ruleId": finding.rule,
        "ruleIndex": rule,
        "level": _LEVEL[finding.risk],
        "message": {"text": "\n\n".join(part for part in parts if part) or finding.rule},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri},
                    "region": {"startLine": max(finding.line, 1)},
                },
                "logicalLocations": [{"name": one_line(verdict.revision.id), "kind": "module"}],
            }
        ],
        "partialFingerprints": {"deployguard/v1": mark},
        "suppressions": [_suppression(finding)] if finding.accepted else [],
        "properties": {"level": str(finding.risk), "revision": one_line(verdict.revision.id)},
    }


def _suppression(finding: Finding) -> Json:
    inside = finding.accepted_at.startswith(f"{finding.path}:")
    return {
        "kind": "inSource" if inside else "external",
        "status": "accepted",
        "justification": clean(words.accepted(finding)),
    }
