"""Whether others have written since a mark, said only as far as it can be proven.

PostgreSQL gives every transaction that changes a row, a catalogue entry or a logged sequence a transaction id, and
gives ids to nothing else: reading, checkpoints, hint bits and vacuum's cleaning need none. So the ids handed out
since the mark, less those that were rolled back, are an upper bound of the transactions that wrote. Up to which id
they were handed out is found by taking one and rolling back: a snapshot only knows the last one that ended.
The one that last wrote Alembic's version table is the migration itself and is taken off. What is left is "at most n",
for the ids count for the whole server, sub-transactions and autovacuum's ANALYZE included; 0 is therefore a proof.

It is unknown (None) when the server was replaced or failed over, when the database is another one of the same name,
when there are too many ids to look at, or when the server has forgotten how one ended.
Source: the PostgreSQL manual, "Transaction ID and Snapshot Information Functions".
"""

from collections.abc import Mapping, Sequence
from typing import Final

import psycopg
from psycopg import Connection, Cursor

from deployguard.database.session import Row, quoted
from deployguard.model import Json

TOO_MANY: Final = 10_000  # ids that are looked at one by one
_WRAP: Final = 2**32  # a row's xmin holds the lower half of the id

_STATE: Final = """
SELECT pg_is_in_recovery(), (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       {snapshot}()::text"""
_TIMELINE: Final = b"SELECT system_identifier::text FROM pg_control_system()"
_HISTORY: Final = b"SELECT timeline_id::text FROM pg_control_checkpoint()"
_ENDED: Final = """
SELECT id, {status} FROM unnest(%s::bigint[]) AS id"""


def mark(cursor: Cursor[Row], version: tuple[int, ...]) -> Json:
    """Where the server's transaction ids stand; ``{}`` when that cannot be known."""
    snapshot = "pg_current_snapshot" if version >= (13,) else "txid_current_snapshot"
    row = cursor.execute(_STATE.format(snapshot=snapshot).encode()).fetchone()
    server, timeline = _optional(cursor, _TIMELINE), _optional(cursor, _HISTORY)
    if row is None or row[0] or server is None or timeline is None:
        return {}
    _, database, text = row
    _, upper, running = text.split(":")
    return {
        "server": server,
        "timeline": timeline,
        "database": database,
        "next": int(upper),
        "running": [int(number) for number in running.split(",") if number],
    }


def take_id(connection: Connection[Row], version: tuple[int, ...]) -> int | None:
    """The next transaction id, handed out to us and rolled back; None on a server that hands out none."""
    name = "pg_current_xact_id" if version >= (13,) else "txid_current"
    try:
        with connection.transaction(force_rollback=True):
            row = connection.execute(f"SELECT {name}()::text".encode()).fetchone()
    except psycopg.errors.ObjectNotInPrerequisiteState:  # a standby
        return None
    return int(row[0]) if row else None


def since(
    cursor: Cursor[Row],
    version: tuple[int, ...],
    before: Json,
    last: int | None,
    version_table: Sequence[str],
) -> int | None:
    """At most how many transactions other than the migration wrote after ``before``; None is unknown.

    ``last`` is what ``take_id`` gave just now.
    """
    now = mark(cursor, version)
    if not isinstance(before, dict) or not isinstance(now, dict) or not now:
        return None
    if any(before.get(key) != now[key] for key in ("server", "timeline", "database")):
        return None
    first, running = before.get("next"), before.get("running")
    if not isinstance(first, int) or last is None or not isinstance(running, list):
        return None
    ids = [number for number in running if isinstance(number, int)] + list(range(first, last))
    if len(ids) > TOO_MANY or first > last:
        return None
    ends = _ends(cursor, version, ids)
    if any(ends.get(number) is None for number in ids):
        return None
    ours = _writers(cursor, version_table)
    return sum(ends[number] != "aborted" and number % _WRAP not in ours for number in ids)


def _ends(
    cursor: Cursor[Row], version: tuple[int, ...], ids: Sequence[int]
) -> Mapping[int, str | None]:
    """How each transaction ended: "committed", "aborted", "in progress", or None when that is forgotten."""
    status = "pg_xact_status(id::text::xid8)" if version >= (13,) else "txid_status(id)"
    try:
        with cursor.connection.transaction():
            return dict(cursor.execute(_ENDED.format(status=status).encode(), [ids]).fetchall())
    except psycopg.errors.InvalidParameterValue:  # an id that was never handed out
        return {}


def _writers(cursor: Cursor[Row], version_table: Sequence[str]) -> frozenset[int]:
    """The transactions that wrote the rows of Alembic's version table."""
    query = b"SELECT xmin::text::bigint FROM " + quoted(*version_table).as_bytes(cursor)
    try:
        with cursor.connection.transaction():
            return frozenset(int(row[0]) for row in cursor.execute(query).fetchall())
    except psycopg.errors.UndefinedTable:
        return frozenset()


def _optional(cursor: Cursor[Row], query: bytes) -> str | None:
    """A value that some hosts of PostgreSQL do not let everyone read."""
    try:
        with cursor.connection.transaction():
            row = cursor.execute(query).fetchone()
    except (psycopg.errors.InsufficientPrivilege, psycopg.errors.UndefinedFunction):
        return None
    return str(row[0]) if row else None


def server_identifier(cursor: Cursor[Row]) -> str | None:
    """The number that the server's files were born with, or None where it is hidden from us."""
    return _optional(cursor, _TIMELINE)
