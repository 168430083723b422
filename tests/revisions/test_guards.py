"""A look at the schema is a reason to doubt only where something that it may decide was not seen to run."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.model import Opaque
from tests.revisions.projects import chain, named, opaque, reading, sql

TABLE = 'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))'
HEAD = "inspector = sa.inspect(op.get_bind())\n"

NOTHING_UNSEEN = [
    'if "u" not in inspector.get_table_names():\n    op.create_table("u", sa.Column("id", sa.Integer))',
    'if inspector.has_table("t"):\n    op.drop_table("t")',
    (
        'columns = {one["name"] for one in inspector.get_columns("t")}\n'
        'if "x" not in columns:\n    op.add_column("t", sa.Column("x", sa.Text))'
    ),
    'if inspector.has_table("u"):\n    return\nop.drop_column("t", "n")',
    'if not inspector.has_table("t"):\n    print("nothing to do")\n    return\nop.drop_column("t", "n")',
    (
        'missing = [c for c in ("x", "y") if c not in {k["name"] for k in inspector.get_columns("t")}]\n'
        'if missing:\n    op.add_column("t", sa.Column("x", sa.Text))'
    ),
    'has = False\nif inspector.has_table("t"):\n    has = True\nif has:\n    op.drop_table("t")',
    (
        'with op.batch_alter_table("t") as batch:\n    batch.add_column(sa.Column("x", sa.Text))\n'
        "inspector.get_columns('t')"
    ),
    "table = sa.Table('t', sa.MetaData(), autoload_with=op.get_bind())\nop.execute(table.delete())",
    "meta = sa.MetaData()\nsa.Table('z', meta, sa.Column('id', sa.Integer))\nmeta.create_all(op.get_bind())",
    "sa.Table('z', sa.MetaData(), sa.Column('id', sa.Integer)).create(op.get_bind(), checkfirst=True)",
    (
        "if op.get_bind().execute(sa.text(\"SELECT 1 FROM information_schema.columns WHERE table_name = 't' AND "
        'column_name = \'x\'")).scalar() is None:\n    op.add_column("t", sa.Column("x", sa.Text))'
    ),
]

SOMETHING_UNSEEN = [
    'if inspector.has_table("u"):\n    op.drop_table("t")',
    'if not inspector.has_table("t"):\n    op.create_table("t")\nelse:\n    op.add_column("t", sa.Column("x", sa.Text))',
    'if inspector.has_table("u"):\n    op.drop_table("u")\n    return\nop.drop_column("t", "n")',
    "for name in inspector.get_table_names():\n    op.drop_table(name)",
    'work = []\nif inspector.has_table("u"):\n    work.append("u")\nfor name in work:\n    op.drop_table(name)',
    "for key in inspector.get_foreign_keys('t'):\n    op.drop_constraint(key['name'], 't')",
    # Made here, so an index on it is no danger; but the target may have it, with rows.
    (
        'if not inspector.has_table("u"):\n    op.create_table("u", sa.Column("id", sa.Integer))\n'
        'op.create_index("i", "u", ["id"])'
    ),
    "meta = sa.MetaData()\nmeta.reflect(op.get_bind())\nmeta.drop_all(op.get_bind())",
    (
        "if op.get_bind().execute(sa.text(\"SELECT 1 FROM pg_indexes WHERE indexname = 'i'\")).first():\n"
        '    op.drop_index("i")'
    ),
]


@pytest.mark.parametrize("body", NOTHING_UNSEEN)
def test_a_guard_whose_work_was_seen_hides_nothing(tmp_path: Path, body: str) -> None:
    up = named(reading(chain(tmp_path, TABLE, HEAD + body), current=("r1",)), "r2").up
    assert opaque(up) == {}
    assert [text for text in sql(up) if not text.startswith("SELECT")]


@pytest.mark.parametrize("body", SOMETHING_UNSEEN)
def test_a_guard_that_may_hide_work_is_said(tmp_path: Path, body: str) -> None:
    up = named(reading(chain(tmp_path, TABLE, HEAD + body), current=("r1",)), "r2").up
    assert Opaque.GUARDED in opaque(up), sql(up)


def test_a_helper_that_looks_may_hide_anything(tmp_path: Path) -> None:
    folder = chain(tmp_path, TABLE, "from shop import add\nadd(op)")
    (folder / "shop.py").write_text(
        "import sqlalchemy as sa\n"
        "def add(op):\n"
        "    if sa.inspect(op.get_bind()).has_table('t'):\n"
        "        op.add_column('t', sa.Column('x', sa.Text))\n"
    )
    up = named(reading(folder, current=("r1",)), "r2").up
    assert opaque(up) == {Opaque.GUARDED: 13}


def test_a_function_of_the_file_that_looks_is_followed(tmp_path: Path) -> None:
    folder = chain(tmp_path, TABLE, "pass")
    path = folder / "migrations" / "versions" / "r2.py"
    text = path.read_text()
    function = (
        "def has(table, column):\n"
        "    found = sa.inspect(op.get_bind()).get_columns(table)\n"
        '    return any(one["name"] == column for one in found)\n\n\n'
    )
    work = 'def upgrade():\n    if not has("t", "{}"):\n        op.add_column("t", sa.Column("{}", sa.Text))\n'
    end = text[text.index("\n\ndef downgrade") :]
    start = text[: text.index("def upgrade")]
    path.write_text(start + function + work.format("x", "x") + end)
    assert opaque(named(reading(folder, current=("r1",)), "r2").up) == {}
    path.write_text(start + function + work.format("n", "n") + end)
    assert Opaque.GUARDED in opaque(named(reading(folder, current=("r1",)), "r2").up)


@pytest.mark.parametrize(
    ("body", "flagged"),
    [
        ('from alembic import context\nif context.is_offline_mode():\n    op.execute("DELETE FROM t")', 0),
        (('from alembic import context\nif context.get_x_argument(as_dictionary=True).get("all"):\n'
         '    op.execute("DELETE FROM t")'), 0),
        ('import os\nif os.environ.get("ALL"):\n    op.execute("DELETE FROM t")', 1),
        (('if op.get_bind().execute(sa.text("SELECT count(*) FROM t")).scalar():\n'
         '    op.execute("DELETE FROM t")'), 1),
        (('for name in ("t",):\n    [op.execute for one in ()]\n    del name\n    "DELETE FROM t"\n'
         '    unseen = ("DELETE FROM t", op)'), 1),
    ],
)  # fmt: skip
def test_writes_that_did_not_run_are_unseen_unless_the_command_decided(
    tmp_path: Path, body: str, flagged: int
) -> None:
    up = named(reading(chain(tmp_path, TABLE, body), current=("r1",)), "r2").up
    assert (Opaque.UNSEEN_WRITES in opaque(up)) == bool(flagged), up.opacities


COUNT = 'found = op.get_bind().execute(sa.text("SELECT id FROM t")).fetchall()\n'
ADD = 'op.add_column("t", sa.Column("x", sa.Text))'


@pytest.mark.parametrize(
    ("body", "steered"),
    [
        (f'print("rows:", len(found))\n{ADD}', False),
        (f"if found:\n    raise RuntimeError(found)\n{ADD}", False),
        (f"assert not found\n{ADD}", False),
        (f"if not found:\n    {ADD}", False),
        (f"if found:\n    {ADD}", True),
        (f"if found:\n    return\n{ADD}", False),
        (f"if not found:\n    return\n{ADD}", True),
        ('for row in found:\n    op.execute(f"SELECT {row}")', True),
        ('[op.drop_table("t") for row in found]', True),
        ('class Work:\n    if found:\n        op.drop_table("t")', True),
        (
            'def work():\n    class Work:\n        if found:\n            op.drop_table("t")\nwork()',
            True,
        ),
        (
            'try:\n    pass\nexcept* OSError:\n    pass\nelse:\n    if found:\n        op.drop_table("t")',
            True,
        ),
        ('found and op.drop_table("t")', True),
        ('op.bulk_insert(sa.table("t", sa.column("id")), [{"id": row.id} for row in found])', True),
        ("op.execute(\"COMMENT ON TABLE t IS '%s'\" % found)", True),
    ],
)
def test_rows_are_a_reason_to_doubt_where_they_decide_something(
    tmp_path: Path, body: str, *, steered: bool
) -> None:
    up = named(reading(chain(tmp_path, TABLE, COUNT + body), current=("r1",)), "r2").up
    assert (Opaque.DATA_DEPENDENT in opaque(up)) == steered, up.opacities


def test_a_helper_that_says_what_it_makes_was_seen_to_make_it(tmp_path: Path) -> None:
    helper = (
        "import sqlalchemy as sa\nfrom alembic import op\n"
        "def create_table(name):\n"
        "    if not sa.inspect(op.get_bind()).has_table(name):\n"
        '        op.create_table(name, sa.Column("id", sa.Integer))\n'
    )
    for name, doubted in (("u", False), ("t", True)):
        (tmp_path / name).mkdir()
        body = f'from shop import create_table\ncreate_table("{name}")'
        folder = chain(tmp_path / name, TABLE, body)
        (folder / "shop.py").write_text(helper)
        up = named(reading(folder, current=("r1",)), "r2").up
        assert (Opaque.GUARDED in opaque(up)) == doubted, up.opacities


def test_a_branch_for_another_database_is_no_silence(tmp_path: Path) -> None:
    asks = 'if op.get_bind().engine.url.database == "live":\n    op.drop_table("t")'
    tells = "op.add_column('t', sa.Column('x', sa.Text))"
    found = reading(chain(tmp_path / "p", TABLE, f"{tells}\n{asks}"), current=("r1",))
    assert set(opaque(named(found, "r2").up)) == {Opaque.EXTERNAL_INPUT}
