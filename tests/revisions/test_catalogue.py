"""With the target's catalogue the inspector hears the truth, and what it decides is decided."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from deployguard.config.url import parse_url
from deployguard.database import connect
from deployguard.model import Json, Opaque
from deployguard.operations import AlterType, CreateIndex, Maintain, RebuildTable
from tests.revisions.projects import chain, named, opaque, reading, sql

HISTORY = """
    op.execute("CREATE SCHEMA IF NOT EXISTS side")
    kind = sa.Enum("a", "b", name="kind")
    op.create_table(
        "people",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40), nullable=False, server_default="nobody"),
        sa.Column("kind", kind),
        sa.Column("tags", sa.ARRAY(sa.Text)),
        sa.Column("born", sa.DateTime(timezone=True)),
        sa.Column("wage", sa.Numeric(8, 2)),
        sa.UniqueConstraint("name", name="uq_people_name"),
        sa.CheckConstraint("wage > 0", name="ck_wage"),
    )
    op.create_index("ix_people_born", "people", ["born"])
    op.create_table(
        "pets",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("owner", sa.Integer, sa.ForeignKey("people.id", name="fk_owner", ondelete="CASCADE")),
        sa.Column("twice", sa.Integer, sa.Computed("id * 2", persisted=True)),
    )
    op.create_table("hidden", sa.Column("id", sa.Integer), schema="side")
    op.execute("CREATE VIEW adults AS SELECT id FROM people")
    op.execute("CREATE SEQUENCE tickets")
"""

# Everything that a revision can ask the inspector, as assertions: one that fails makes the revision FAILED.
ASKS = """
    bind = op.get_bind()
    inspector = sa.inspect(bind)
    assert set(inspector.get_table_names()) >= {"people", "pets"}, inspector.get_table_names()
    assert inspector.get_table_names("side") == ["hidden"]
    assert inspector.get_view_names() == ["adults"]
    assert inspector.has_table("people") and not inspector.has_table("nobody")
    assert inspector.has_table("hidden", schema="side")
    assert "side" in inspector.get_schema_names()
    columns = {c["name"]: c for c in inspector.get_columns("people")}
    assert [*columns] == ["id", "name", "kind", "tags", "born", "wage"]
    assert isinstance(columns["name"]["type"], sa.String) and columns["name"]["type"].length == 40
    assert columns["name"]["nullable"] is False and "nobody" in columns["name"]["default"]
    assert columns["kind"]["type"].enums == ["a", "b"]
    assert isinstance(columns["tags"]["type"], sa.ARRAY)
    assert columns["born"]["type"].timezone is True
    assert (columns["wage"]["type"].precision, columns["wage"]["type"].scale) == (8, 2)
    assert inspector.get_pk_constraint("people")["constrained_columns"] == ["id"]
    assert [u["name"] for u in inspector.get_unique_constraints("people")] == ["uq_people_name"]
    assert [c["name"] for c in inspector.get_check_constraints("people")] == ["ck_wage"]
    assert "ix_people_born" in [i["name"] for i in inspector.get_indexes("people")]
    key = inspector.get_foreign_keys("pets")[0]
    assert (key["name"], key["referred_table"], key["referred_columns"]) == ("fk_owner", "people", ["id"])
    assert key["options"]["ondelete"] == "CASCADE", key
    assert "tickets" in inspector.get_sequence_names()
    metadata = sa.MetaData()
    metadata.reflect(bind, only=["people", "pets"])
    assert set(metadata.tables) == {"people", "pets"}
    assert len(sa.Table("pets", sa.MetaData(), autoload_with=bind).foreign_keys) == 1
    kind = sa.Enum("a", "b", name="kind")
    kind.create(bind, checkfirst=True)
    if "nick" not in columns:
        op.add_column("people", sa.Column("nick", sa.Text))
    op.alter_column("people", "wage", type_=sa.Numeric(10, 2))
