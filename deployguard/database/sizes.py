"""How many rows PostgreSQL tables hold and what they take on disk, asked so that nobody has to wait."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import psycopg
from psycopg import Cursor

from deployguard.database.base import Table, label
from deployguard.database.session import Row, quoted
from deployguard.model import TableFact

PAGE: Final = 8192
SMALL: Final = 1_000_000  # bytes up to which a table is counted instead of estimated
ALTOGETHER: Final = 32_000_000  # bytes that are read for counting at most
MANY: Final = (
    250  # tables that are counted at most: each takes a place in the server's table of locks
)
UNKNOWN: Final = -1

# Measuring a table takes the weakest lock on it, its indexes and its TOAST table, and would queue behind whoever
# holds the strongest or waits for it: those tables are left out. What belongs to an extension is its own affair.
_TABLES: Final = """
WITH locked AS (
  SELECT DISTINCT coalesce(kept.oid, i.indrelid, l.relation) AS oid FROM pg_locks l
  LEFT JOIN pg_index i ON i.indexrelid = l.relation
  LEFT JOIN pg_class kept ON kept.reltoastrelid = coalesce(i.indrelid, l.relation) AND kept.reltoastrelid <> 0
  WHERE l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND l.pid <> pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
SELECT c.oid::bigint, n.nspname, c.relname, current_schema(), c.relkind = 'p',
  c.reltuples::bigint, c.relpages::bigint, pg_stat_get_live_tuples(c.oid),
  {sizes},
  c.relkind IN ('r', 'm') AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
    AND (c.relkind = 'm' OR NOT row_security_active(c.oid)),
  c.relkind = 'm' AND NOT c.relispopulated,
  (SELECT array_agg(h.inhparent::bigint) FROM pg_inherits h WHERE h.inhrelid = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN locked ON locked.oid = c.oid
WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname"""
_MEASURED: Final = """CASE WHEN locked.oid IS NULL THEN pg_relation_size(c.oid) END,
  CASE WHEN locked.oid IS NULL THEN pg_table_size(c.oid) END,
  CASE WHEN locked.oid IS NULL THEN pg_indexes_size(c.oid) END"""
_LISTED: Final = "NULL::bigint, NULL::bigint, NULL::bigint"


@dataclass(frozen=True, slots=True)
class _Seen:
    table: Table
    tuples: int  # the planner's estimate; -1: never analysed
    pages: int  # … of the time when that was made
    alive: int | None  # what the statistics collector counted; None: nothing
    heap: int | None  # bytes now; None: not measured
    own: int | None  # … with TOAST
    indexes: int | None
    countable: bool
    parents: tuple[int, ...]


def facts(cursor: Cursor[Row]) -> tuple[TableFact, ...]:
    """Every user table and materialized view in order of name: its rows, exact where it is small, and its bytes.

    What is locked, or cannot be measured in time, is told as unknown (-1), never guessed small.
    """
    seen = _read(cursor)
    counts = _counts(cursor, seen)
    own = {oid: _fact(one, counts.get(oid)) for oid, one in seen.items()}
    children: dict[int, list[int]] = {}
    for oid, one in seen.items():
        for parent in one.parents:
            children.setdefault(parent, []).append(oid)
    return tuple(_with_parts(oid, seen, own, children) for oid in seen)


def _read(cursor: Cursor[Row]) -> dict[int, _Seen]:
    try:
        with cursor.connection.transaction():
            cursor.execute(b"SET LOCAL lock_timeout = '500ms'")
            rows = cursor.execute(_TABLES.format(sizes=_MEASURED).encode()).fetchall()
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        # Somebody took a lock just now, or there are very many: then what the catalogue knows by itself.
        rows = cursor.execute(_TABLES.format(sizes=_LISTED).encode()).fetchall()
    found: dict[int, _Seen] = {}
    for row in rows:
        oid, schema, name, default, partitioned, tuples, pages, alive = row[:8]
        heap, own, indexes, countable, empty, parents = row[8:]
        table = Table(schema, name, label(schema, name, default or ""), partitioned)
        found[oid] = _Seen(
            table,
            tuples,
            pages,
            alive or None,
            heap,
            own,
            indexes,
            countable and not empty,
            tuple(parents or ()),
        )
    return found


def _counts(cursor: Cursor[Row], seen: Mapping[int, _Seen]) -> dict[int, int]:
    """Exact rows of the small tables, in one question; none at all when one of them is locked or slow after all."""
    chosen: list[int] = []
    left = ALTOGETHER
    for oid, one in sorted(seen.items(), key=lambda item: item[1].heap or 0):
        if one.countable and one.heap and one.heap <= min(SMALL, left) and len(chosen) < MANY:
            chosen.append(oid)
            left -= one.heap
    if not chosen:
        return {}
    query = b" UNION ALL ".join(
        b"SELECT %d::bigint, count(*) FROM ONLY " % oid
        + quoted(seen[oid].table.schema, seen[oid].table.name).as_bytes(cursor)
        for oid in chosen
    )
    try:
        with cursor.connection.transaction():
            cursor.execute(b"SET LOCAL lock_timeout = '500ms'; SET LOCAL row_security = off")
            return dict(cursor.execute(query).fetchall())
    except (
        psycopg.errors.LockNotAvailable,
        psycopg.errors.QueryCanceled,
        psycopg.errors.InsufficientPrivilege,
        psycopg.errors.ObjectNotInPrerequisiteState,
    ):
        return {}


def _fact(one: _Seen, counted: int | None) -> TableFact:
    empty = one.heap == 0 and not one.table.partitioned
    rows = 0 if empty else _estimate(one) if counted is None else counted
    return TableFact(
        one.table.label,
        rows,
        UNKNOWN if one.own is None else one.own,
        exact=empty or counted is not None,
        index_bytes=UNKNOWN if one.indexes is None else one.indexes,
    )


def _estimate(one: _Seen) -> int:
    """The planner's own way: rows a page when the table was last analysed, times the pages that it has now."""
    if one.tuples >= 0 and one.pages > 0:
        pages = one.pages if one.heap is None else one.heap / PAGE
        return round(one.tuples / one.pages * pages)
    return UNKNOWN if one.alive is None else one.alive


def _with_parts(
    oid: int,
    seen: Mapping[int, _Seen],
    own: Mapping[int, TableFact],
    children: Mapping[int, Sequence[int]],
) -> TableFact:
    """A table with what is below it: a statement on a parent works through all of its partitions."""
    fact = own[oid]
    parents = [own[parent].table for parent in seen[oid].parents if parent in own]
    below = list(dict.fromkeys(_below(oid, children)))
    parts = [own[each] for each in below if not seen[each].table.partitioned]
    if not seen[oid].table.partitioned:
        parts.append(fact)
    return replace(
        fact,
        rows=_total([part.rows for part in parts]),
        bytes=_total([part.bytes for part in parts]),
        exact=all(part.exact for part in parts),
        index_bytes=_total([part.index_bytes for part in parts]),
        partition_of=parents[0] if parents else None,
        partitions=tuple(sorted(own[each].table for each in children.get(oid, ()))),
    )


def _below(oid: int, children: Mapping[int, Sequence[int]]) -> list[int]:
    direct = list(children.get(oid, ()))
    return direct + [each for child in direct for each in _below(child, children)]


def _total(amounts: Sequence[int]) -> int:
    return UNKNOWN if UNKNOWN in amounts else sum(amounts)
