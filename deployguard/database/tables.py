"""Which tables a PostgreSQL database has, and exactly how many rows they hold."""

from typing import Final

from psycopg import Cursor

from deployguard.database.base import Table, label
from deployguard.database.session import Row, quoted

# Tables that belong to an extension are its own affair: pg_dump leaves them out as well.
_TABLES: Final = b"""
SELECT n.nspname, c.relname, c.relkind = 'p', current_schema()
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname"""


def listed(cursor: Cursor[Row]) -> tuple[Table, ...]:
    """Every user table, in order of its name; partitioned ones and their partitions both."""
    return tuple(
        Table(schema, name, label(schema, name, default or ""), partitioned)
        for schema, name, partitioned, default in cursor.execute(_TABLES)
    )


def below(cursor: Cursor[Row], table: Table) -> tuple[tuple[str, str], ...]:
    """(schema, table) of all partitions of a partitioned table, at every depth."""
    query = b"""SELECT n.nspname, c.relname FROM pg_partition_tree(%s::regclass) p
      JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace"""
    name = quoted(table.schema, table.name).as_string(cursor)
    return tuple((schema, part) for schema, part in cursor.execute(query, [name]).fetchall())


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
    tables = [table for table in listed(cursor) if not table.partitioned]
    return {table.label: count_rows(cursor, table) for table in tables}


def find(cursor: Cursor[Row], wanted: str) -> Table | None:
    """The table with this label."""
    return next((table for table in listed(cursor) if table.label == wanted), None)
