"""Facts go through a file unchanged, and what is no such file is refused kindly."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import connect
from deployguard.database.facts_file import Snapshot, document, parse
from deployguard.errors import UsageError
from deployguard.model import Facts, TableFact

MADE = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)
FACTS = Facts(
    "sqlite",
    (3, 40, 1),
    (
        TableFact("orders", 12, 8192, exact=True, index_bytes=4096),
        TableFact("locked", -1, -1, index_bytes=-1, partition_of="all", partitions=("a", "b")),
    ),
    indexes={"ix": "orders"},
    unique_indexes=frozenset({"ix"}),
    invalid_indexes=frozenset({"bad"}),
)
CATALOGUE = {"format": 1, "dialect": "sqlite", "sql": ["CREATE TABLE orders (id INTEGER)"]}
SNAPSHOT = Snapshot(MADE, "production", "shop", "alembic_version", ("a1",), FACTS, CATALOGUE)


def text_of(snapshot: Snapshot) -> str:
    return json.dumps(document(snapshot))


@pytest.mark.parametrize(
    "snapshot", [SNAPSHOT, replace(SNAPSHOT, current=(), catalogue=None, facts=Facts("mysql", ()))]
)
def test_what_is_read_back_is_what_was_written(snapshot: Snapshot) -> None:
    known = replace(snapshot.facts, tables=snapshot.facts.tables or ())
    assert parse(text_of(snapshot), "f.json") == replace(snapshot, facts=known)


def test_what_is_not_known_is_null_in_the_file() -> None:
    found = json.loads(text_of(SNAPSHOT))
    assert (found["tables"][1]["rows"], found["tables"][1]["bytes"]) == (None, None)
    assert found["schema"] == "deployguard.facts/1"


def changed(change: Callable[[dict[str, object]], object]) -> str:
    value = json.loads(text_of(SNAPSHOT))
    change(value)
    return json.dumps(value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "not JSON"),
        ('{"schema": "deployguard.facts/1"', "not JSON"),
        ("[]", "not written by"),
        ('{"schema": "deployguard.check/1"}', "not written by"),
        ('{"schema": "deployguard.facts/2"}', "deployguard.facts/2"),
        ('{"schema": "deployguard.facts/1"}', "made is not text"),
        (changed(lambda v: v.pop("tables")), "tables is not a list"),
        (changed(lambda v: v.update(tables=[3])), "tables holds something"),
        (changed(lambda v: v["tables"][0].update(rows="many")), "rows is not a number"),
        (changed(lambda v: v["tables"][0].update(bytes=-5)), "bytes is not a number"),
        (changed(lambda v: v.update(current="a1")), "current is not a list"),
        (changed(lambda v: v.update(server_version=[True])), "server_version"),
        (changed(lambda v: v.update(made="yesterday")), "damaged"),
        (changed(lambda v: v.update(made="2026-02-18T10:30:00")), "no time zone"),
        (changed(lambda v: v.update(catalogue={"dialect": "postgresql"})), "catalogue"),
        (changed(lambda v: v.update(indexes=["ix"])), "indexes"),
    ],
)
def test_a_file_that_is_no_facts_file_is_a_usage_error(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why) as caught:
        parse(text, "f.json")
    assert "f.json cannot be used" in caught.value.message
    assert caught.value.next_commands == ("deployguard facts -o facts.json",)


@pytest.mark.parametrize("postgres_server", [15, 16, 18], indirect=True)
def test_no_row_and_no_secret_of_a_real_database_is_in_the_file(postgres_database: str) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(
            b"CREATE TABLE people (name text PRIMARY KEY, age int CHECK (age > 0));"
            b"INSERT INTO people VALUES ('Ada Lovelace', 36), ('Grace Hopper', 85); ANALYZE people;"
            b"CREATE INDEX ON people (age)"
        )
    url = parse_url(postgres_database, "x")
    with connect(url, directory=Path()) as database:
        facts, catalogue = database.facts(), database.catalogue()
    snapshot = Snapshot(MADE, "production", url.database, "alembic_version", (), facts, catalogue)
    text = text_of(snapshot)
    assert "people_age_idx" in text
    for hidden in ("Ada", "Grace", "Lovelace", url.password, "127.0.0.1", str(url.port)):
        assert hidden not in text
    assert parse(text, "f") == snapshot
