"""The catalogue holds what reflection would ask the server for."""

import json
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import Locked, connect

SCHEMA = """
CREATE EXTENSION IF NOT EXISTS plpgsql;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SCHEMA other;
CREATE TABLE other.rooms (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, size positive);
CREATE TABLE bookings (
  id serial PRIMARY KEY, note varchar(20) DEFAULT 'x' NOT NULL, feeling mood, price numeric(10,2),
  place point, tags text[], at timestamptz, room int REFERENCES other.rooms (id) ON DELETE CASCADE,
  twice int GENERATED ALWAYS AS (1 + 1) STORED,
  CONSTRAINT u UNIQUE (note), CONSTRAINT c CHECK (price > 0));
CREATE INDEX i ON bookings (lower(note)) WHERE price > 1;
COMMENT ON TABLE bookings IS 'what is booked';
CREATE VIEW v AS SELECT id, price FROM bookings;
CREATE MATERIALIZED VIEW m AS SELECT id FROM bookings;
CREATE SEQUENCE other.numbers;
"""


def catalogue_of(url: str) -> dict[str, Any]:
    with connect(parse_url(url, "x"), directory=Path()) as database:
        shape = database.catalogue()
    assert isinstance(shape, dict)
    assert json.loads(json.dumps(shape)) == shape
    return shape


def test_everything_is_there_with_its_type_as_ddl(postgres_database: str) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
    shape = catalogue_of(postgres_database)
    assert shape["schemas"] == ["other", "public"]
    assert shape["default_schema"] == "public"
    rooms, bookings = sorted(shape["tables"], key=lambda table: table["schema"])
    assert (bookings["name"], bookings["comment"]) == ("bookings", "what is booked")
    columns = {column["name"]: column for column in bookings["columns"]}
    assert {name: column["type"] for name, column in columns.items()} == {
        "id": "integer",
        "note": "character varying(20)",
        "feeling": "mood",
        "price": "numeric(10,2)",
        "place": "point",
        "tags": "text[]",
        "at": "timestamp with time zone",
        "room": "integer",
        "twice": "integer",
    }
    assert columns["note"]["nullable"] is False
    assert "'x'" in columns["note"]["default"]
    assert columns["twice"]["computed"]["persisted"] is True
    assert {c["name"]: c["type"] for c in rooms["columns"]} == {
        "id": "integer",
        "size": "positive",
    }
    assert rooms["columns"][0]["identity"]["always"] is True
    assert bookings["primary_key"] == {"name": "bookings_pkey", "columns": ["id"]}
    (foreign,) = bookings["foreign_keys"]
    assert foreign["referred_schema"] == "other"
    assert foreign["options"] == {"ondelete": "CASCADE"}
    assert [unique["name"] for unique in bookings["uniques"]] == ["u"]
    assert [check["name"] for check in bookings["checks"]] == ["c"]
    assert {index["name"] for index in bookings["indexes"]} == {"i", "u"}
    assert [(v["name"], v["materialized"]) for v in shape["views"]] == [("m", True), ("v", False)]
    assert shape["views"][1]["columns"][1]["type"] == "numeric(10,2)"
    assert shape["enums"] == [{"schema": "public", "name": "mood", "labels": ["sad", "ok"]}]
    assert shape["domains"][0]["type"] == "integer"
    assert shape["extensions"] == ["plpgsql"]
    assert {s["name"] for s in shape["sequences"]} >= {"numbers", "bookings_id_seq"}


def test_an_empty_database_has_an_empty_catalogue(postgres_database: str) -> None:
    shape = catalogue_of(postgres_database)
    assert (shape["schemas"], shape["tables"], shape["views"]) == (["public"], [], [])


def test_a_locked_table_is_told_instead_of_waited_for(postgres_database: str) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(b"CREATE TABLE t (id serial PRIMARY KEY); CREATE VIEW v AS SELECT id FROM t")
    with psycopg.connect(postgres_database) as other:
        other.execute("LOCK TABLE t IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(Locked, match=r"could not be read.*ACCESS EXCLUSIVE"):
            catalogue_of(postgres_database)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("postgres_server", [18], indirect=True)
def test_a_not_null_constraint_that_was_not_validated_is_told(postgres_database: str) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(
            b"CREATE TABLE t (a int, b int NOT NULL);"
            b"ALTER TABLE t ADD CONSTRAINT a_there NOT NULL a NOT VALID"
        )
    (table,) = catalogue_of(postgres_database)["tables"]
    first, second = table["columns"]
    assert (first["nullable"], first.get("not_validated")) == (False, True)
    assert (second["nullable"], second.get("not_validated")) == (False, None)
