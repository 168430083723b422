"""The answers on a revision that makes a routine: it does nothing before it is called."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.config import load
from deployguard.deploy.assess import assess_from
from deployguard.model import Answers
from tests.deploy.real import Small, small

MADE = "op.execute(\"CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'\")"


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Small]:
    with small(tmp_path) as made:
        yield made


def answers(project: Small, up: str) -> Answers:
    project.revision("r2", up, 'op.execute("DROP FUNCTION f()")')
    config = load(None, project.folder)
    environ = {**project.environ(), "DATABASE_URL": "postgresql://x:x@127.0.0.1:1/app"}
    return assess_from(config, config.environment(), environ, "r1").answers


def test_a_routine_that_is_only_made_leaves_nothing_unknown(project: Small) -> None:
    found = answers(project, MADE)
    assert found.drops.startswith("no, ")
    assert found.bulk_data.startswith("no, ")
    assert found.blocks.startswith("no, ")


@pytest.mark.parametrize("call", ["SELECT f()", "DO $$ BEGIN PERFORM f(); END $$"])
def test_one_that_runs_at_once_does(project: Small, call: str) -> None:
    found = answers(project, f"{MADE}\nop.execute({call!r})")
    assert found.drops.startswith("unknown: r2 ")
