"""Which tables a PostgreSQL database has, how many rows they hold, and what they take on disk."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import Cursor

from deployguard.database.base import Table, label
from deployguard.database.session import Row, quoted
from deployguard.model import TableFact

SMALL: Final = 8 * 1024 * 1024  # bytes up to which a table is counted instead of estimated
MANY: Final = 500  # small tables that are counted at most
PAGE: Final = 8192

# Tables that belong to an extension are its own affair: pg_dump leaves them out as well.
_TABLES: Final = b"""
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind = 'p', c.reltuples::bigint, c.relpages::bigint,
       coalesce(s.n_live_tup, 0), current_schema()
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_all_tables s ON s.relid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname"""
_SIZES: Final = b"""
SELECT oid::bigint, pg_relation_size(oid), pg_total_relation_size(oid)
FROM pg_class WHERE oid = ANY (%s::bigint[])"""
_CHILDREN: Final = b"SELECT inhparent::bigint, inhrelid::bigint FROM pg_inherits"


@dataclass(frozen=True, slots=True)
class Listed:
    """One table with what the catalogue knows of it without looking inside."""

    oid: int
    table: Table
    estimate: int
    pages: int


def listed(cursor: Cursor[Row]) -> tuple[Listed, ...]:
    """Every user table, in order of its name; partitioned ones and their partitions both."""
    return tuple(
        Listed(
            oid,
            Table(schema, name, label(schema, name, default or ""), partitioned),
            # -1 is "never analysed"; the statistics collector may know better
            max(tuples, alive, 1 if pages else 0),
            max(pages, 0),
        )
        for oid, schema, name, partitioned, tuples, pages, alive, default in cursor.execute(_TABLES)
    )


def count_rows(cursor: Cursor[Row], table: Table) -> int:
    """Exact rows of one table, without those of tables that inherit from it."""
    query = b"SELECT count(*) FROM ONLY " + quoted(table.schema, table.name).as_bytes(cursor)
    row = cursor.execute(query).fetchone()
    return int(row[0]) if row else 0


def exact_counts(cursor: Cursor[Row]) -> dict[str, int]:
    """Exact rows of every user table that holds rows itself, in the cursor's snapshot.

    Row security is switched off, which makes the server refuse instead of silently counting fewer rows.
    """
    cursor.execute(b"SET LOCAL row_security = off")
    tables = [found.table for found in listed(cursor) if not found.table.partitioned]
    return {table.label: count_rows(cursor, table) for table in tables}


def find(cursor: Cursor[Row], wanted: str) -> Table | None:
    """The table with this label."""
    return next((found.table for found in listed(cursor) if found.table.label == wanted), None)


def facts(cursor: Cursor[Row]) -> tuple[TableFact, ...]:
    """Rows and bytes a table: exact where it is small, else the planner's estimate."""
    tables = listed(cursor)
    sizes = _sizes(cursor, tables)
    own: dict[int, TableFact] = {}
    for found in tables:
        heap, total = sizes[found.oid]
        countable = total <= SMALL and len(own) < MANY and not found.table.partitioned
        rows = 0 if not heap and countable else _count(cursor, found) if countable else None
        own[found.oid] = TableFact(
            found.table.label,
            found.estimate if rows is None else rows,
            total,
            exact=rows is not None,
        )
    children: dict[int, list[int]] = {}
    for parent, child in cursor.execute(_CHILDREN).fetchall():
        children.setdefault(parent, []).append(child)
    return tuple(_sum(found, own, children) for found in tables)


def _sum(
    found: Listed, own: Mapping[int, TableFact], children: Mapping[int, Sequence[int]]
) -> TableFact:
    """A partitioned table holds what its partitions hold."""
    fact = own[found.oid]
    if not found.table.partitioned:
        return fact
    below, leaves = [found.oid], list[TableFact]()
    while below:
        oid = below.pop()
        below.extend(children.get(oid, ()))
        if oid != found.oid and oid in own and own[oid].bytes:
            leaves.append(own[oid])
    return TableFact(
        fact.table,
        sum(leaf.rows for leaf in leaves),
        sum(leaf.bytes for leaf in leaves),
        exact=all(leaf.exact for leaf in leaves),
    )


def _sizes(cursor: Cursor[Row], tables: Sequence[Listed]) -> dict[int, tuple[int, int]]:
    """(heap, total) bytes a table. Measuring waits for a table that is locked, so there is a second best."""
    guess = {t.oid: (t.pages * PAGE or 1, t.pages * PAGE) for t in tables}
    try:
        with cursor.connection.transaction():
            cursor.execute(b"SET LOCAL lock_timeout = '1s'")
            rows = cursor.execute(_SIZES, [[t.oid for t in tables]]).fetchall()
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        return guess
    return guess | {oid: (heap or 0, total or 0) for oid, heap, total in rows}


def _count(cursor: Cursor[Row], found: Listed) -> int | None:
    """Exact rows, or None where the table is locked, slow, or not for us to read."""
    try:
        with cursor.connection.transaction():
            cursor.execute(b"SET LOCAL row_security = off")
            cursor.execute(b"SET LOCAL lock_timeout = '500ms'")
            return count_rows(cursor, found.table)
    except (
        psycopg.errors.LockNotAvailable,
        psycopg.errors.QueryCanceled,
        psycopg.errors.InsufficientPrivilege,
    ):
        return None
