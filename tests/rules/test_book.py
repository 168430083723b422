"""Every rule's own examples are its tests."""

import re

import pytest

from deployguard.model import Risk
from deployguard.operations import Unrecognised
from deployguard.rules import BOOK, FAMILIES, Rule, explain, judge, render_reference
from deployguard.rules.examples import read

BAD = [(entry, example) for entry in BOOK for example in entry.bad]
GOOD = [(entry, example) for entry in BOOK for example in entry.good]


def found(example: str) -> set[str]:
    revisions, facts = read(example)
    return {finding.rule for verdict in judge(revisions, facts) for finding in verdict.findings}


@pytest.mark.parametrize(("entry", "example"), BAD, ids=[f"{e.code}-{x[:50]}" for e, x in BAD])
def test_a_bad_example_yields_its_own_code(entry: Rule, example: str) -> None:
    assert entry.code in found(example)


@pytest.mark.parametrize(("entry", "example"), GOOD, ids=[f"{e.code}-{x[:50]}" for e, x in GOOD])
def test_a_good_example_yields_nothing_from_the_whole_book(entry: Rule, example: str) -> None:
    assert found(example) == set()


@pytest.mark.parametrize(("entry", "example"), BAD + GOOD)
def test_examples_are_sql_that_is_understood(entry: Rule, example: str) -> None:
    revisions, _ = read(example)
    operations = [
        operation
        for revision in revisions
        for statement in revision.up.statements
        for operation in statement.operations
    ]
    unknown = [operation for operation in operations if isinstance(operation, Unrecognised)]
    assert bool(unknown) == (
        entry.code == "DG908" and example in entry.bad and "opaque" not in example
    )


def test_codes_and_names_are_unique_and_in_order() -> None:
    codes = [entry.code for entry in BOOK]
    assert len(set(codes)) == len(codes)
    assert codes == sorted(codes)
    assert len({entry.name for entry in BOOK}) == len(BOOK)


@pytest.mark.parametrize("entry", BOOK, ids=[entry.code for entry in BOOK])
def test_every_rule_says_what_it_is_about(entry: Rule) -> None:
    assert re.fullmatch(r"DG[1-9]\d\d", entry.code)
    assert entry.bad
    assert entry.good
    assert entry.effect.endswith((".", "!"))
    assert entry.instead
    assert explain(entry.code) is entry is explain(entry.name)


@pytest.mark.parametrize("entry", BOOK, ids=[entry.code for entry in BOOK])
def test_findings_are_complete_and_name_what_they_are_about(entry: Rule) -> None:
    for example in entry.bad:
        revisions, facts = read(example)
        for verdict in judge(revisions, facts):
            for finding in verdict.findings:
                assert finding.message.strip()
                assert finding.why
                assert finding.instead
                assert "<" not in finding.message
                assert finding.path == verdict.revision.path
                assert finding.line > 0


def test_the_level_is_the_worst_finding_and_low_without_one() -> None:
    revisions, facts = read("ALTER TABLE t ADD COLUMN a int")
    assert judge(revisions, facts)[0].risk is Risk.LOW
    revisions, facts = read("CREATE INDEX i ON t (a); DROP TABLE u")
    assert judge(revisions, facts)[0].risk is Risk.CRITICAL


def test_an_unknown_code_is_not_explained() -> None:
    assert explain("DG000") is None


def test_the_reference_has_an_anchor_for_every_rule() -> None:
    text = render_reference()
    assert all(f'<a id="{entry.code.lower()}"></a>' in text for entry in BOOK)
    assert all(f"## {title}" in text for title, _ in FAMILIES)
