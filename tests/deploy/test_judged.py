"""Verdicts are judged once, and again as soon as anything that they go by is another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard import rules
from deployguard.deploy import judged
from deployguard.model import (
    Body,
    Evidence,
    Facts,
    Json,
    Revision,
    Script,
    Statement,
    TableFact,
    Verdict,
)
from deployguard.revisions.store import Store
from deployguard.sql import lower

FACTS = Facts("postgresql", (16, 0), (TableFact("people", 10**6, 10**9),))
CATALOGUE: Json = {
    "dialect": "postgresql",
    "default_schema": "public",
    "tables": [{"schema": "public", "name": "people", "columns": [], "indexes": [{"name": "i"}]}],
}


def revision(sql: str) -> Revision:
    up = tuple(Statement(text, 1, done) for text, done in lower(sql, "postgresql"))
    script = Script(Body.PRESENT, 1, up)
    return Revision("a", (), "a.py", "", "0" * 64, script, Script(Body.MISSING), Evidence.RECORDED)


REVISIONS = (
    revision("CREATE INDEX j ON people (name); ALTER TABLE people DROP COLUMN age; DROP INDEX i"),
)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache", b"s" * 32)


def refuse(*_given: object) -> tuple[Verdict, ...]:
    raise AssertionError("it is judged anew")


def test_kept_verdicts_and_answers_are_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = judged.judge(REVISIONS, FACTS, CATALOGUE, store)
    said = judged.answers(first, store)
    assert first == rules.judge(REVISIONS, rules.enriched(FACTS, CATALOGUE))
    assert said == rules.answers(first)
    monkeypatch.setattr(rules, "judge", refuse)
    monkeypatch.setattr(rules, "answers", refuse)
    assert judged.judge(REVISIONS, FACTS, CATALOGUE, store) == first
    assert judged.answers(first, store) == said


@pytest.mark.parametrize(
    ("revisions", "facts", "catalogue"),
    [
        ((revision("DROP TABLE people"),), FACTS, CATALOGUE),
        ((replace(REVISIONS[0], path="b.py"),), FACTS, CATALOGUE),
        ((), FACTS, CATALOGUE),
        (REVISIONS, replace(FACTS, tables=(TableFact("people", 10**6, 10**8),)), CATALOGUE),
        (REVISIONS, replace(FACTS, server_version=(15, 0)), CATALOGUE),
        (REVISIONS, replace(FACTS, invalid_indexes=frozenset({"i"})), CATALOGUE),
        (REVISIONS, Facts("sqlite"), CATALOGUE),
        (REVISIONS, FACTS, None),
    ],
)
def test_another_case_is_judged_anew(
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    revisions: tuple[Revision, ...],
    facts: Facts,
    catalogue: Json,
) -> None:
    judged.judge(REVISIONS, FACTS, CATALOGUE, store)
    monkeypatch.setattr(rules, "judge", refuse)
    with pytest.raises(AssertionError, match="judged anew"):
        judged.judge(revisions, facts, catalogue, store)


def test_without_a_store_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    judged.judge(REVISIONS, FACTS, CATALOGUE, None)
    monkeypatch.setattr(rules, "judge", refuse)
    with pytest.raises(AssertionError, match="judged anew"):
        judged.judge(REVISIONS, FACTS, CATALOGUE, None)
