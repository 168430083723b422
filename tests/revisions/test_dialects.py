"""Branches that the dialect's name decides are taken or left out when the source is read."""

from __future__ import annotations

import ast
import sys
import textwrap

import pytest

from deployguard.model import Body
from deployguard.revisions.dialects import prune
from deployguard.revisions.features import read_features

STANDARD = frozenset(sys.stdlib_module_names) | {"alembic", "sqlalchemy"}


def left(body: str, dialect: str, head: str = "") -> str:
    source = head + "def upgrade():\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")
    function = prune(ast.parse(source), dialect).body[-1]
    assert isinstance(function, ast.FunctionDef)
    return "; ".join(ast.unparse(statement) for statement in function.body)


@pytest.mark.parametrize(
    ("condition", "holds_on"),
    [
        ("op.get_bind().dialect.name == 'postgresql'", {"postgresql"}),
        ("'postgresql' == op.get_context().dialect.name", {"postgresql"}),
        ("op.get_bind().engine.name != 'sqlite'", {"postgresql"}),
        ("bind.dialect.name in ('sqlite', 'mysql')", {"sqlite"}),
        ("bind.dialect.name not in ['sqlite']", {"postgresql"}),
        ("not bind.dialect.name == 'sqlite'", {"postgresql"}),
        ("bind.dialect.name.startswith('postgres')", {"postgresql"}),
        ("bind.dialect.name == 'sqlite' or unknown()", {"sqlite", "?postgresql"}),
        ("bind.dialect.name == 'sqlite' and unknown()", {"?sqlite"}),
        ("unknown()", {"?sqlite", "?postgresql"}),
        ("other.name == 'sqlite'", {"?sqlite", "?postgresql"}),
        ("bind.dialect.name < 'q'", {"?sqlite", "?postgresql"}),
    ],
)
def test_a_condition_on_the_dialect_is_decided_and_no_other(
    condition: str, holds_on: set[str]
) -> None:
    for dialect in ("sqlite", "postgresql"):
        found = left(f"if {condition}:\n    one()\nelse:\n    two()", dialect)
        if f"?{dialect}" in holds_on:
            assert found.startswith("if ")
        else:
            assert found == ("one()" if dialect in holds_on else "two()")


def test_names_and_functions_that_stand_for_the_dialect_are_followed() -> None:
    body = """
        dialect = op.get_bind().dialect
        name = dialect.name
        on_server = name == "postgresql"
        if on_server and is_server():
            one()
    """
    head = "def is_server():\n    return op.get_bind().dialect.name == 'postgresql'\n"
    assert left(body, "postgresql", head).endswith("; one()")
    assert "one()" not in left(body, "sqlite", head)


def test_a_name_that_is_given_two_values_decides_nothing() -> None:
    body = """
        name = op.get_bind().dialect.name
        for name in names:
            if name == "sqlite":
                one()
    """
    assert "one()" in left(body, "postgresql")


def test_names_that_stand_for_each_other_end() -> None:
    assert "one()" in left("a = b\nb = a\nif a == 'sqlite':\n    one()", "postgresql")


def test_what_comes_after_an_early_return_does_not_run() -> None:
    body = """
        if op.get_bind().dialect.name != "postgresql":
            return
        op.execute("UPDATE t SET a = 1")
    """
    source = "def upgrade():\n" + textwrap.indent(textwrap.dedent(body).strip(), "    ")
    there, here = (
        read_features(source, STANDARD, name).upgrade for name in ("postgresql", "sqlite")
    )
    assert (there.body, len(there.writes)) == (Body.PRESENT, 1)
    assert (here.body, here.writes) == (Body.EMPTY, ())
    assert read_features(source, STANDARD).upgrade.writes == there.writes


def test_branches_inside_other_statements_are_decided() -> None:
    body = """
        with op.batch_alter_table("t") as batch:
            if op.get_bind().dialect.name == "sqlite":
                batch.drop_column("a")
    """
    assert left(body, "postgresql") == "with op.batch_alter_table('t') as batch:\n    pass"
