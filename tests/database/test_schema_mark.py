"""The mark of a schema differs whenever the schema does, and never because of rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.config.url import parse_url
from deployguard.database import connect
from deployguard.deploy.snapshot import schema_of
from deployguard.model import Json
from deployguard.revisions.store import Store

CHANGES = (
    "CREATE TABLE a (id int PRIMARY KEY, name text)",
    "ALTER TABLE a ADD COLUMN n int",
    "ALTER TABLE a ALTER COLUMN n TYPE bigint",
    "ALTER TABLE a ALTER COLUMN n SET NOT NULL",
    "ALTER TABLE a ALTER COLUMN n SET DEFAULT 5",
    "ALTER TABLE a ALTER COLUMN n SET DEFAULT 6",
    "ALTER TABLE a RENAME COLUMN n TO m",
    "ALTER TABLE a ADD CONSTRAINT c CHECK (m > 0) NOT VALID",
    "ALTER TABLE a VALIDATE CONSTRAINT c",
    "ALTER TABLE a RENAME CONSTRAINT c TO d",
    "CREATE INDEX i ON a (m)",
    "ALTER INDEX i RENAME TO j",
    "CREATE UNIQUE INDEX u ON a (name) WHERE m > 3",
    "CREATE TABLE b (a_id int REFERENCES a ON DELETE CASCADE, g int GENERATED ALWAYS AS IDENTITY)",
    "COMMENT ON TABLE a IS 'first'",
    "COMMENT ON COLUMN a.m IS 'second'",
    "CREATE TYPE mood AS ENUM ('good', 'bad')",
    "ALTER TYPE mood ADD VALUE 'fair' BEFORE 'bad'",
    "ALTER TYPE mood RENAME VALUE 'fair' TO 'so so'",
    "CREATE DOMAIN amount AS int CHECK (VALUE > 0)",
    "ALTER DOMAIN amount SET DEFAULT 3",
    "ALTER DOMAIN amount ADD CONSTRAINT most CHECK (VALUE < 100)",
    "CREATE VIEW v AS SELECT id FROM a",
    "CREATE OR REPLACE VIEW v AS SELECT id FROM a WHERE m > 1",
    "CREATE MATERIALIZED VIEW mv AS SELECT m FROM a",
    "CREATE INDEX mvi ON mv (m)",
    "CREATE SEQUENCE s",
    "CREATE SCHEMA other",
    "ALTER TABLE b SET SCHEMA other",
    "CREATE TABLE p (id int) PARTITION BY RANGE (id)",
    "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (1) TO (10)",
    "ALTER TABLE a SET (fillfactor = 80)",
    "DROP TABLE p",
)
STILL = (
    "INSERT INTO a (id, name, m) SELECT g, g::text, g FROM generate_series(1, 500) g",
    "ANALYZE a",
    "VACUUM a",
    "REFRESH MATERIALIZED VIEW mv",
    "SELECT nextval('s')",
)


def test_every_change_of_the_schema_and_no_change_of_rows_is_seen(
    postgres_database: str, tmp_path: Path
) -> None:
    import psycopg

    seen: list[tuple[str, Json]] = []
    with (
        psycopg.connect(postgres_database, autocommit=True) as link,
        connect(parse_url(postgres_database, "the test"), directory=tmp_path) as database,
    ):
        for statement in CHANGES:
            link.execute(statement.encode())
            mark, catalogue = database.schema_mark(), database.catalogue()
            assert mark
            assert mark not in [known for known, _ in seen], statement
            seen.append((mark, catalogue))
        for statement in STILL:
            link.execute(statement.encode())
            assert (database.schema_mark(), database.catalogue()) == seen[-1], statement


def test_a_kept_schema_is_used_until_the_database_says_otherwise(
    postgres_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psycopg

    from deployguard.database.postgresql import PostgresDatabase

    store = Store(tmp_path / "cache", b"s" * 32)
    read: list[str] = []
    original = PostgresDatabase.catalogue

    def catalogue(self: PostgresDatabase) -> Json:
        read.append(self.name)
        return original(self)

    monkeypatch.setattr(PostgresDatabase, "catalogue", catalogue)
    with (
        psycopg.connect(postgres_database, autocommit=True) as link,
        connect(parse_url(postgres_database, "the test"), directory=tmp_path) as database,
    ):
        link.execute(b"CREATE TABLE a (id int)")
        first = schema_of(database, store)
        assert schema_of(database, store) == first == schema_of(database)
        assert len(read) == 2  # the first, and the one without a store
        link.execute(b"ALTER TABLE a ADD COLUMN b int")
        second = schema_of(database, store)
        assert second == schema_of(database) != first
