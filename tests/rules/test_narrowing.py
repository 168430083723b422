"""What a type change does to a value that hardly fits: each claim is what a real server does."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from deployguard.rules.narrowing import Narrowing, misfits, narrowing
from deployguard.rules.types import plain_cast
from tests.support import postgres

# (old type, a value at its edge, new type, with USING c::type?, what happens)
CHANGES = (
    ("varchar(20)", "'abcdefghijklmnop'", "varchar(10)", False, Narrowing.FAILS),
    ("varchar(20)", "'abcdefghijklmnop'", "varchar(10)", True, Narrowing.LOSES),
    ("varchar(20)", "'abcdefghijklmnopqrst'", "varchar(30)", False, Narrowing.NONE),
    ("varchar(20)", "'abcdefghijklmnopqrst'", "text", False, Narrowing.NONE),
    ("text", "'abcdefghijklmnop'", "varchar(10)", False, Narrowing.FAILS),
    ("text", "'abcdefghijklmnop'", "varchar", False, Narrowing.NONE),
    ("char(8)", "'abcdefgh'", "char(4)", False, Narrowing.FAILS),
    ("char(8)", "'abcdefgh'", "char(4)", True, Narrowing.LOSES),
    ("uuid", "gen_random_uuid()", "varchar(36)", False, Narrowing.NONE),
    ("uuid", "gen_random_uuid()", "varchar(20)", False, Narrowing.FAILS),
    ("integer", "-2147483648", "varchar(11)", False, Narrowing.NONE),
    ("integer", "-2147483648", "varchar(10)", False, Narrowing.FAILS),
    ("bigint", "9223372036854775807", "integer", False, Narrowing.FAILS),
    ("bigint", "9223372036854775807", "integer", True, Narrowing.FAILS),
    ("integer", "2147483647", "smallint", False, Narrowing.FAILS),
    ("smallint", "32767", "bigint", False, Narrowing.NONE),
    ("integer", "2147483647", "numeric(10,0)", False, Narrowing.NONE),
    ("integer", "2147483647", "numeric(10,2)", False, Narrowing.FAILS),
    ("bigint", "9223372036854775807", "numeric", False, Narrowing.NONE),
    ("bigint", "9223372036854775807", "double precision", False, Narrowing.LOSES),
    ("integer", "2147483647", "real", False, Narrowing.LOSES),
    ("integer", "2147483647", "double precision", False, Narrowing.NONE),
    ("integer", "5", "boolean", True, Narrowing.LOSES),
    ("boolean", "true", "integer", True, Narrowing.NONE),
    ("numeric(10,4)", "1.2345", "numeric(10,2)", False, Narrowing.LOSES),
    ("numeric(10,2)", "12345678.90", "numeric(8,2)", False, Narrowing.FAILS),
    ("numeric(8,2)", "123456.78", "numeric(12,2)", False, Narrowing.NONE),
    ("numeric", "1.23456", "numeric(10,2)", False, Narrowing.LOSES),
    ("numeric(8,2)", "123456.78", "numeric", False, Narrowing.NONE),
    ("numeric(10,2)", "1.50", "integer", False, Narrowing.LOSES),
    ("numeric(20,10)", "1234567890.0123456789", "double precision", False, Narrowing.LOSES),
    ("double precision", "1.23456789012", "real", False, Narrowing.LOSES),
    ("real", "1.5", "double precision", False, Narrowing.NONE),
    ("double precision", "1.5", "bigint", False, Narrowing.LOSES),
    ("double precision", "1.2345", "numeric(10,2)", False, Narrowing.LOSES),
    ("timestamptz", "'2026-01-02 03:04:05+00'", "date", False, Narrowing.LOSES),
    ("timestamp", "'2026-01-02 03:04:05'", "date", False, Narrowing.LOSES),
    ("timestamp", "'2026-01-02 03:04:05'", "time", False, Narrowing.LOSES),
    ("timestamp", "'2026-01-02 03:04:05.678901'", "timestamp(3)", False, Narrowing.LOSES),
    ("timestamp(3)", "'2026-01-02 03:04:05.678'", "timestamp(6)", False, Narrowing.NONE),
    ("timestamp", "'2026-01-02 03:04:05.678901'", "timestamp(6)", False, Narrowing.NONE),
    ("date", "'2026-01-02'", "timestamp", False, Narrowing.NONE),
    ("text", "'many'", "integer", True, Narrowing.FAILS),
    ("text", "'no date'", "date", True, Narrowing.FAILS),
    ("varchar(36)", "'no uuid'", "uuid", True, Narrowing.FAILS),
    ("text", "'maybe'", "boolean", True, Narrowing.FAILS),
    ("text", "'no json'", "jsonb", True, Narrowing.FAILS),
    ("text", "'none'", "mood", True, Narrowing.FAILS),
    ("mood", "'ok'", "text", True, Narrowing.NONE),
    ("feeling", "'bad'", "mood", True, Narrowing.FAILS),
    ("json", "'[1]'", "jsonb", False, Narrowing.NONE),
    ("inet", "'10.0.0.1/8'", "cidr", True, Narrowing.LOSES),
    ("cidr", "'10.0.0.0/8'", "inet", False, Narrowing.NONE),
    ("varbit(8)", "B'11111111'", "varbit(4)", False, Narrowing.FAILS),
    ("integer[]", "'{1,2}'", "text", True, Narrowing.NONE),
    ("integer[]", "'{1,2}'", "integer", True, Narrowing.FAILS),
)


@pytest.fixture(scope="module", params=[tree.version for tree in postgres.trees()])
def link(
    request: pytest.FixtureRequest, postgres_pool: postgres.Pool
) -> Iterator[psycopg.Connection]:
    server = postgres_pool(request.param)
    name = f"narrow_{server.version}"
    with psycopg.connect(server.create_database(name)) as connection:
        connection.execute("CREATE TYPE mood AS ENUM ('ok'); CREATE TYPE feeling AS ENUM ('bad')")
        connection.commit()
        yield connection
    server.drop_database(name)


def happens(link: psycopg.Connection, old: str, value: str, new: str, *, using: bool) -> Narrowing:
    """What the server makes of the value: refused, another one, or the same (read in the old type)."""
    cast = f"c::text::{new}" if old == "feeling" else f"c::{new}"
    back = f"c::text::{old}::text = w::text"
    if "time" in {old, new}:  # a time of day becomes no date again: then the text tells
        back = "trim(c::text) = trim(w::text)"
    elif "boolean" in {old, new}:
        back = "c::int = w::int"
    elif new in {"real", "double precision"}:
        back = "c::numeric = w::numeric"
    try:
        link.execute(f"CREATE TABLE t (c {old})")
        link.execute(f"INSERT INTO t SELECT ({value})::{old}")
        link.execute("CREATE TABLE was AS SELECT c AS w FROM t")
        link.execute(f"ALTER TABLE t ALTER c TYPE {new}" + (f" USING {cast}" if using else ""))
        same = link.execute(f"SELECT {back} FROM t, was").fetchone()
    except psycopg.Error:
        return Narrowing.FAILS
    else:
        return Narrowing.NONE if same == (True,) else Narrowing.LOSES
    finally:
        link.rollback()


@pytest.mark.parametrize("change", CHANGES, ids=[f"{c[0]} to {c[2]}" for c in CHANGES])
def test_the_claim_is_what_the_server_does(
    link: psycopg.Connection, change: tuple[str, str, str, bool, Narrowing]
) -> None:
    old, value, new, using, expected = change
    text = f"c::{new}" if using else ""
    assert narrowing(old, new, text, "c") is expected
    assert happens(link, old, value, new, using=using) is expected


def test_nothing_is_claimed_of_an_unknown_type_or_an_expression() -> None:
    assert narrowing(None, "smallint") is Narrowing.NONE
    assert narrowing("bigint", "int", "least(c, 5)::int", "c") is Narrowing.NONE
    assert narrowing("bigint", "int", "0", "c") is Narrowing.LOSES
    assert narrowing("bigint", "int", "other.cc", "c") is Narrowing.LOSES


@pytest.mark.parametrize(
    ("old", "value", "new"),
    [
        ("text", "'abcdef'", "varchar(3)"),
        ("bigint", "99999999999", "integer"),
        ("int", "40000", "smallint"),
    ],
)
def test_the_query_finds_the_values_that_do_not_fit(
    link: psycopg.Connection, old: str, value: str, new: str
) -> None:
    link.execute(f"CREATE TABLE t (c {old})")
    link.execute(f"INSERT INTO t VALUES ({value}), (NULL)")
    found = link.execute(misfits("c", "t", new)).fetchone()
    link.rollback()
    assert found == (1,)


@pytest.mark.parametrize(
    ("using", "column", "plain"),
    [
        ("total::numeric", "total", True),
        ('"Total"::numeric(10, 2)', "total", True),
        ("date::date", "date", True),  # a type that is called as the column is
        ("CAST(date AS date)", "date", True),
        ("(total)::text::integer", "total", True),
        ("total + 1", "total", False),
        ("subtotal::numeric", "total", False),
        ("coalesce(total, 0)::integer", "total", False),
    ],
)
def test_a_cast_of_the_column_alone_is_told_from_an_expression(
    using: str, column: str, plain: bool
) -> None:
    assert plain_cast(using, column) is plain
