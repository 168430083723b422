"""A logical replication slot that begins exactly at a backup's snapshot: it holds what was changed since.

Made by a replication connection, which exports the snapshot that the slot begins at; pg_dump then reads the same one.
It is only ever looked at (pg_logical_slot_peek_changes), never consumed. Until it is dropped the server keeps its
write-ahead log from there on, so it is small or gone: ``Slot.pinned`` says how much that is.
Source: the PostgreSQL manual, "Replication Slots", "Streaming Replication Protocol" and "pg_replication_slots".
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import psycopg

from deployguard.database import writes
from deployguard.database.changes import Line
from deployguard.database.session import Row, Session, quoted
from deployguard.errors import EnvironmentUnreachable

PLUGIN: Final = "test_decoding"
PREFIX: Final = "deployguard_"
APPLICATION: Final = "deployguard-slot"
OLDEST: Final = (11,)  # before it, what a table's rewrite writes is decoded as well
PATIENCE: Final = 15.0  # seconds: the server waits for every transaction that is open now
_ENDING: Final = 10.0  # seconds that whoever uses a slot of ours may take to go
_FLUSHING: Final = 10.0  # seconds that the server's WAL writer may take
_PAUSE: Final = 0.05
_BATCH: Final = 500  # changes that come over at once
_READING: Final = 600_000  # milliseconds
_WELL: Final = ("reserved", "extended")

_SLOTS: Final = """
SELECT slot_name, coalesce(plugin, ''), coalesce(database, ''), active_pid, coalesce(confirmed_flush_lsn::text, ''),
       {status}, coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
                          ELSE pg_current_wal_lsn() END, restart_lsn), 0)::bigint
FROM pg_replication_slots WHERE slot_name LIKE 'deployguard\\_%' ORDER BY 1"""
_MAY: Final = """
SELECT rolsuper OR rolreplication
       OR EXISTS (SELECT FROM pg_roles r WHERE r.rolname = 'rds_replication' AND pg_has_role(r.oid, 'MEMBER'))
FROM pg_roles WHERE rolname = current_user"""
_PEEK: Final = b"""
SELECT lsn::text, xid::text::bigint, data FROM pg_logical_slot_peek_changes(%s, NULL, %s,
  'include-xids', '1', 'include-timestamp', '1', 'skip-empty-xacts', '0')"""


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot of ours on a server. ``pinned``: bytes of write-ahead log that the server keeps for it."""

    name: str
    plugin: str
    database: str
    user: int | None  # the server process that reads it now
    position: str  # where it begins, as the log's position "0/192ADF8"
    status: str  # the server's word; "reserved" and "extended" are well
    pinned: int


@dataclass(frozen=True, slots=True)
class Made:
    """A slot that was just made: where it begins, and the snapshot of that moment, for other sessions to take up."""

    name: str
    position: str
    snapshot: str


