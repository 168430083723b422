"""What the text of a revision shows, statement by statement, without running it."""

from __future__ import annotations

import sys
import textwrap

import pytest

from deployguard.model import Body
from deployguard.revisions.features import FunctionFeatures, read_features

STANDARD = frozenset(sys.stdlib_module_names) | {"alembic", "sqlalchemy"}
HEAD = """\
import datetime
import os
import sqlalchemy as sa
from alembic import op
from sqlalchemy import update
from sqlalchemy.orm import Session
from shop.data import fill
from shop import data
"""


def upgrade(body: str, head: str = "") -> FunctionFeatures:
    """The features of an upgrade whose body begins on line 10."""
    source = (
        HEAD
        + "def upgrade():\n"
        + textwrap.indent(textwrap.dedent(body).strip("\n"), "    ")
        + "\n"
    )
    return read_features(source + textwrap.dedent(head), STANDARD).upgrade


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("pass", Body.EMPTY),
        ("...", Body.EMPTY),
        ('"""Nothing."""', Body.EMPTY),
        ("return", Body.EMPTY),
        ("print('x')\npass", Body.EMPTY),
        ("raise NotImplementedError", Body.RAISES),
        ('"""No."""\nraise RuntimeError("no")', Body.RAISES),
        ("op.drop_table('t')", Body.PRESENT),
        ("if x:\n    raise E", Body.PRESENT),
    ],
)
def test_bodies(body: str, expected: Body) -> None:
    assert upgrade(body).body is expected


@pytest.mark.parametrize(
    "body",
    [
        'op.execute("UPDATE t SET a = 1")',
        'op.execute("update t as x set a = 1")',
        'op.execute(sa.text("delete from t"))',
        'op.execute("-- why\\nINSERT INTO t VALUES (1)")',
        'op.execute(f"UPDATE {table} SET a = 1")',
        'op.execute("UPDATE " + table + " SET a = 1")',
        'op.execute("WITH x AS (SELECT 1) DELETE FROM t USING x")',
        'op.execute("SELECT 1; MERGE INTO t USING u ON a = b")',
        'op.execute("TRUNCATE t")',
        "op.bulk_insert(t, rows)",
        "op.execute(t.update().values(a=1))",
        "op.execute(update(t).values(a=1))",
        "op.execute(sa.delete(t))",
        "bind.execute(t.insert(), rows)",
        "session = Session(bind=op.get_bind())\nsession.add(thing)",
        "s = Session(op.get_bind())\nthing.a = 1\ns.commit()",
        "with Session(op.get_bind()) as db:\n    db.merge(thing)",
        "session.query(T).filter(x).update({T.a: 1})",
        "s = Session(op.get_bind())\ns.query(T).delete()",
    ],
)
def test_changes_of_rows_are_seen(body: str) -> None:
    assert len(upgrade(body).writes) >= 1


@pytest.mark.parametrize(
    "body",
    [
        '"""Update the totals of every order; delete from nothing."""\nop.drop_table("t")',
        'op.execute("ALTER TABLE t ADD COLUMN updated int")',
        'op.execute("CREATE TRIGGER x BEFORE UPDATE ON t")',
        "items.insert(0, x)\nvalues.update(a=1)\nvalues.update({'a': 1})",
        'op.create_foreign_key("fk", "a", "b", ["x"], ["id"], ondelete="SET NULL")',
        'op.create_table("update", sa.Column("insert", sa.Text))',
        "git.commit('message')",
    ],
)
def test_other_things_are_not_taken_for_changes_of_rows(body: str) -> None:
    assert upgrade(body).writes == ()


def test_a_place_is_the_whole_statement() -> None:
    body = """
        for row in rows:
            bind.execute(
                sa.text("UPDATE t SET a = 1"),
                {"id": row.id},
            )
    """
    (site,) = upgrade(body).writes
    assert (site.line, site.end, site.what) == (11, 14, "update")


def test_functions_of_the_file_that_are_called_count() -> None:
    features = upgrade(
        "step()", "def step():\n    other()\ndef other():\n    op.execute('DELETE FROM t')\n"
    )
    assert [site.what for site in features.writes] == ["delete"]


