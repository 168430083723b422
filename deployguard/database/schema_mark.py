"""One text that differs whenever a PostgreSQL schema does, made by the server: it saves reading the schema again."""

from typing import Final

import psycopg
from psycopg import Cursor

from deployguard.database.session import Row

# Everything that catalogue.py, and what it asks SQLAlchemy for, is made of. No counters: they move with every row.
_MARK: Final = b"""
WITH ours AS (
  SELECT oid FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), relations AS (SELECT c.* FROM pg_class c WHERE c.relnamespace IN (SELECT oid FROM ours)
), told(kind, line) AS (
  SELECT 'session', ROW(current_schemas(true), current_user, version())::text
  UNION ALL SELECT 'namespace', ROW(oid, nspname)::text FROM pg_namespace WHERE oid IN (SELECT oid FROM ours)
  UNION ALL SELECT 'class', ROW(oid, relname, relnamespace, relkind, relpersistence, relispartition, reloptions,
                                relam, reltablespace, relpartbound::text)::text FROM relations
  UNION ALL SELECT 'attribute', ROW(attrelid, attnum, attname, atttypid, atttypmod, attnotnull, atthasdef,
                                    attidentity, attgenerated, attisdropped, attcollation)::text
    FROM pg_attribute WHERE attnum > 0 AND attrelid IN (SELECT oid FROM relations)
  UNION ALL SELECT 'default', d::text FROM pg_attrdef d WHERE adrelid IN (SELECT oid FROM relations)
  UNION ALL SELECT 'constraint', k::text FROM pg_constraint k WHERE connamespace IN (SELECT oid FROM ours)
  UNION ALL SELECT 'index', i::text FROM pg_index i WHERE indrelid IN (SELECT oid FROM relations)
  UNION ALL SELECT 'inherits', h::text FROM pg_inherits h WHERE inhrelid IN (SELECT oid FROM relations)
  UNION ALL SELECT 'partitioned', p::text FROM pg_partitioned_table p WHERE partrelid IN (SELECT oid FROM relations)
  UNION ALL SELECT 'view', ROW(ev_class, ev_action::text)::text FROM pg_rewrite
    WHERE ev_class IN (SELECT oid FROM relations)
  UNION ALL SELECT 'type', t::text FROM pg_type t WHERE typnamespace IN (SELECT oid FROM ours)
  UNION ALL SELECT 'enum', e::text FROM pg_enum e
  UNION ALL SELECT 'sequence', s::text FROM pg_sequence s
  UNION ALL SELECT 'comment', d::text FROM pg_description d
    WHERE classoid = 'pg_class'::regclass AND objoid IN (SELECT oid FROM relations)
  UNION ALL SELECT 'extension', ROW(oid, extname, extversion)::text FROM pg_extension
  UNION ALL SELECT 'collation', ROW(oid, collname, collnamespace)::text FROM pg_collation
    WHERE collnamespace IN (SELECT oid FROM ours)
  UNION ALL SELECT 'function', ROW(oid, proname, pronamespace)::text FROM pg_proc
    WHERE pronamespace IN (SELECT oid FROM ours)
)
SELECT md5(string_agg(kind || ' ' || line, E'\\n' ORDER BY kind COLLATE "C", line COLLATE "C")) FROM told"""


def schema_mark(cursor: Cursor[Row]) -> str:
    """The mark; "" where the server does not tell (too slow, or it may not hash)."""
    try:
        row = cursor.execute(_MARK).fetchone()
    except psycopg.Error:
        return ""
    return str(row[0]) if row and row[0] else ""
