"""Count the rows of every table in one exported snapshot, several tables at once, within a budget of time.

It goes on beside a dump of the same snapshot. The smallest tables come first: when the time is up, as many as can be
are exact. Of the others the planner's estimate is told, and told as such.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import psycopg
from psycopg import Cursor

from deployguard.database import tables
from deployguard.database.base import Table
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.session import Row, Session
from deployguard.database.sizes import PAGE
from deployguard.database.snapshot import Instant, exported

OnTable: TypeAlias = Callable[[str, int, int], None]  # label, number, of how many
_SLACK: Final = 0.5  # seconds by which the server's clock may ring before ours
_ESTIMATES: Final = b"""
SELECT n.nspname, c.relname, c.reltuples::bigint, c.relpages::bigint, pg_relation_size(c.oid),
       pg_stat_get_live_tuples(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'"""


@dataclass(frozen=True, slots=True)
class Counted:
    """Rows by label: ``exact`` ones, and ``estimates`` of tables that there was no time for (None: unknown)."""

    exact: Mapping[str, int]
    estimates: Mapping[str, int | None] = field(default_factory=dict)


class Counting:
    """Threads that count; each has a session of its own. Made by ``counting``."""

    def __init__(
        self, database: PostgresDatabase, instant: Instant, budget: float, on_table: OnTable
    ) -> None:
        self._instant, self._on_table = instant, on_table
        self._deadline = time.monotonic() + budget
        self._guard = threading.Lock()
        self._exact: dict[str, int] = {}
        self._told = 0
        self._blocked: list[Table] = []
        self._error: Exception | None = None
        self._threads: list[threading.Thread] = []
        self._sessions: list[Session] = []
        with database.session.reading() as cursor:
            self._sizes = _sizes(cursor)
        self._waiting = deque(sorted(instant.tables, key=self._size))

    def start(self, database: PostgresDatabase, application: str, jobs: int) -> None:
        for _ in range(min(jobs, len(self._waiting))):
            session = database.session.elsewhere(database.name, application)
            self._sessions.append(session)
            thread = threading.Thread(target=self._work, args=(session,), name="counting")
            self._threads.append(thread)
            thread.start()

    def check(self) -> None:
        """Raises what a thread has met. Called now and then while others go on."""
        if self._error is not None:
            raise self._error

    def finish(self) -> Counted:
        """Wait until everything is counted or the time is up. Raises EnvironmentUnreachable."""
        for thread in self._threads:
            thread.join()
        self.check()
        for table in self._blocked:
            # Somebody waits for our lock on it, and others queue behind him; the session that has it does not.
            with self._instant.session.cursor() as cursor, cursor.connection.transaction():
                cursor.execute(b"SET LOCAL row_security = off")
                self._count(cursor, table)
        left = [table for table in self._instant.tables if table.label not in self._exact]
        return Counted(
            {t.label: self._exact[t.label] for t in self._instant.tables if t.label in self._exact},
            {
                table.label: self._sizes.get((table.schema, table.name), (0, None))[1]
                for table in left
            },
        )

    def stop(self) -> None:
        """Give up: end what is being asked."""
        with self._guard:
            self._waiting.clear()
        for session in self._sessions:
            session.cancel()
        for thread in self._threads:
            thread.join()

    def _work(self, session: Session) -> None:
        try:
            with session.reading(timeout=0) as cursor:
                cursor.execute(f"SET TRANSACTION SNAPSHOT '{self._instant.name}'".encode())
                cursor.execute(b"SET LOCAL row_security = off")
                while (table := self._next()) is not None:
                    self._count(cursor, table)
        except Exception as error:  # noqa: BLE001 - told by the thread that waits for this one
            self._error = self._error or error
        finally:
            session.close()

    def _next(self) -> Table | None:
        with self._guard:
            if not self._waiting or time.monotonic() >= self._deadline or self._error:
                return None
            table = self._waiting.popleft()
            self._told += 1
            number = self._told
        self._on_table(table.label, number, len(self._instant.tables))
        return table

    def _count(self, cursor: Cursor[Row], table: Table) -> None:
        left = max(0.001, self._deadline - time.monotonic())
        try:
            with cursor.connection.transaction():
                if (
                    left < 2_000_000
                ):  # seconds; the server's limit is as many milliseconds as fit into 31 bits
                    cursor.execute(f"SET LOCAL statement_timeout = {round(left * 1000)}".encode())
                self._exact[table.label] = tables.count_rows(cursor, table)
        except psycopg.errors.LockNotAvailable:
            if cursor.connection is self._instant.session.connection():
                raise
            self._blocked.append(table)
        except psycopg.errors.QueryCanceled:
            if time.monotonic() < self._deadline - _SLACK:
                raise  # somebody else has cancelled it

    def _size(self, table: Table) -> int:
        return self._sizes.get((table.schema, table.name), (0, None))[0]


@contextmanager
def counting(
    database: PostgresDatabase,
    instant: Instant,
    *,
    application: str,
    jobs: int,
    budget: float = float("inf"),
    on_table: OnTable = lambda label, number, of: None,  # noqa: ARG005 - says nothing
) -> Iterator[Counting]:
    """Count while the block goes on, by ``jobs`` sessions, for at most ``budget`` seconds; its end ends it."""
    found = Counting(database, instant, budget, on_table)
    if budget > 0:
        found.start(database, application, jobs)
    try:
        yield found
    finally:
        found.stop()


def count_now(database: PostgresDatabase, *, application: str, jobs: int) -> Counted:
    """Count everything, in one snapshot."""
    with (
        exported(database, application=application) as instant,
        counting(database, instant, application=application, jobs=jobs) as found,
    ):
        return found.finish()


def _sizes(cursor: Cursor[Row]) -> dict[tuple[str, str], tuple[int, int | None]]:
    """(bytes, estimated rows) by (schema, table)."""
    found: dict[tuple[str, str], tuple[int, int | None]] = {}
    with suppress(psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        for schema, name, tuples, pages, size, alive in cursor.execute(_ESTIMATES).fetchall():
            found[schema, name] = (size or 0, estimate(tuples, pages, size or 0, alive))
    return found


def estimate(tuples: int, pages: int, size: int, alive: int | None) -> int | None:
    """Rows by the planner's own way: as many a page as when it was last analysed, times the pages there are; pure."""
    if size == 0:
        return 0
    if tuples >= 0 and pages > 0:
        return round(tuples / pages * (size / PAGE))
    return alive or None
