"""SARIF, GitLab and JUnit: documents that their readers take, with every finding in its place."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from deployguard.formats.forms import FORMS, written
from deployguard.formats.gitlab import gitlab
from deployguard.formats.junit import junit
from deployguard.formats.marks import marked
from deployguard.formats.report import CheckReport
from deployguard.formats.sarif import sarif
from deployguard.model import Opacity, Opaque, Risk, Statement
from deployguard.rules import BOOK, Rule
from tests.formats.reports import (
    ACCEPTED,
    CRITICAL,
    NOTHING,
    PATH,
    finding,
    many,
    report,
    verdict,
)

SCHEMA = json.loads(
    (Path(__file__).parent / "vendored" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8")
)
EVERY_RULE = report(verdict(Risk.CRITICAL, *(finding(one.risk, one.code) for one in BOOK)))


def log(of: CheckReport, prefix: str = "") -> Any:
    document = json.loads(sarif(of, prefix))
    jsonschema.Draft4Validator(SCHEMA).validate(document)
    return document["runs"][0]


@pytest.mark.parametrize(
    "of", [CRITICAL, NOTHING, ACCEPTED, EVERY_RULE, many(40)], ids=lambda one: "report"
)
def test_sarif_is_valid(of: CheckReport) -> None:
    run = log(of)
    rules = run["tool"]["driver"]["rules"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_the_vendored_schema_refuses_what_is_wrong() -> None:
    document = json.loads(sarif(CRITICAL))
    document["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(document)


def test_sarif_says_where_how_bad_and_what_instead() -> None:
    [result] = log(CRITICAL, "services/api")["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == f"services/api/{PATH}"
    assert place["region"]["startLine"] == 16
    assert result["level"] == "error"
    assert "Instead: Stop using the column" in result["message"]["text"]
    assert result["properties"]["level"] == "critical"


@pytest.mark.parametrize(
    ("risk", "level"),
    [(Risk.CRITICAL, "error"), (Risk.HIGH, "error"), (Risk.MEDIUM, "warning"), (Risk.LOW, "note")],
)
def test_sarif_levels(risk: Risk, level: str) -> None:
    assert log(report(verdict(risk, finding(risk))))["results"][0]["level"] == level


def test_sarif_rules_help() -> None:
    [rule] = log(CRITICAL)["tool"]["driver"]["rules"]
    assert (rule["id"], rule["name"]) == ("DG102", "DropColumn")
    assert "Instead (for an example):" in rule["help"]["text"]
    assert 'op.drop_column("orders", "note")' in rule["help"]["text"]
    assert "```" in rule["help"]["markdown"]


@pytest.mark.parametrize("rule", BOOK, ids=lambda rule: rule.code)
def test_no_rules_help_shows_a_template(rule: Rule) -> None:
    [described] = log(report(verdict(rule.risk, finding(rule.risk, rule.code))))["tool"]["driver"][
        "rules"
    ]
    for form in ("text", "markdown"):
        assert not re.search(r"\{\w+\}", described["help"][form])


def test_a_message_ends_before_the_reason_begins() -> None:
    bare = finding(message="It reads guests while it runs", why="Rows decide.")
    shown = report(verdict(Risk.CRITICAL, bare))
    [issue] = json.loads(gitlab(shown))
    assert issue["description"] == "It reads guests while it runs. Rows decide."
    assert 'message="It reads guests while it runs."' in junit(shown)
    assert log(shown)["results"][0]["message"]["text"].startswith("It reads guests while it runs.")


def test_what_is_accepted_is_suppressed_with_its_reason() -> None:
    results = {one["ruleId"]: one for one in log(ACCEPTED)["results"]}
    [inside] = results["DG102"]["suppressions"]
    assert (inside["kind"], inside["status"]) == ("inSource", "accepted")
    assert inside["justification"] == f"nobody has a fax ({PATH}:15)"
    assert results["DG301"]["suppressions"][0]["kind"] == "external"
    assert results["DG201"]["suppressions"] == []
    run = log(ACCEPTED)
    assert run["properties"]["level"] == "medium"
    assert run["properties"]["levelWithAccepted"] == "critical"


def test_a_finding_without_a_line_is_on_the_first() -> None:
    whole = report(verdict(Risk.LOW, finding(Risk.LOW, "DG601", line=0)))
    region = log(whole)["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region["startLine"] == 1
    assert json.loads(gitlab(whole))[0]["location"]["lines"]["begin"] == 1


def marks(of: CheckReport) -> list[str]:
    return [mark for _, _, mark in marked(of)]


def with_sql(line: int, sql: str, *opacities: Opacity) -> CheckReport:
    one = verdict(Risk.CRITICAL, finding(line=line))
    up = replace(one.revision.up, statements=(Statement(sql, line, ()),), opacities=opacities)
    return report(replace(one, revision=replace(one.revision, up=up)))


def test_a_fingerprint_stays_when_lines_and_sentences_move() -> None:
    drop = "ALTER TABLE guests DROP COLUMN fax"
    assert marks(with_sql(16, drop)) == marks(with_sql(90, drop))
    assert marks(with_sql(16, drop)) != marks(with_sql(16, "ALTER TABLE guests DROP COLUMN a"))
    clock = Opacity(Opaque.EXTERNAL_INPUT, 16, "the clock")
    assert marks(with_sql(16, "A", clock)) == marks(with_sql(16, "B", clock))


def test_findings_alike_have_marks_of_their_own() -> None:
    twice = report(verdict(Risk.CRITICAL, finding(), finding(message="again"), finding(line=0)))
    assert len(set(marks(twice))) == 3


def test_gitlab_has_what_a_merge_request_shows() -> None:
    [issue] = json.loads(gitlab(CRITICAL, "services/api"))
    assert issue["description"].startswith("Drops the column guests.fax. Its values are gone")
    assert (issue["check_name"], issue["severity"]) == ("DG102", "blocker")
    assert issue["location"] == {"path": f"services/api/{PATH}", "lines": {"begin": 16}}
    assert len(issue["fingerprint"]) == 64
    assert json.loads(gitlab(NOTHING)) == []


def test_gitlab_shows_what_is_accepted_as_information_and_last() -> None:
    issues = json.loads(gitlab(ACCEPTED))
    assert [one["severity"] for one in issues] == ["major", "info", "info"]
    assert f"Accepted: nobody has a fax ({PATH}:15)" in issues[1]["description"]


def suite(of: CheckReport) -> ET.Element:
    found = ET.fromstring(junit(of)).find("testsuite")
    assert found is not None
    return found


def test_junit_has_one_case_a_revision_that_fails_from_the_level_on() -> None:
    of = replace(many(20), fail_on=Risk.CRITICAL)
    found = suite(of)
    cases = found.findall("testcase")
    assert (found.get("tests"), found.get("failures"), len(cases)) == ("20", "2", 20)
    failed = [case for case in cases if case.find("failure") is not None]
    assert [case.get("name") for case in failed] == ["b009 Drop fax", "b019 Drop fax"]
    failure = failed[0].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == (
        "critical",
        "Drops the column guests.c9.",
    )
    assert "Instead: Stop using the column" in (failure.text or "")


def test_junit_passes_what_is_accepted_and_tells_it() -> None:
    [case] = suite(ACCEPTED).findall("testcase")
    assert case.find("failure") is None
    assert f"Accepted: nobody has a fax ({PATH}:15)" in (case.findtext("system-out") or "")
    assert suite(NOTHING).get("tests") == "0"


def test_junit_fails_exactly_when_check_does() -> None:
    quiet = replace(report(verdict(Risk.LOW)), fail_on=Risk.LOW)
    assert quiet.failed
    assert suite(quiet).get("failures") == "1"


def test_every_form_is_written_and_no_other() -> None:
    assert all(written(form, CRITICAL) for form in FORMS)
    with pytest.raises(ValueError, match="pdf"):
        written("pdf", CRITICAL)
