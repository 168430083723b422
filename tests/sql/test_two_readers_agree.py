"""sqlglot and PostgreSQL's own grammar must lower a statement to the same operations where both know it."""

import pytest

from deployguard.operations import Operation, Unrecognised
from deployguard.sql import glot, lower, postgres
from deployguard.sql.source import Source
from tests.sql.grammar import generated
from tests.sql.rare import RARE
from tests.sql.statements import ALL, WRITTEN

GENERATED = 3_000


def both(statement: str) -> tuple[tuple[Operation, ...] | None, tuple[Operation, ...]]:
    source = Source.of(statement, "postgresql")
    return glot.lower(source), postgres.lower(source)


@pytest.mark.parametrize("statement", [*WRITTEN, *RARE])
def test_written_statements_are_lowered_alike(statement: str) -> None:
    first, second = both(statement)
    if first is not None:
        assert first == second


@pytest.mark.parametrize("statement", [*WRITTEN, *RARE])
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


def test_generated_statements_are_lowered_alike() -> None:
    """Thousands of statements from the grammar's pieces: where both readers know one, they say the same."""
    known = 0
    different: list[tuple[object, ...]] = []
    refused: list[tuple[object, ...]] = []
    for text in generated(GENERATED):
        first, second = both(text)
        reasons = [one.reason for one in second if isinstance(one, Unrecognised)]
        if any(not reason.startswith("not PostgreSQL: ") for reason in reasons):
            refused.append((text, reasons))
        elif first is not None and not reasons:
            known += 1
            if first != second:
                different.append((text, first, second))
    assert not different
    assert not refused  # what the server's grammar takes, its reader must know
    assert known / GENERATED > 0.6


def test_the_generated_statements_are_the_same_in_each_run() -> None:
    assert generated(50) == generated(50)
    assert len(set(generated(50))) == 50
