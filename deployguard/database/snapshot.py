"""What a PostgreSQL database holds at one instant, while others (pg_dump) look at the same instant."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import psycopg
from psycopg import Cursor

from deployguard.database import beyond, slot, tables
from deployguard.database.base import VERSION_TABLE, Table, qualified
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.session import Row, Session, quoted
from deployguard.errors import DeployguardError, EnvironmentUnreachable
from deployguard.model import Json

_STATE: Final = b"""
SELECT pg_export_snapshot(), pg_database_size(current_database()), current_setting('server_version'),
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text,
  (SELECT count(*) FROM pg_largeobject_metadata)"""
# Those of an extension are its own affair: pg_dump leaves their values out.
_SEQUENCES: Final = b"""
SELECT s.schemaname, s.sequencename, s.last_value, s.cycle FROM pg_sequences s
JOIN pg_namespace n ON n.nspname = s.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename AND c.relkind = 'S'
WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                  AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2"""
_AT_ONCE: Final = 200  # tables that are locked with one statement
_TRIES: Final = (
    5  # times that the tables are listed anew, because one of them was dropped meanwhile
)


@dataclass(frozen=True, slots=True)
class Instant:
    """One snapshot: its name for pg_dump, and what it shows. Sizes in bytes.

    ``sequences`` are last values by ``schema.name`` (None: never used, or hidden from us). They stand outside of
    transactions, so a dump of the same snapshot may hold a later value. ``cycling`` are those that begin anew.
    """

    name: str
    tables: tuple[Table, ...]  # those that hold rows themselves
    revision: tuple[str, ...]
    sequences: Mapping[str, int | None]
    cycling: frozenset[str]
    large_objects: int
    position: str  # in the write-ahead log
    bytes: int
    server: str
    session: Session = field(
        repr=False, compare=False
    )  # the one that holds the snapshot and the locks
    # of the replication slot that begins here: its name, where, and what it will not show; or ``without``: why not
    slot: Mapping[str, Json] = field(default_factory=dict)


@contextmanager
def exported(
    database: PostgresDatabase,
    *,
    application: str,
    version_table: str = VERSION_TABLE,
    slot_name: str = "",
) -> Iterator[Instant]:
    """A snapshot that other sessions can take up until the block ends.

    With ``slot_name`` a logical replication slot is made that begins exactly here, where the server can; it stays.

    Its tables are locked (ACCESS SHARE, as pg_dump does it) before it is taken: none of them can be dropped, and none
    can be rewritten so that the snapshot would show it empty. Raises EnvironmentUnreachable.
    """
    session = database.session.elsewhere(database.name, application)
    try:
        with session.reading(timeout=0) as cursor:
            if database.server_version >= (17,):
                cursor.execute(b"SET LOCAL transaction_timeout = 0")
            _lock(database, cursor)
            begun = _begin_slot(database, cursor, slot_name) if slot_name else {}
            yield _look(cursor, version_table, session, begun)
    finally:
        session.close()


def _lock(database: PostgresDatabase, cursor: Cursor[Row]) -> None:
    """Lock every table, before the transaction's snapshot is taken: the list is another session's."""
    for attempt in range(1, _TRIES + 1):
        with database.session.reading() as other:
            found = holding_rows(other)
        try:
            with cursor.connection.transaction():
                for start in range(0, len(found), _AT_ONCE):
                    cursor.execute(_lock_statement(cursor, found[start : start + _AT_ONCE]))
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            if attempt == _TRIES:
                raise
        else:
            return


def _lock_statement(cursor: Cursor[Row], some: Sequence[Table]) -> bytes:
    names = b", ".join(b"ONLY " + quoted(t.schema, t.name).as_bytes(cursor) for t in some)
    return b"LOCK TABLE " + names + b" IN ACCESS SHARE MODE"


def holding_rows(cursor: Cursor[Row]) -> tuple[Table, ...]:
    """The tables that hold rows themselves."""
    return tuple(table for table in tables.listed(cursor) if not table.partitioned)


def _begin_slot(database: PostgresDatabase, cursor: Cursor[Row], name: str) -> dict[str, Json]:
    """Make the slot, and take its snapshot for this transaction's; why not, where that cannot be."""
    why = slot.why_not(database.session)
    if why:
        return {"without": why}
    try:
        with slot.made(database.session, database.name, name) as found:
            cursor.execute(b"SET TRANSACTION SNAPSHOT '%s'" % found.snapshot.encode())
        return {"name": found.name, "position": found.position, **beyond.there(cursor)}
    except EnvironmentUnreachable as error:
        return {"without": error.message.rstrip(".")}


def _look(
    cursor: Cursor[Row], version_table: str, session: Session, begun: Mapping[str, Json]
) -> Instant:
    state = cursor.execute(_STATE).fetchone() or ("", 0, "", "", 0)
    found = cursor.execute(_SEQUENCES).fetchall()
    return Instant(
        name=str(state[0]),
        tables=holding_rows(cursor),
        revision=_revision(cursor, version_table),
        sequences={f"{schema}.{name}": value for schema, name, value, _ in found},
        cycling=frozenset(f"{schema}.{name}" for schema, name, _, cycle in found if cycle),
        large_objects=int(state[4]),
        position=str(state[3]),
        bytes=int(state[1]),
        server=str(state[2]),
        session=session,
        slot=begun,
    )


def sequences(database: PostgresDatabase) -> dict[str, int | None]:
    """Last values by ``schema.name``; None: never used, or hidden from us."""
    query = "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2"
    for again in (True, True, True, False):
        try:
            found = database.session.rows(query, timeout=0)  # there may be very many
        except DeployguardError as error:
            # One that is dropped just now is still seen, and cannot be read; the next look does not see it.
            if not again or "could not open relation" not in error.message:
                raise
        else:
            break
    return {f"{schema}.{name}": value for schema, name, value in found}


def large_objects(database: PostgresDatabase) -> int:
    """How many there are."""
    query = "SELECT count(*) FROM pg_largeobject_metadata"
    return int(database.session.rows(query, timeout=0)[0][0])  # there may be very many


def sequence_problems(
    before: Mapping[str, int | None],
    after: Mapping[str, int | None],
    found: Mapping[str, int | None],
) -> tuple[str, ...]:
    """Sequences of a restored database that cannot be what was dumped, as sentences; pure.

    The dump holds a value from between ``before`` and ``after``; of a sequence that is not in ``after`` it is only
    known that it had one.
    """
    said = []
    for name, first in sorted(before.items()):
        if first is None:
            continue
        have, last = found.get(name), after.get(name)
        if have is None:
            said.append(f"sequence {name} has no value")
        elif last is not None and not min(first, last) <= have <= max(first, last):
            said.append(f"sequence {name} is at {have}, it was at {first}")
    return tuple(said)


def _revision(cursor: Cursor[Row], version_table: str) -> tuple[str, ...]:
    query = b"SELECT version_num FROM " + quoted(*qualified(version_table)).as_bytes(cursor)
    try:
        with cursor.connection.transaction():
            cursor.execute(b"SET LOCAL row_security = off")
            return tuple(sorted(str(row[0]) for row in cursor.execute(query).fetchall()))
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return ()
