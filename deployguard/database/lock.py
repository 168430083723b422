"""The lock in the PostgreSQL server: held by a session of its own, so that a crash frees it."""

import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import Connection

from deployguard.database.base import LockHolder
from deployguard.database.session import NAME_LIMIT, Row, Session
from deployguard.errors import Busy, EnvironmentUnreachable
from deployguard.model import Json

PAUSE = 0.2  # seconds between two tries
MAINTENANCE = "postgres"  # the database that every server has
ENDING = 10.0  # seconds that a session that was ended may take to let its lock go
ASKING = "deployguard-unlock"  # who only asks

_HOLDERS = """
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = %s"""
_HOLDER = f"SELECT a.pid, a.application_name, a.backend_start {_HOLDERS}".encode()
# One statement, so that the session that is ended is the one that was judged.
_END = f"SELECT pg_terminate_backend(a.pid) {_HOLDERS} AND a.pid = %s AND a.backend_start = %s".encode()
_SELF = b"SELECT pid, application_name, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"


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

    def session(self) -> Json:
        try:
            found = _read(self.connection.execute(_SELF).fetchone())
        except psycopg.Error:
            return None
        return found.mark if found else None


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
    lock = _lock_session(session, application())
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


def application(host: str = "", pid: int = 0, purpose: str = "lock") -> str:
    """The application_name of the lock's session: which process on which host holds it; this one by default."""
    begin, end = f"deployguard-{purpose}:", f":{pid or os.getpid()}"
    room = NAME_LIMIT - len(begin) - len(end)
    name = (host or socket.gethostname()).encode("ascii", "replace").decode()
    return f"{begin}{name[:room]}{end}"


def holder(session: Session, key: str) -> LockHolder | None:
    """Who holds the lock now; None when it is free. Raises EnvironmentUnreachable."""
    lock = _lock_session(session, ASKING)
    try:
        with lock.cursor() as cursor:
            return _read(cursor.execute(_HOLDER, [number(key)]).fetchone())
    finally:
        lock.close()


def end(session: Session, key: str, who: LockHolder) -> bool:
    """End exactly that session, if it still holds the lock; whether it is gone. Raises EnvironmentUnreachable."""
    lock = _lock_session(session, ASKING)
    deadline = time.monotonic() + ENDING
    try:
        with lock.cursor() as cursor:
            cursor.execute(_END, [number(key), who.pid, who.since])
            while _read(cursor.execute(_HOLDER, [number(key)]).fetchone()) == who:
                if time.monotonic() > deadline:
                    return False
                time.sleep(PAUSE)
            return True
    finally:
        lock.close()


def take_here(connection: Connection[Row], key: str) -> bool:
    """Take the lock for the session of this connection, in its own database, if it is free."""
    row = connection.execute(b"SELECT pg_try_advisory_lock(%s)", [number(key)]).fetchone()
    return bool(row and row[0])


def holder_here(connection: Connection[Row], key: str) -> LockHolder | None:
    """Who holds the lock in the database of this connection."""
    return _read(connection.execute(_HOLDER, [number(key)]).fetchone())


def free_here(connection: Connection[Row], key: str) -> None:
    """Let the lock go that the session of this connection holds."""
    connection.execute(b"SELECT pg_advisory_unlock(%s)", [number(key)])


def _read(row: Row | None) -> LockHolder | None:
    if row is None:
        return None
    pid, application_name, since = row
    return LockHolder(pid, application_name or "", since.isoformat() if since else "")


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
        if take_here(connection, key):
            return None
        return _busy(lock, key, holder_here(connection, key))


def _busy(lock: Session, key: str, holder: LockHolder | None) -> Busy:
    who = holder or "a session that just ended"
    return Busy(
        f"Another deploy holds the lock {key!r} on {lock.url.display()}: {who}.",
        next_commands=("deployguard status", "deployguard unlock"),
    )
