"""The check report as JUnit XML: one test case a revision, which fails from ``fail_on`` on."""

from xml.etree import ElementTree as ET

from deployguard.formats import words
from deployguard.formats.marks import file_of
from deployguard.formats.report import CheckReport
from deployguard.formats.spans import clean, one_line
from deployguard.model import Finding, Verdict


def junit(report: CheckReport, prefix: str = "") -> str:
    """The whole document; ``prefix`` is the project's folder inside the repository."""
    verdicts = report.plan.verdicts
    failed = sum(1 for one in verdicts if one.open_risk >= report.fail_on)
    counted = {"tests": str(len(verdicts)), "failures": str(failed), "errors": "0", "time": "0"}
    root = ET.Element("testsuites", {"name": "deployguard", **counted})
    name = f"deployguard {one_line(report.plan.environment)}"
    suite = ET.SubElement(root, "testsuite", {"name": name, **counted, "skipped": "0"})
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("database", report.plan.target),
        ("level", words.level(report.plan)),
        ("digest", report.plan.digest),
    ):
        ET.SubElement(properties, "property", {"name": key, "value": one_line(value)})
    for verdict in verdicts:
        _case(suite, report, verdict, prefix)
    ET.indent(root)
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _case(suite: ET.Element, report: CheckReport, verdict: Verdict, prefix: str) -> None:
    revision = verdict.revision
    title = one_line(revision.message.partition("\n")[0])
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": f"deployguard.{one_line(report.plan.environment)}",
            "name": f"{one_line(revision.id)} {title}".strip(),
            "file": file_of(revision.path, prefix),
            "time": "0",
        },
    )
    failing = [f for f in verdict.findings if not f.accepted and f.risk >= report.fail_on]
    if verdict.open_risk >= report.fail_on:
        level = str(verdict.open_risk)
        message = words.sentence(failing[0].message) if failing else f"The level is {level}."
        failure = ET.SubElement(case, "failure", {"type": level, "message": one_line(message)})
        failure.text = "\n\n".join(_told(finding) for finding in failing)
    others = [finding for finding in verdict.findings if finding not in failing]
    if others:
        ET.SubElement(case, "system-out").text = "\n\n".join(_told(finding) for finding in others)


def _told(finding: Finding) -> str:
    place = f"{finding.path}:{finding.line}" if finding.line else finding.path
    parts = [f"{finding.rule} {finding.risk}: {words.sentence(finding.message)}", place]
    if finding.accepted:
        parts.append(f"Accepted: {words.accepted(finding)}")
    else:
        parts += [finding.why, finding.instead and f"Instead: {finding.instead}"]
    return "\n".join(clean(part) for part in parts if part)