"""


def migrate(folder: Path, url: str, target: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", target],
        cwd=folder,
        env={"DATABASE_URL": url, "PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
    )


def catalogue(url: str, folder: Path) -> Json:
    with connect(parse_url(url, "the test"), directory=folder) as database:
        return database.catalogue()


def test_the_inspector_hears_the_servers_own_catalogue(
    tmp_path: Path, postgres_database: str
) -> None:
    folder = chain(tmp_path, HISTORY, ASKS)
    migrate(folder, postgres_database.replace("postgresql://", "postgresql+psycopg://"), "r1")
    found = reading(folder, current=("r1",), catalogue=catalogue(postgres_database, folder))
    up = named(found, "r2").up
    assert opaque(up) == {}, up.opacities
    assert sql(up) == [
        "ALTER TABLE people ADD COLUMN nick TEXT",
        "ALTER TABLE people ALTER COLUMN wage TYPE NUMERIC(10, 2)",
    ]
    changed = up.statements[1].operations[0]
    assert isinstance(changed, AlterType)
    assert changed.old_type == "numeric(8,2)"


def test_the_replayed_history_answers_as_the_server_would(tmp_path: Path) -> None:
    found = reading(chain(tmp_path, HISTORY, ASKS), current=("r1",))
    up = named(found, "r2").up
    assert opaque(up) == {}, up.opacities
    assert len(up.statements) == 2
    assert any("replayed" in note for note in found.notes)


def sqlite_catalogue(path: Path) -> Json:
    return catalogue(f"sqlite:///{path}", path.parent)


def test_sqlite_batches_are_told_as_what_they_ask_for(tmp_path: Path) -> None:
    create = """
        op.create_table(
            "notes",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("title", sa.String(20), nullable=True),
            sa.Column("old", sa.Text),
        )
        op.create_index("ix_title", "notes", ["title"])
    """
    batch = """
        with op.batch_alter_table("notes") as changes:
            changes.drop_column("old")
            changes.alter_column("title", nullable=False, type_=sa.String(50))
            changes.create_unique_constraint("uq", ["title"])
            changes.create_index("ix_new", ["id"])
    """
    folder = chain(tmp_path, create, batch)
    path = tmp_path / "notes.db"
    migrate(folder, f"sqlite:///{path}", "r1")
    before = path.read_bytes()
    found = reading(folder, "sqlite", current=("r1",), catalogue=sqlite_catalogue(path))
    up = named(found, "r2").up
    assert opaque(up) == {}
    rebuild = up.statements[0].operations[0]
    assert isinstance(rebuild, RebuildTable)
    assert [type(change).__name__ for change in rebuild.changes or ()] == [
        "DropColumn",
        "AlterType",
        "SetNotNull",
        "AddConstraint",
    ]
    assert {statement.line for statement in up.statements} == {12}
    rest = [statement.operations[0] for statement in up.statements[1:]]
    (made,) = (operation for operation in rest if not isinstance(operation, Maintain))
    assert isinstance(made, CreateIndex)
    assert made.name == "ix_new"
    assert path.read_bytes() == before


def test_a_guard_decided_by_the_target_is_no_reason_to_doubt(tmp_path: Path) -> None:
    guarded = """
        if sa.inspect(op.get_bind()).has_table("leftover"):
            op.drop_table("leftover")
    """
    folder = chain(tmp_path, "pass", guarded)
    without, having = tmp_path / "without.db", tmp_path / "having.db"
    for path in (without, having):
        migrate(folder, f"sqlite:///{path}", "r1")
    with sqlite3.connect(having) as connection:
        connection.execute("CREATE TABLE leftover (id INTEGER)")
    found = {
        path: named(
            reading(folder, "sqlite", current=("r1",), catalogue=sqlite_catalogue(path)), "r2"
        ).up
        for path in (without, having)
    }
    assert [sql(up) for up in found.values()] == [[], ["DROP TABLE leftover"]]
    assert [opaque(up) for up in found.values()] == [{}, {}]
    replayed = named(reading(folder, "sqlite", current=("r1",)), "r2").up
    assert opaque(replayed) == {Opaque.GUARDED: 12}


@pytest.mark.parametrize("how", ["information_schema.tables", "pg_catalog.pg_class", "pg_indexes"])
def test_a_query_of_the_system_catalogue_in_text_stays_doubtful(tmp_path: Path, how: str) -> None:
    body = f"""
        if op.get_bind().execute(sa.text("SELECT 1 FROM {how} LIMIT 1")).scalar():
            op.drop_table("t")
    """
    empty: Json = {"dialect": "postgresql", "tables": []}
    up = named(reading(chain(tmp_path, body), catalogue=empty), "r1").up
    assert Opaque.GUARDED in opaque(up)


def test_only_the_pending_files_are_imported_when_the_schema_is_known(tmp_path: Path) -> None:
    folder = chain(tmp_path, "pass", "pass", 'op.execute("SELECT 1")')
    file = folder / "migrations" / "versions" / "r1.py"
    file.write_text(file.read_text() + '\nraise RuntimeError("history")\n')
    found = reading(folder, current=("r2",), catalogue={"dialect": "postgresql", "tables": []})
    assert [one.id for one in found.revisions] == ["r3"]
    assert found.notes == ()
