"""Whether a PostgreSQL database was written to while nobody looked, by its own counters.

Transaction ids belong to the whole server, and a restore beside the live database takes thousands of them. The
counters of written rows belong to one database. A session hands its counts in at the latest when it ends, before the
server lets its database be renamed: so once everybody has been ended, equal counters mean that nobody wrote.

What ANALYZE writes is left out of the counters that are taken inside the database, for autovacuum runs it at any
time; TRUNCATE and other changes of the schema show in the counters of the system's own tables. From outside of the
database only one sum is to be had, with everything in it.
Source: the PostgreSQL manual, "The Cumulative Statistics System".
"""

from typing import Final

from psycopg import Cursor

from deployguard.database.session import Row
from deployguard.model import Json

_INSIDE: Final = b"""
SELECT d.oid::bigint, d.stats_reset::text, pg_postmaster_start_time()::text, current_setting('track_counts'),
       coalesce(sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::bigint,
       md5(coalesce(string_agg(concat_ws(',', s.relid, s.n_tup_ins, s.n_tup_upd, s.n_tup_del), ';'
                               ORDER BY s.relid), ''))
FROM (SELECT oid, (SELECT stats_reset FROM pg_stat_database b WHERE b.datid = a.oid) AS stats_reset
      FROM pg_database a WHERE datname = current_database()) d
LEFT JOIN (pg_stat_all_tables s JOIN pg_class c ON c.oid = s.relid AND NOT c.relisshared)
       ON s.schemaname <> 'pg_toast' AND s.relname NOT IN ('pg_statistic', 'pg_statistic_ext_data')
      AND s.schemaname !~ '^pg_(toast_)?temp'
      AND s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0
GROUP BY 1, 2, 3, 4"""
_OUTSIDE: Final = b"""
SELECT concat_ws(',', datid, stats_reset, tup_inserted, tup_updated, tup_deleted)
FROM pg_stat_database WHERE datid = %s"""


def inside(cursor: Cursor[Row]) -> Json:
    """What was written to each table of the database that the cursor is in; ``{}`` when that is not counted."""
    row = cursor.execute(_INSIDE).fetchone()
    if row is None or row[3] != "on":
        return {}
    database, reset, started, _, rows, digest = row
    return {
        "database": database,
        "reset": reset,
        "started": started,
        "rows": rows,
        "tables": digest,
    }


def outside(cursor: Cursor[Row], number: int) -> str:
    """All that is counted of the database with this oid, from whatever database; "" when there is no such one."""
    row = cursor.execute(_OUTSIDE, [number]).fetchone()
    return str(row[0]) if row else ""


def rows_between(before: Json, now: Json) -> int | None:
    """How many rows were written between two answers of ``inside``; None is unknown, and 0 is a proof."""
    if not isinstance(before, dict) or not isinstance(now, dict) or not before or not now:
        return None
    if before == now:
        return 0
    if any(before.get(key) != now.get(key) for key in ("database", "reset", "started")):
        return None
    first, last = before.get("rows"), now.get("rows")
    if not isinstance(first, int) or not isinstance(last, int) or last <= first:
        return None
    return last - first
