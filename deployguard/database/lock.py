"""The lock in the PostgreSQL server: held by a session of its own, so that a crash frees it."""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import Connection

from deployguard.database.session import Row, Session
from deployguard.errors import Busy, EnvironmentUnreachable

PAUSE = 0.2  # seconds between two tries
MAINTENANCE = "postgres"  # the database that every server has

_HOLDER = b"""
SELECT a.pid, a.application_name, a.backend_start FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = %s"""


@dataclass(frozen=True, slots=True)
class SessionLock:
    """The lock lives exactly as long as this connection."""

    connection: Connection[Row]

    def held(self) -> bool:
        try:
            self.connection.execute(b"SELECT 1")
        except psycopg.Error:
            return False
        return True


def number(key: str) -> int:
    """The key as the 64-bit number that the server wants."""
    digest = hashlib.sha256(f"deployguard:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@contextmanager
def hold(
    session: Session,
    key: str,
    wait: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[SessionLock]:
    """Hold the lock on a connection of its own, outside of any transaction.

    The lock lives in the database "postgres" where that can be reached: locks belong to one database, and a restore
    renames the one that is deployed to. Polled, because a waiting lock would be a transaction that is held open.
    """
    lock = _lock_session(session, f"deployguard-lock:{key}")
    deadline = clock() + wait
    try:
        connection = lock.connection()
        _live_long(connection)
        while (busy := _acquire(lock, connection, key)) is not None:
            if clock() >= deadline:
                raise busy
            sleep(PAUSE)
        yield SessionLock(connection)
    finally:
        with suppress(psycopg.Error):  # closing is what frees it
            lock.close()


def _lock_session(session: Session, application: str) -> Session:
    session.connection()  # finds the address
    lock = session.elsewhere(MAINTENANCE, application)
    try:
        lock.connection()
    except EnvironmentUnreachable:
        return session.elsewhere(session.parameters.get("dbname", ""), application)
    return lock


def _live_long(connection: Connection[Row]) -> None:
    """A deploy may take hours in which this session is silent."""
    if connection.info.server_version >= 140_000:
        connection.execute(b"SET idle_session_timeout = 0")


def _acquire(lock: Session, connection: Connection[Row], key: str) -> Busy | None:
    """Try once; the error to raise when it is taken."""
    with lock.translated():
        row = connection.execute(b"SELECT pg_try_advisory_lock(%s)", [number(key)]).fetchone()
        if row and row[0]:
            return None
        return _busy(lock, key, connection.execute(_HOLDER, [number(key)]).fetchone())


def _busy(lock: Session, key: str, holder: Row | None) -> Busy:
    who = "a session that just ended"
    if holder is not None:
        pid, application, since = holder
        who = f"server process {pid} ({application or 'unnamed'}), connected since {since:%Y-%m-%d %H:%M:%S%z}"
    return Busy(
        f"Another deploy holds the lock {key!r} on {lock.url.display()}: {who}.",
        next_commands=("deployguard status",),
    )
