"""What the source says that it does, held against what ran: a line that ran may have another half."""

from __future__ import annotations

import textwrap

import pytest

from deployguard.model import Statement
from deployguard.revisions.features import FunctionFeatures, read_features
from deployguard.revisions.guards import steered, unseen, untold

LOOK = "inspector = sa.inspect(op.get_bind())"
STANDARD = frozenset(("sqlalchemy", "alembic"))

# (id, what the upgrade does after it has looked, what ran: "line SQL")
HALF: tuple[tuple[str, str, str], ...] = (
    ("text", 'op.execute("DROP TABLE u" if inspector.has_table("u") else "ANALYZE t")', "5 ANALYZE t"),
    ("name", 'sql = "ANALYZE t"\nif inspector.has_table("u"):\n    sql = "DROP TABLE u"\nop.execute(sql)', "8 ANALYZE t"),
    ("more", 'sql = "ANALYZE t"\nif inspector.has_table("u"):\n    sql += "; DROP TABLE u"\nop.execute(sql)', "8 ANALYZE t"),
    ("filled", 'op.execute(f"DROP TABLE {name}" if inspector.has_table("u") else "ANALYZE t")', "5 ANALYZE t"),
    ("call", 'op.drop_table("u") if inspector.has_table("u") else op.execute("ANALYZE t")', "5 ANALYZE t"),
    ("beside", 'op.execute("ANALYZE t"); inspector.has_table("u") and op.drop_table("u")', "5 ANALYZE t"),
    ("uncalled", 'list(map(op.drop_table, set(inspector.get_table_names()) - {"t"}))', ""),
    ("table", 'if inspector.has_table("u"):\n    sa.Table("u", sa.MetaData()).drop(op.get_bind())', ""),
    ("constant", 'for name in ("t", "u"):\n    if inspector.has_table(name):\n        op.execute(SQL[name])', "7 ANALYZE t"),
    ("helper", 'helper(inspector, "t", "ANALYZE t")\nhelper(inspector, "u", "DROP TABLE u")', "15 ANALYZE t"),
)  # fmt: skip

WHOLE: tuple[tuple[str, str, str], ...] = (
    ("ran", 'if inspector.has_table("t"):\n    op.execute("DROP TABLE t")', "6 DROP TABLE t"),
    ("filled", 'if inspector.has_table("t"):\n    op.execute(f"DROP TABLE {name}")', "6 DROP TABLE t"),
    ("spaced", 'if inspector.has_table("t"):\n    op.execute("""\n        DROP  TABLE\n        t;\n    """)', "6 DROP TABLE t;"),
    ("said", 'if inspector.has_table("t"):\n    log.info("Drop table t")\n    op.drop_table("t")', "7 DROP TABLE t"),
    ("raised", 'if inspector.has_table("u"):\n    raise RuntimeError("Drop table u first")\nop.drop_table("t")', "7 DROP TABLE t"),
    ("permission", 'if inspector.has_table("t"):\n    op.bulk_insert(t, [{"name": "Delete users"}, {"name": "Create user"}])',
     "6 INSERT INTO t (name) VALUES (%(name)s)"),
    ("helper", 'helper(inspector, "t", "DROP TABLE t")', "15 DROP TABLE t"),
    ("elsewhere", 'if op.get_bind().dialect.name == "mysql":\n    op.execute("DROP TABLE u")\ninspector.has_table("t")', ""),
)  # fmt: skip


def features(body: str) -> FunctionFeatures:
    """Those of an upgrade whose body begins on line 5; ``helper`` runs its SQL on line 15 at the latest."""
    lines = textwrap.dedent(body).splitlines()
    inner = [f"    {line}" for line in (*lines, *[""] * (6 - len(lines)))]
    source = [
        "import sqlalchemy as sa",
        'from alembic import op; SQL = {"t": "ANALYZE t", "u": "DROP TABLE u"}',
        "def upgrade():",
        f"    {LOOK}",
        *inner,
        "",
        "",
        "def helper(inspector, name, text):",
        "    if inspector.has_table(name):",
        "        op.execute(text)",
    ]
    return read_features("\n".join(source), STANDARD, "postgresql").upgrade


def ran(text: str) -> tuple[Statement, ...]:
    line, _, sql = text.partition(" ")
    return (Statement(sql, int(line), ()),) if text else ()


@pytest.mark.parametrize(("body", "seen"), [row[1:] for row in HALF], ids=[row[0] for row in HALF])
def test_the_half_that_did_not_run_is_missed(body: str, seen: str) -> None:
    assert unseen(features(body), ran(seen), [], []) is not None


@pytest.mark.parametrize(
    ("body", "seen"), [row[1:] for row in WHOLE], ids=[row[0] for row in WHOLE]
)
def test_nothing_is_missed_where_all_of_it_ran(body: str, seen: str) -> None:
    assert unseen(features(body), ran(seen), [], []) is None


def test_rows_may_decide_on_the_other_half_of_a_line_that_ran() -> None:
    query = 'found = op.get_bind().execute(sa.text("SELECT 1 FROM t")).scalar()\n'
    beside = features(f'{query}op.execute("ANALYZE t"); found and op.drop_table("t")')
    whole = features(f'{query}if found:\n    op.drop_table("t")')

    assert steered(beside, ran("6 ANALYZE t"))
    assert not steered(whole, ran("7 DROP TABLE t"))


@pytest.mark.parametrize(
    ("condition", "known"),
    [
        ('op.get_bind().engine.url.database == "live"', True),
        ('socket.gethostname() == "live"', True),
        ('pathlib.Path("live").exists()', True),
        ("op.get_bind().dialect.server_version_info < (14,)", False),
        ('op.get_bind().scalar(sa.text("SELECT current_user")) == "live"', False),
    ],
)
def test_what_the_target_may_do_otherwise_is_told(condition: str, *, known: bool) -> None:
    left_out = features(f'if {condition}:\n    op.drop_table("u")')

    assert untold(left_out, (), [], schema_known=False) == 6
    # The version and the schema are the target's own where it was asked; its name is never known here.
    assert (untold(left_out, (), [], schema_known=True) == 6) is known
    assert untold(left_out, ran("6 DROP TABLE u"), [], schema_known=False) is None


@pytest.mark.parametrize(
    "condition", ["False", 'context.get_x_argument(as_dictionary=True).get("x")']
)
def test_what_the_command_decides_is_decided_as_it_will_be(condition: str) -> None:
    left_out = features(f'if {condition}:\n    op.drop_table("u")')
    assert untold(left_out, (), [], schema_known=False) is None
