"""Whatever text a project holds, each form stays what it is: no crash, no steering of a terminal, no broken document."""

import json
import re
from dataclasses import replace
from xml.etree import ElementTree as ET

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployguard.formats import check_document, text
from deployguard.formats.forms import written
from deployguard.formats.github import github
from deployguard.formats.markdown import COMMENT, markdown
from deployguard.formats.report import CheckReport
from deployguard.model import Lock, Risk, Statement, Undo, Way
from tests.formats.reports import finding, report, verdict
from tests.formats.test_code_hosts import SCHEMA
from tests.formats.test_document import CHECK_SCHEMA

NASTY = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from("\x00\x07\x1b[]2J\r\n\t\u202e\u200b\ufffe\ud800`|<>&\"'%:,*_#@-=\\~$"),
    ),
    max_size=60,
)
STEERS = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@st.composite
def odd_reports(draw: st.DrawFn) -> CheckReport:
    risk = draw(st.sampled_from(Risk))
    found = replace(
        finding(risk, draw(st.sampled_from(("DG102", "DG201", "DG901")))),
        message=draw(NASTY),
        why=draw(NASTY),
        instead=draw(NASTY),
        path=draw(NASTY),
        line=draw(st.integers(0, 9)),
        accepted=draw(st.one_of(st.just(""), NASTY)),
        accepted_at=draw(NASTY),
    )
    one = verdict(risk, found, message=draw(NASTY))
    up = replace(one.revision.up, statements=(Statement(draw(NASTY), found.line, ()),))
    revision = replace(one.revision, id=draw(NASTY), path=found.path, up=up)
    one = replace(
        one,
        revision=revision,
        locks=(Lock(draw(NASTY), "SHARE", "writes", "scan", 3.5, draw(NASTY)),),
        undo=Undo(draw(st.sampled_from(Way)), draw(NASTY)),
    )
    made = report(one, show_sql=draw(st.booleans()))
    plan = replace(made.plan, notes=(draw(NASTY),), environment=draw(NASTY), target=draw(NASTY))
    return replace(made, plan=plan, next_commands=(draw(NASTY),))


@given(odd_reports(), st.integers(40, 200))
def test_the_terminal_cannot_be_steered(of: CheckReport, width: int) -> None:
    assert not STEERS.search(text(of, width))


@given(odd_reports())
def test_sarif_stays_valid(of: CheckReport) -> None:
    document = json.loads(written("sarif", of))
    jsonschema.Draft4Validator(SCHEMA).validate(document)
    json.dumps(document, ensure_ascii=False).encode()  # no half characters


@given(odd_reports())
def test_json_and_gitlab_parse(of: CheckReport) -> None:
    jsonschema.Draft202012Validator(CHECK_SCHEMA).validate(json.loads(written("json", of)))
    [issue] = json.loads(written("gitlab", of))
    assert not STEERS.search(issue["description"] + issue["location"]["path"])
    assert check_document(of)


@given(odd_reports())
def test_junit_parses(of: CheckReport) -> None:
    document = written("junit", of)
    root = ET.fromstring(document.encode("utf-8"))
    assert len(root.findall("testsuite/testcase")) == 1


@given(odd_reports())
def test_markdown_is_not_steered_and_fits(of: CheckReport) -> None:
    shown = markdown(of)
    assert not STEERS.search(shown)
    assert len(shown) <= COMMENT
    shown.encode()


@given(odd_reports())
def test_a_job_gets_no_command_but_ours(of: CheckReport) -> None:
    lines = github(of, "services").splitlines()
    commands = [line for line in lines if line.startswith("::") or "##[" in line]
    assert len(commands) == 1
    assert re.match(r"::(error|warning|notice) title=DG\d{3} ", commands[0])


@pytest.mark.parametrize("form", ["json", "sarif", "gitlab", "junit", "markdown", "github", "text"])
@settings(max_examples=20)
@given(of=odd_reports())
def test_every_form_can_be_saved_as_utf8(form: str, of: CheckReport) -> None:
    written(form, of).encode("utf-8")
