"""Whatever is done to a revision file: the reader survives it, and what loses data is never called harmless.

The oracle is the real thing: each generated revision is also run on an SQLite database that has rows.
"""

from __future__ import annotations

import ast
import copy
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from deployguard import rules
from deployguard.model import Facts, Risk, Verdict
from deployguard.revisions import recording
from tests.revisions.projects import project, reading, revision

ORACLE = Path(__file__).with_name("oracle.py")
TOGETHER = 12  # revisions in one project: starting an interpreter takes longer than reading one
BASE = """
bind = op.get_bind()
op.add_column("t#", sa.Column("extra", sa.Text()))
op.create_index("ix#", "t#", ["n"])
op.execute("UPDATE t# SET n = 7 WHERE id = 1")
op.execute(sa.text("DELETE FROM t# WHERE id = :id").bindparams(id=2))
for row in bind.execute(sa.text("SELECT id FROM t#")).fetchall():
    bind.execute(sa.text("UPDATE t# SET note = 'x' WHERE id = :id"), {"id": row.id})
if bind.execute(sa.text("SELECT count(*) FROM t#")).scalar():
    op.drop_table("t#")
if "note" in [one["name"] for one in sa.inspect(bind).get_columns("t#")]:
    op.drop_column("t#", "note")
with op.batch_alter_table("t#") as batch:
    batch.drop_column("n")
session = orm.Session(bind=bind)
session.execute(sa.text("DELETE FROM t#"))
session.commit()
getattr(op, "drop_table")("t#")
exec("op.execute('DELETE FROM t#')")
work("t#")
op.rename_table("t#", "gone#")
op.create_table("new#", sa.Column("id", sa.Integer, primary_key=True))
"""
HEAD = """
import os
import sys
from sqlalchemy import orm

def work(table):
    verb = "DELETE"
    op.execute(verb + " FROM " + table)
"""
WRAPPERS = [
    "if True:\n    pass",
    "if op.get_bind().dialect.name == 'sqlite':\n    pass",
    "if sa.inspect(op.get_bind()).has_table('t#'):\n    pass",
    "if not os.environ.get('NOT_SET_ANYWHERE'):\n    pass",
    "if op.get_bind().execute(sa.text('SELECT count(*) FROM t#')).scalar() > 1:\n    pass",
    "for _ in range(2):\n    pass",
    "for _ in op.get_bind().execute(sa.text('SELECT 1 FROM t#')).fetchall():\n    pass",
    "while True:\n    pass\n    break",
    "try:\n    pass\nexcept Exception:\n    pass",
    "try:\n    raise ValueError\nexcept ValueError:\n    pass",
    "with op.get_bind().begin_nested():\n    pass",
    "def inner():\n    pass\ninner()",
    "def inner():\n    pass\n[call() for call in (inner,)]",
    "class Inner:\n    pass",
]
HOSTILE = [
    "import not_there_at_all",
    "raise RuntimeError('no')",
    "while True:\n    pass",
    "sys.exit(0)",
    "undefined",
    "x = 'y' * 1_000_000\nop.execute(\"SELECT '%s'\" % x)",
    "return",
]


class Wrap(ast.NodeTransformer):
    """Puts statements where `pass` is."""

    def __init__(self, body: list[ast.stmt]) -> None:
        self.body = body
        self.done = False

    def visit_Pass(self, node: ast.Pass) -> ast.AST | list[ast.stmt]:
        if self.done:
            return node
        self.done = True
        return self.body


@st.composite
def bodies(draw: st.DrawFn) -> str:
    """Statements of the base, left out, doubled, wrapped, and with something hostile among them."""
    pool = ast.parse(BASE).body[1:]
    chosen = draw(st.lists(st.sampled_from(range(len(pool))), min_size=1, max_size=4))
    found: list[ast.stmt] = [ast.parse(BASE).body[0]]
    for at in chosen:
        piece: list[ast.stmt] = [copy.deepcopy(pool[at])]
        for wrapper in draw(st.lists(st.sampled_from(WRAPPERS), max_size=2)):
            piece = Wrap(piece).visit(ast.parse(wrapper)).body
        found += piece
    if draw(st.integers(0, 5)) == 0:
        found.insert(
            draw(st.integers(0, len(found))), *ast.parse(draw(st.sampled_from(HOSTILE))).body[:1]
        )
    text = ast.unparse(ast.fix_missing_locations(ast.Module(found, [])))
    if draw(st.integers(0, 25)) == 0:
        text = text[: draw(st.integers(0, len(text)))]  # mostly a syntax error
    return text


def real(folder: Path) -> dict[str, dict[str, object]]:
    argv = [sys.executable, str(ORACLE), str(folder / "migrations" / "versions")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=100, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert isinstance(found, dict)
    return found


def files(texts: list[str]) -> dict[str, str]:
    create = "\n".join(
        f'op.create_table("t{n}", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer),'
        f' sa.Column("note", sa.Text))'
        for n in range(1, len(texts) + 1)
    )
    made = {"r0": revision("r0", None, create)}
    for number, text in enumerate(texts, 1):
        body = text.replace("#", str(number)) or "pass"
        made[f"r{number}"] = revision(
            f"r{number}", f"r{number - 1}", body, head=HEAD.replace("#", str(number))
        )
    return made


ENDLESS = "while True:\n    pass"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "REVISION_SECONDS", 1.0)


@given(st.lists(bodies(), min_size=TOGETHER, max_size=TOGETHER))
@settings(
    max_examples=6,
    deadline=None,
    # The same each time, and told as it was found: a smaller case takes minutes, since each is really run.
    derandomize=True,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@pytest.mark.usefixtures("impatient")
def test_what_loses_data_is_never_called_harmless(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = project(Path(name), files(texts))
        found = reading(folder, "sqlite", current=("r0",))
        assert [one.id for one in found.revisions] == [f"r{n}" for n in range(1, TOGETHER + 1)]
        # Each by itself: what an earlier one made, or took away, is no excuse.
        verdicts = {one.id: rules.judge((one,), Facts("sqlite"))[0] for one in found.revisions}
        for number, text in enumerate(texts, 1):  # nobody waits for what has no end
            if _endless(text):
                path = folder / "migrations" / "versions" / f"r{number}.py"
                path.write_text("def upgrade():\n    raise RuntimeError('endless')\n")
        for revision_name, truth in real(folder).items():
            judge(verdicts[revision_name], truth, texts[int(revision_name[1:]) - 1])


def _endless(text: str) -> bool:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return False
    return any(isinstance(node, ast.While) and not _breaks(node) for node in ast.walk(tree))


def _breaks(node: ast.While) -> bool:
    return any(isinstance(inner, ast.Break) for inner in ast.walk(node))


def judge(verdict: Verdict, truth: dict[str, object], text: str) -> None:
    if truth["lost"]:
        assert verdict.risk >= Risk.HIGH, (truth, text, verdict.findings)
    if truth["raised"]:
        assert verdict.risk > Risk.LOW, (truth, text, verdict.findings)
