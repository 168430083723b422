"""Packages that projects put beside Alembic: enum plugins, replaceable objects, SQLModel, Flask-Migrate, odd types."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.model import Evidence, Opaque
from tests.revisions.conftest import chosen
from tests.revisions.projects import chain, named, opaque, project, reading, revision, sql

WITH = "sqlalchemy-2.0-newest"  # the environment that has these packages


@pytest.fixture(autouse=True)
def _with_packages() -> Iterator[None]:
    with chosen(WITH):
        yield


def test_enum_values_that_a_plugin_synchronises_are_read(tmp_path: Path) -> None:
    head = "import alembic_postgresql_enum\nfrom alembic_postgresql_enum import TableReference\n"
    create = """
        sa.Enum("a", "b", name="mood").create(op.get_bind())
        op.create_table("t", sa.Column("id", sa.Integer), sa.Column("m", sa.Enum("a", "b", name="mood", create_type=False)))
    """
    sync = """
        op.sync_enum_values(
            enum_schema="public",
            enum_name="mood",
            new_values=["a", "c"],
            affected_columns=[TableReference(table_schema="public", table_name="t", column_name="m")],
            enum_values_to_rename=[],
        )
    """
    files = {
        "r1": revision("r1", None, create, head=head),
        "r2": revision("r2", "r1", sync, head=head),
    }
    found = reading(project(tmp_path, files))
    first, second = named(found, "r1").up, named(found, "r2").up
    assert sql(first)[0] == "CREATE TYPE mood AS ENUM ('a', 'b')"
    assert Opaque.FAILED not in opaque(second), second.opacities
    text = " ".join(sql(second)).upper()
    assert "ALTER TYPE" in text
    assert "ALTER TABLE" in text


def test_replaceable_objects_are_read(tmp_path: Path) -> None:
    head = """
        from alembic_utils.pg_view import PGView
        from alembic_utils.pg_function import PGFunction
        view = PGView("public", "big", "SELECT id FROM t WHERE n > 10")
        function = PGFunction("public", "twice(n integer)", "RETURNS integer AS $$ SELECT n * 2 $$ LANGUAGE sql")
    """
    files = {
        "r1": revision(
            "r1",
            None,
            "op.create_entity(view)\nop.create_entity(function)",
            "op.drop_entity(view)",
            head=head,
        )
    }
    one = named(reading(project(tmp_path, files)), "r1")
    assert one.up.statements[0].sql.startswith("CREATE VIEW")
    assert one.up.statements[1].sql.startswith("CREATE FUNCTION")
    assert opaque(one.up) == {Opaque.PROCEDURAL: one.up.statements[1].line}
    assert sql(one.down)[0].startswith("DROP VIEW")


def test_types_of_other_packages_are_read(tmp_path: Path) -> None:
    files = {
        "r1": revision(
            "r1",
            None,
            """
            op.create_table(
                "places",
                sa.Column("id", sqlmodel.sql.sqltypes.AutoString(length=20), primary_key=True),
                sa.Column("kind", sqlalchemy_utils.types.UUIDType(binary=False)),
                sa.Column("spot", geoalchemy2.types.Geometry("POINT", spatial_index=False)),
            )
            """,
            head="import sqlmodel\nimport sqlalchemy_utils\nimport geoalchemy2",
        )
    }
    up = named(reading(project(tmp_path, files)), "r1").up
    assert opaque(up) == {}
    assert "id VARCHAR(20)" in sql(up)[0]
    assert "geometry(POINT" in sql(up)[0]


APP = """
import os
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
db = SQLAlchemy(app)
Migrate(app, db)
"""
ENV = """
from alembic import context
from flask import current_app

with current_app.extensions["migrate"].db.engine.connect() as connection:
    context.configure(connection=connection, target_metadata=current_app.extensions["migrate"].db.metadata)
    with context.begin_transaction():
        context.run_migrations()
"""


def test_flasks_own_command_is_run(tmp_path: Path) -> None:
    folder = chain(tmp_path, 'op.create_table("t", sa.Column("id", sa.Integer))', env=ENV)
    (folder / "app.py").write_text(APP)
    (folder / "migrations" / "alembic.ini").write_text("[alembic]\n")
    found = reading(folder, command=("flask", "db", "upgrade"))
    assert named(found, "r1").evidence is Evidence.RECORDED, found.notes
    assert found.notes == ()
    assert len(named(found, "r1").up.statements) == 1
