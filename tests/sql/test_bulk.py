"""An INSERT of very many rows is read by its first one, and only where the others can hold nothing else."""

from functools import partial

import pytest

from deployguard.operations import Procedural, Unrecognised, WriteRows
from deployguard.sql import lower
from tests.support.calls import calls

ROWS = ", ".join(f"({number}, 'it''s; -- x', NULL, -1.5, true)" for number in range(1_000))


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite", "mysql"])
def test_a_long_insert_says_the_same_as_a_short_one(dialect: str) -> None:
    for tail in ("", " ON CONFLICT DO NOTHING" if dialect != "mysql" else ""):
        short = f"INSERT INTO t (a, b, c, d, e) VALUES (1, 'x', NULL, -1.5, true){tail}"
        long = f"INSERT INTO t (a, b, c, d, e) VALUES {ROWS}{tail}"
        assert lower(long, dialect) == ((long, lower(short, dialect)[0][1]),)


def test_what_stands_behind_the_rows_counts() -> None:
    text = f"INSERT INTO t VALUES {ROWS} ON CONFLICT (a) DO UPDATE SET b = 1"
    assert lower(text, "postgresql")[0][1] == (WriteRows("t", "merge"),)
    broken = f"INSERT INTO t VALUES {ROWS} FROBNICATE"
    assert isinstance(lower(broken, "postgresql")[0][1][0], Unrecognised)
    two = lower(f"INSERT INTO t VALUES {ROWS}; DROP TABLE t", "postgresql")
    assert [text[:6] for text, _ in two] == ["INSERT", "DROP T"]


def test_a_call_in_a_late_row_is_seen() -> None:
    for dialect in ("postgresql", "sqlite"):
        text = f"INSERT INTO t (a) VALUES {ROWS}, (1, 'x', NULL, my_function(), true)"
        operations = lower(text, dialect)[0][1]
        assert any(isinstance(one, Procedural) for one in operations)


def test_only_the_first_row_is_parsed() -> None:
    plain = f"INSERT INTO t VALUES {ROWS}"
    with_a_call = f"{plain}, (my_function())"
    cheap, dear = (calls(partial(lower, text, "postgresql")) for text in (plain, with_a_call))
    assert cheap < dear / 3
