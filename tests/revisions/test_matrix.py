"""Each combination of SQLAlchemy and Alembic records the same statements of one chain."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.model import Evidence
from tests.revisions.projects import chain, reading, sql

UPGRADES = (
    'op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.String(20)))',
    'op.add_column("t", sa.Column("x", sa.Text(), nullable=True))\nop.execute(sa.text("UPDATE t SET x = n"))',
    (
        'if "n" in [one["name"] for one in sa.inspect(op.get_bind()).get_columns("t")]:\n'
        '    op.create_index("ix_t_n", "t", ["n"])'
    ),
    'with op.batch_alter_table("t") as batch:\n    batch.drop_column("x")',
)
TOLD = {
    "r1": ["CREATE TABLE t"],
    "r2": ["ALTER TABLE t ADD COLUMN x TEXT", "UPDATE t SET x = n"],
    "r3": ["CREATE INDEX ix_t_n ON t (n)"],
}
LAST = {
    "postgresql": "ALTER TABLE t DROP COLUMN x",
    "sqlite": "CREATE INDEX ix_t_n ON t (n)",
}


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
@pytest.mark.usefixtures("every_version")
def test_every_combination_records_the_same(tmp_path: Path, dialect: str) -> None:
    found = reading(chain(tmp_path, *UPGRADES), dialect)
    assert [one.id for one in found.revisions] == ["r1", "r2", "r3", "r4"]
    assert {one.evidence for one in found.revisions} == {Evidence.RECORDED}
    said = {
        one.id: [" ".join(text.split()) for text in sql(one.up) if not text.startswith("SELECT")]
        for one in found.revisions
    }
    for name, texts in TOLD.items():
        assert len(said[name]) == len(texts), said[name]
        assert all(a.startswith(b) for a, b in zip(said[name], texts, strict=True)), said[name]
    assert said["r4"][-1].replace('"', "") == LAST[dialect]
    assert not any(one.up.opacities for one in found.revisions)
