"""One connection that outlives its losses: it is opened again, and what was begun on it is tried again for a while.

A commit whose answer was lost may have arrived, or may arrive later. So the former server process is ended before
anything is tried again, and what is tried must be such that a second run changes nothing more.
"""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Final, NoReturn, TypeAlias, TypeVar

import psycopg
from psycopg import Connection

from deployguard.config import DatabaseUrl
from deployguard.database.base import Address, LockHolder
from deployguard.database.lock import application, holder_here, take_here
from deployguard.database.session import Row, Session
from deployguard.errors import EnvironmentUnreachable, UsageError

PAUSE: Final = 0.5  # seconds between two tries
ANSWER: Final = 10_000  # milliseconds that a statement of ours may take in the server
SILENCE: Final = 20.0  # seconds until a server that says nothing at all counts as lost
ENDING: Final = 10.0  # seconds that a server process that was ended may take to go
_T = TypeVar("_T")
Link: TypeAlias = Connection[Row]
_SELF: Final = b"SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"
_SETTINGS: Final = (
    f"SET statement_timeout = {ANSWER}",
    f"SET lock_timeout = {ANSWER // 2}",
    "SET idle_in_transaction_session_timeout = 0",
    # The server, too, must notice a host that is gone: this session holds locks.
    "SET tcp_keepalives_idle = 30",
    "SET tcp_keepalives_interval = 10",
    "SET tcp_keepalives_count = 3",
)
# A server that starts, stops, was a primary until now or is full may be well again in a moment.
_PASSING: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
)


class Lasting:
    """``prepare`` is called with each new connection; whatever of ours it raises ends the attempts.

    ``patience``: seconds for which a lost connection is tried again, once there was one; ``waiting`` is told why.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        prepare: Callable[["Lasting"], None],
        *,
        patience: float,
        purpose: str,
        address: Address | None = None,
        waiting: Callable[[str], None] = lambda said: None,  # noqa: ARG005 - nobody listens
        silence: float = SILENCE,
    ) -> None:
        self.session = Session(url, application=application(purpose=purpose), address=address)
        self.session.parameters.setdefault("tcp_user_timeout", str(int(silence * 1000)))
        self._prepare, self._waiting = prepare, waiting
        self._patience, self._silence = patience, silence
        self._connection: Link | None = None
        self._former: Row | None = None  # the server process that may still be at work for us
        self._was_open = False

    @property
    def connection(self) -> Link:
        """The present connection, for ``prepare`` and for what is run."""
        if self._connection is None:
            raise AssertionError("there is a connection only while something runs")
        return self._connection

    def run(self, work: Callable[[Link], _T]) -> _T:
        """Do ``work`` on a connection that is prepared; again, from its beginning, when the connection is lost.

        Raises EnvironmentUnreachable when the server refuses, or is not there (any more).
        """
        deadline: float | None = None
        while True:
            try:
                return self._once(work)
            except (*_PASSING, EnvironmentUnreachable) as error:
                self._drop()
                now = time.monotonic()
                deadline = now + self._patience if deadline is None else deadline
                if not self._was_open or now >= deadline:
                    self._was_open = False  # who comes next is told at once
                    self._fail(error)
                if now == deadline - self._patience:
                    self._waiting(self._said(error))
                time.sleep(PAUSE)
            except psycopg.Error as error:
                self.session.fail(error)

    def close(self) -> None:
        """Let the connection go, and with it every lock of its session."""
        self._drop()
        self._former = None
        self._was_open = False

    def _once(self, work: Callable[[Link], _T]) -> _T:
        if self._connection is not None and not _idle(self._connection):
            self._drop()
        if self._connection is None:
            self._connection = self.session.connection()
            self._ready(self._connection)
        with self._bounded(self._connection):
            return work(self._connection)

    def _ready(self, connection: Link) -> None:
        try:
            with self._bounded(connection):
                self._greet(connection)
                self._prepare(self)
        except BaseException:  # nothing is ever run on a connection that is half prepared
            self._drop()
            raise
        self._was_open = True

    def _greet(self, connection: Link) -> None:
        for words in _SETTINGS:
            connection.execute(words.encode())
        if connection.info.server_version >= 140_000:
            connection.execute(b"SET idle_session_timeout = 0")
        weak = connection.execute(b"SHOW synchronous_commit").fetchone()
        if weak is None or weak[0] not in ("on", "remote_apply"):
            connection.execute(b"SET synchronous_commit = on")
        self._end_former(connection)
        found = connection.execute(_SELF).fetchone()
        if found is None or found[0] != connection.info.backend_pid:
            raise UsageError(
                f"A connection pooler such as PgBouncer stands before {self.session.url.display()}. Locks that live"
                " as long as a session cannot be held through it: name the server itself."
            )
        self._former = found

    def _end_former(self, connection: Link) -> None:
        if self._former is None:
            return
        deadline = time.monotonic() + ENDING
        there = b"FROM pg_stat_activity WHERE pid = %s AND backend_start = %s"
        connection.execute(b"SELECT pg_terminate_backend(pid) " + there, self._former)
        while connection.execute(b"SELECT 1 " + there, self._former).fetchone():
            if time.monotonic() > deadline:
                raise EnvironmentUnreachable(
                    f"The server process {self._former[0]} of {self.session.url.display()} does not end."
                )
            time.sleep(PAUSE / 10)

    @contextmanager
    def _bounded(self, connection: Link) -> Iterator[None]:
        """A server that says nothing for too long is as good as lost: its socket is shut."""
        timer = Timer(self._silence, _shut, (connection,))
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _drop(self) -> None:
        self._connection = None
        with suppress(psycopg.Error):
            self.session.close()

    def _said(self, error: Exception) -> str:
        return self.session.explain(error) if isinstance(error, psycopg.Error) else str(error)

    def _fail(self, error: Exception) -> NoReturn:
        if isinstance(error, psycopg.Error):
            self.session.fail(error)
        raise error


def take(connection: Link, key: str) -> LockHolder | None:
    """Take a lock for the session of this connection; None when it is ours now, else who holds it."""
    if take_here(connection, key):
        return None
    return holder_here(connection, key) or LockHolder(0, "a session that just ended", "")


def _idle(connection: Link) -> bool:
    return (
        not connection.closed
        and connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    )


def _shut(connection: Link) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as one:
        one.shutdown(socket.SHUT_RDWR)
