"""No text whatsoever may make lower() raise or pass over a statement in silence."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from deployguard.operations import Operation, Unrecognised
from deployguard.sql import glot, lower, postgres
from deployguard.sql.source import Source
from deployguard.sql.split import split
from deployguard.sql.tokens import tokenize
from tests.sql.statements import WRITTEN

DIALECTS = ("postgresql", "sqlite", "mysql", "mssql", "unheard-of")


def check(text: str, dialect: str) -> None:
    read = lower(text, dialect)
    for statement, operations in read:
        assert statement in text
        assert operations
        assert all(isinstance(operation, Operation.__args__) for operation in operations)
    # Whatever is neither a comment nor a semicolon belongs to a statement.
    if any(token.text != ";" for token in tokenize(text, dialect)):
        assert read


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """A known statement with pieces deleted, doubled, swapped, quoted or cut out of another one."""
    words = draw(st.sampled_from(WRITTEN)).split(" ")
    shuffle = random.Random(draw(st.integers(0, 2**32)))
    for _ in range(draw(st.integers(1, 6))):
        at = shuffle.randrange(len(words) + 1)
        match shuffle.randrange(6):
            case 0:
                del words[at : at + 1]
            case 1:
                words[at:at] = words[at : at + 2]
            case 2:
                words.insert(
                    at,
                    shuffle.choice(
                        ["'", '"', "$$", "(", ")", ";", "--", "/*", "*/", ",", "%s", "\0", "é"]
                    ),
                )
            case 3:
                words[at:at] = shuffle.choice(WRITTEN).split(" ")[:3]
            case 4:
                shuffle.shuffle(words)
            case _:
                words.insert(at, "(" * shuffle.randrange(1, 300))
    return " ".join(words)


@settings(max_examples=400, deadline=None)
@given(mutated(), st.sampled_from(DIALECTS))
def test_mutated_sql_is_read_or_refused(text: str, dialect: str) -> None:
    check(text, dialect)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.sampled_from(DIALECTS))
def test_any_text_is_read_or_refused(text: str, dialect: str) -> None:
    check(text, dialect)


def test_deep_nesting_is_refused_not_crashed_on() -> None:
    for dialect in DIALECTS:
        for deep in (200, 4_000):
            check("SELECT " + "(" * deep + "1" + ")" * deep, dialect)
            check("SELECT " + "- " * deep + "1", dialect)
            check("SELECT " + "NOT " * deep + "true", dialect)


@settings(max_examples=300, deadline=None)
@given(mutated())
def test_the_two_readers_agree_on_whatever_both_understand(text: str) -> None:
    for statement in split(text, "postgresql"):
        source = Source.of(statement, "postgresql")
        first, second = glot.lower(source), postgres.lower(source)
        rejected = any(isinstance(operation, Unrecognised) for operation in second)
        assert first is None or rejected or first == second


def test_what_postgresql_rejects_is_refused_even_where_sqlglot_reads_it() -> None:
    text = "ALTER TABLE t ADD COLUMN c PRIMARY KEY"
    assert glot.lower(Source.of(text, "postgresql")) is not None
    ((_, operations),) = lower(text, "postgresql")
    assert isinstance(operations[0], Unrecognised)


def test_where_the_two_readers_differ_the_statement_is_refused() -> None:
    text = "CREATE TABLE t\u00a0(a int)"  # to PostgreSQL the space is a part of the name
    source = Source.of(text, "postgresql")
    assert glot.lower(source) not in (None, postgres.lower(source))
    ((_, operations),) = lower(text, "postgresql")
    assert isinstance(operations[0], Unrecognised)