@pytest.mark.parametrize(
    "loop",
    [
        "for row in bind.execute(query):\n    pass",
        "rows = bind.execute(query).fetchall()\nfor row in rows:\n    pass",
        "for thing in session.query(T).filter(x):\n    pass",
    ],
)
def test_loops_over_results_are_seen(loop: str) -> None:
    assert len(upgrade(loop).loops) == 1


def test_other_loops_are_not() -> None:
    assert upgrade("for name in ('a', 'b'):\n    op.drop_table(name)").loops == ()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("if os.environ.get('X'):\n    pass", "the environment"),
        ("x = os.getenv('X')", "getenv"),
        ("rows = open('x.csv').read()", "open"),
        ("if datetime.datetime.now().year > 2030:\n    op.drop_table('t')", "the clock"),
        ("now = datetime.datetime.now()\nop.rename_table('t', f't_{now}')", "the clock"),
        ("op.rename_table('t', 't_%s' % datetime.date.today())", "the clock"),
        ("import requests\nrequests.get('http://x')", "requests"),
        ("import subprocess\nsubprocess.run(['x'])", "subprocess"),
    ],
)
def test_external_input_is_seen(body: str, what: str) -> None:
    assert [site.what for site in upgrade(body).external] == [what]


@pytest.mark.parametrize(
    "body",
    [
        "op.bulk_insert(t, [{'at': datetime.datetime.now()}])",
        "now = datetime.datetime.now()\nop.execute(t.update().values(at=now))",
        "now = datetime.datetime.now()\nop.execute(f\"UPDATE t SET at = '{now}'\")",
        "op.add_column('t', sa.Column('x', server_default=str(datetime.datetime.utcnow())))",
    ],
)
def test_a_clock_that_only_fills_a_row_is_not_input(body: str) -> None:
    assert upgrade(body).external == ()


@pytest.mark.parametrize(
    ("body", "helper"),
    [
        ("fill(op.get_bind())", "fill"),
        ("'''Words.'''\ndata.load(op)\nfill()", "data.load"),
        ("fill()\nop.drop_table('t')", ""),
        ("op.drop_table('t')", ""),
        ("local()", ""),
    ],
)
def test_a_body_that_only_calls_the_application(body: str, helper: str) -> None:
    assert upgrade(body).helper == helper


def test_an_upgrade_that_is_imported_is_a_helper() -> None:
    found = read_features("from shop.changes import upgrade, downgrade\n", STANDARD)
    assert found.upgrade.helper == "shop.changes.upgrade"
    assert found.application == ("shop.changes",)


def test_a_syntax_error_is_said_with_its_line() -> None:
    found = read_features("x = 1\ndef upgrade(:\n", STANDARD)
    assert found.error_line == 2
    assert found.error == "invalid syntax"  # its line is said beside it
    assert found.upgrade.body is Body.MISSING


@pytest.mark.parametrize(
    "source",
    [
        "def other():\n    op.execute('DELETE FROM t')\nupgrade = other\n",
        "upgrade = lambda: op.execute('DELETE FROM t')\n",
        "class M:\n    def up(self):\n        op.execute('DELETE FROM t')\nupgrade = M().up\n",
    ],
)
def test_an_upgrade_that_is_no_def_is_looked_into(source: str) -> None:
    found = read_features(source, frozenset({"op"})).upgrade
    assert found.body is Body.PRESENT
    assert [site.what for site in found.writes] == ["delete"]


def test_an_upgrade_that_is_a_name_without_a_value_is_missing() -> None:
    assert read_features("upgrade = None\n", frozenset()).upgrade.body is Body.MISSING


@pytest.mark.parametrize(
    ("call", "writes"),
    [
        ("op.bulk_insert(table, [])", 0),
        ("op.bulk_insert(table, rows=[])", 0),
        ('op.bulk_insert(table, [{"a": 1}])', 1),
        ("op.bulk_insert(table, rows)", 1),
    ],
)
def test_no_rows_are_no_write(call: str, writes: int) -> None:
    features = upgrade(call)
    assert len(features.writes) == writes
    assert any(place.acts for place in features.statements) == bool(writes)