def why_not(session: Session) -> str:
    """Why no slot can be made on this server, as far as that is seen beforehand; "" when it can be tried."""
    row = session.rows("SELECT current_setting('wal_level'), pg_is_in_recovery()")[0]
    if row[1]:
        return "the backup is read from a standby"
    if row[0] != "logical":
        return f"the server's wal_level is {row[0]}, not logical"
    if (session.connection().info.server_version // 10_000,) < OLDEST:
        return "the server is older than PostgreSQL 11"
    return ""


def may_use(session: Session) -> bool:
    """Whether the session's role may read and drop slots; on RDS a role of its own gives that."""
    return bool(session.rows(_MAY)[0][0])


@contextmanager
def made(session: Session, database: str, name: str, patience: float = PATIENCE) -> Iterator[Made]:
    """Make the slot anew; its snapshot can be taken up until the block ends. The slot stays.

    Raises EnvironmentUnreachable where none can be made; nothing is left then.
    """
    drop(session, name)
    replication = session.elsewhere(database, APPLICATION)
    replication.parameters["replication"] = "database"
    connection = replication.connection()
    late = threading.Timer(patience, replication.cancel)
    late.daemon = True
    try:
        with replication.translated():
            statement = b"CREATE_REPLICATION_SLOT %s LOGICAL %s EXPORT_SNAPSHOT" % (
                quoted(name).as_bytes(connection),
                PLUGIN.encode(),
            )
            late.start()
            try:
                row = connection.execute(statement).fetchone()
            finally:
                late.cancel()
                late.join()
        if row is None:
            raise EnvironmentUnreachable("The server made no replication slot.")
        # Anything else that is asked of this connection would end the snapshot.
        yield Made(name, str(row[1]), str(row[2]))
    finally:
        replication.close()


def slots(session: Session) -> tuple[Slot, ...]:
    """Every slot of ours on the server, whichever database it is of."""
    status = "coalesce(wal_status, 'lost')" if _version(session) >= (13,) else _OLD_STATUS
    return tuple(Slot(*row) for row in session.rows(_SLOTS.format(status=status)))


_OLD_STATUS: Final = "CASE WHEN restart_lsn IS NULL THEN 'lost' ELSE 'reserved' END"


def drop(session: Session, name: str) -> bool:
    """Drop a slot of ours, whoever still makes or reads it; whether there was one."""
    deadline, there = time.monotonic() + _ENDING, False
    while found := [one for one in slots(session) if one.name == name]:
        there = True
        try:
            with session.cursor() as cursor:
                if found[0].user is not None:
                    cursor.execute(b"SELECT pg_terminate_backend(%s)", [found[0].user])
                else:
                    cursor.execute(b"SELECT pg_drop_replication_slot(%s)", [name])
        except EnvironmentUnreachable:
            if time.monotonic() > deadline:
                raise
        if time.monotonic() > deadline:
            raise EnvironmentUnreachable(f"The replication slot {name} could not be dropped.")
        time.sleep(_PAUSE)
    return there


def unusable(found: Slot | None, database: str, position: str) -> str:
    """Why a slot does not hold what came after ``position`` in this database; "" when it does. Pure."""
    if found is None:
        return "the replication slot is not there any more"
    if found.database != database:
        return f"the replication slot is of the database {found.database}"
    if found.plugin != PLUGIN or found.position != position:
        return "somebody has read the replication slot, so it does not begin at the backup any more"
    if found.status not in _WELL:
        return (
            f"the server gave up the log of the replication slot (its wal_status is {found.status})"
        )
    return ""


@contextmanager
def reading(
    session: Session, database: str, name: str, most: int | None
) -> Iterator[Iterator[Line]]:
    """Everything that was committed before this call, in the order of the commits, a portion at a time.

    ``most``: changes after which the server stops at the end of a transaction. Raises EnvironmentUnreachable.
    """
    other = session.elsewhere(database, APPLICATION)
    try:
        connection = other.connection()
        with other.translated():
            _flush(other)
            with connection.transaction():
                connection.execute(b"SET TRANSACTION READ ONLY")
                connection.execute(b"SET LOCAL statement_timeout = %d" % _READING)
                with connection.cursor(name="changes") as cursor:
                    cursor.itersize = _BATCH
                    cursor.execute(_PEEK, [name, most])
                    yield iter(cursor)
    finally:
        other.close()


def _flush(session: Session) -> None:
    """Wait until what is committed is on the server's disk: a slot shows nothing before that.

    Without synchronous_commit that may take a moment. A transaction that is rolled back makes the server hurry.
    """
    connection = session.connection()
    writes.take_id(connection, _version(session))
    row = connection.execute(b"SELECT pg_current_wal_insert_lsn()::text").fetchone() or ("0/0",)
    deadline = time.monotonic() + _FLUSHING
    while not _flushed(connection, str(row[0])):
        if time.monotonic() > deadline:
            raise EnvironmentUnreachable("The server does not write its log to the disk.")
        time.sleep(_PAUSE)


def _flushed(connection: psycopg.Connection[Row], position: str) -> bool:
    query = b"SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn"
    row = connection.execute(query, [position]).fetchone()
    return bool(row and row[0])


def _version(session: Session) -> tuple[int, ...]:
    number = session.connection().info.server_version
    return (number // 10_000, number % 10_000)
