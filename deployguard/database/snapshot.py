"""What a PostgreSQL database holds at one instant, while others (pg_dump) look at the same instant."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import Cursor

from deployguard.database import tables
from deployguard.database.base import VERSION_TABLE, qualified
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.session import Row, quoted

_STATE: Final = b"""
SELECT pg_export_snapshot(), pg_database_size(current_database()), current_setting('server_version'),
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text"""
_SEQUENCES: Final = b"SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2"


@dataclass(frozen=True, slots=True)
class Instant:
    """One snapshot: its name for pg_dump, and what it shows. Sizes in bytes.

    ``sequences`` are last values by ``schema.name`` (None: never used, or hidden from us). They stand outside of
    transactions, so a dump of the same snapshot may hold a later value.
    """

    name: str
    tables: tuple[tuple[str, str, int], ...]  # schema, table, rows
    counts: Mapping[str, int]  # label → rows
    revision: tuple[str, ...]
    sequences: Mapping[str, int | None]
    position: str  # in the write-ahead log
    bytes: int
    server: str


@contextmanager
def exported(
    database: PostgresDatabase,
    *,
    application: str,
    version_table: str = VERSION_TABLE,
    on_table: Callable[[str, int, int], None] = lambda label, number, of: None,  # noqa: ARG005 - says nothing
) -> Iterator[Instant]:
    """Count every table in a snapshot that other sessions can take up until the block ends.

    The counted tables cannot be dropped or rewritten meanwhile (each holds an ACCESS SHARE lock, as pg_dump's do).
    ``on_table`` is told each table as it is counted. Raises EnvironmentUnreachable.
    """
    session = database.session.elsewhere(database.name, application)
    try:
        with session.reading(timeout=0) as cursor:
            if database.server_version >= (17,):
                cursor.execute(b"SET LOCAL transaction_timeout = 0")
            yield _look(cursor, version_table, on_table)
    finally:
        session.close()


def _look(
    cursor: Cursor[Row], version_table: str, on_table: Callable[[str, int, int], None]
) -> Instant:
    state = cursor.execute(_STATE).fetchone() or ("", 0, "", "")
    cursor.execute(b"SET LOCAL row_security = off")
    found = [table for table in tables.listed(cursor) if not table.partitioned]
    counted: list[tuple[str, str, int]] = []
    for number, table in enumerate(found, 1):
        on_table(table.label, number, len(found))
        counted.append((table.schema, table.name, tables.count_rows(cursor, table)))
    return Instant(
        name=str(state[0]),
        tables=tuple(counted),
        counts={table.label: rows for table, (_, _, rows) in zip(found, counted, strict=True)},
        revision=_revision(cursor, version_table),
        sequences=_sequences(cursor),
        position=str(state[3]),
        bytes=int(state[1]),
        server=str(state[2]),
    )


def _sequences(cursor: Cursor[Row]) -> dict[str, int | None]:
    found = cursor.execute(_SEQUENCES).fetchall()
    return {f"{schema}.{name}": value for schema, name, value in found}


def sequences(database: PostgresDatabase) -> dict[str, int | None]:
    """Last values by ``schema.name``; None: never used, or hidden from us."""
    with database.session.reading() as cursor:
        return _sequences(cursor)


def _revision(cursor: Cursor[Row], version_table: str) -> tuple[str, ...]:
    query = b"SELECT version_num FROM " + quoted(*qualified(version_table)).as_bytes(cursor)
    try:
        with cursor.connection.transaction():
            return tuple(sorted(str(row[0]) for row in cursor.execute(query).fetchall()))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return ()
