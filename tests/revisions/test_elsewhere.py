"""On SQLite, what no revision has made is taken to be there, unless it was there and is gone."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.model import Opaque
from tests.revisions.projects import chain, named, opaque, reading, sql

TABLE = 'op.create_table("pets", sa.Column("id", sa.Integer, primary_key=True))'
ADD = 'op.add_column("pets", sa.Column("name", sa.Text))'


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE pets ADD COLUMN name TEXT",
        "ALTER TABLE pets RENAME TO animals",
        "CREATE UNIQUE INDEX ix ON pets (name)",
        "DROP TABLE pets",
        "DROP INDEX ix",
        "DROP VIEW furry",
        "DROP TRIGGER tr",
        "UPDATE pets SET name = ''",
        "INSERT INTO pets (name) VALUES ('Rex')",
    ],
)
def test_a_change_of_what_the_history_does_not_make_is_read(tmp_path: Path, statement: str) -> None:
    found = reading(chain(tmp_path, f"op.execute({statement!r})", TABLE), "sqlite")
    assert sql(named(found, "r1").up) == [statement]
    assert Opaque.FAILED not in opaque(named(found, "r1").up)
    assert any("was taken to be there" in note for note in found.notes)


def test_the_note_comes_once(tmp_path: Path) -> None:
    found = reading(chain(tmp_path, f"{ADD}\n{ADD.replace('name', 'kind')}"), "sqlite")
    assert [note for note in found.notes if "pets" in note] == [
        "The history does not make the table pets; it was taken to be there."
    ]


@pytest.mark.parametrize("goes", ['op.drop_table("pets")', 'op.rename_table("pets", "animals")'])
def test_a_change_of_what_the_history_took_away_fails(tmp_path: Path, goes: str) -> None:
    found = reading(chain(tmp_path, TABLE, goes, ADD), "sqlite", current=("r1",))
    assert Opaque.FAILED in opaque(named(found, "r3").up)


def test_a_question_that_nothing_can_answer_fails(tmp_path: Path) -> None:
    found = reading(
        chain(tmp_path, 'op.get_bind().execute(sa.text("SELECT id FROM pets")).all()'), "sqlite"
    )
    assert Opaque.FAILED in opaque(named(found, "r1").up)


def test_with_the_database_s_own_schema_nothing_is_taken_to_be_there(tmp_path: Path) -> None:
    found = reading(chain(tmp_path, ADD), "sqlite", catalogue={"dialect": "sqlite", "sql": []})
    assert Opaque.FAILED in opaque(named(found, "r1").up)
