"""sqlglot and PostgreSQL's own grammar must lower a statement to the same operations where both know it."""

import pytest

from deployguard.operations import Unrecognised
from deployguard.sql import glot, lower, postgres
from deployguard.sql.source import Source
from tests.sql.statements import ALL, WRITTEN


def both(statement: str) -> tuple[object, object]:
    source = Source.of(statement, "postgresql")
    return glot.lower(source), postgres.lower(source)


@pytest.mark.parametrize("statement", WRITTEN)
def test_written_statements_are_lowered_alike(statement: str) -> None:
    first, second = both(statement)
    if first is not None:
        assert first == second


@pytest.mark.parametrize("statement", WRITTEN)
def test_every_statement_is_understood_by_one_of_them(statement: str) -> None:
    ((_, operations),) = lower(statement, "postgresql")
    assert operations
    assert not any(isinstance(operation, Unrecognised) for operation in operations)


def test_combined_statements_are_lowered_alike() -> None:
    different = [(text, *both(text)) for text in ALL if both(text)[0] not in (None, both(text)[1])]
    assert not different


def test_the_comparison_is_not_empty() -> None:
    understood = sum(both(statement)[0] is not None for statement in ALL)
    assert len(ALL) > 700
    assert understood / len(ALL) > 0.75
