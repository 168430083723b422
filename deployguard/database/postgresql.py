"""A PostgreSQL database, read in short read-only transactions."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from types import TracebackType
from typing import Final, Self

import psycopg

from deployguard.config import DatabaseUrl
from deployguard.database import (
    catalogue,
    lock,
    sizes,
    slot,
    slot_changes,
    stillness,
    tables,
    watching,
    writes,
)
from deployguard.database.base import (
    VERSION_TABLE,
    Address,
    Backend,
    Locked,
    LockHolder,
    label,
    qualified,
    verdict,
)
from deployguard.database.changes import Changes, Line
from deployguard.database.session import Session, quoted
from deployguard.errors import EnvironmentUnreachable
from deployguard.model import Facts, Json
from deployguard.observation import Observation

CHECKING: Final = 60_000  # milliseconds that a verification statement may take
ENDING: Final = 10.0  # seconds that a terminated server process may take to go
LOCKED: Final = 1_000  # milliseconds that reading the schema waits for a table that is locked
_HOLDERS: Final = (
    'psql -c "SELECT pid, relation::regclass, mode, granted FROM pg_locks'
    " WHERE mode = 'AccessExclusiveLock'\""
)
_INVALID: Final = """
SELECT n.nspname, c.relname, current_schema() FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_toast' ORDER BY 1, 2"""
_CHECK_CLIENTS: Final = """
SELECT set_config(name, '1s', true) FROM pg_settings
WHERE name = 'client_connection_check_interval' AND setting = '0'"""
_BACKENDS: Final = """
SELECT pid, application_name, coalesce(state, ''), state_change FROM pg_stat_activity
WHERE application_name = %s AND datname = current_database() AND pid <> pg_backend_pid() ORDER BY pid"""


class PostgresDatabase:
    """One PostgreSQL database. Not for several threads at once."""

    dialect = "postgresql"

    def __init__(self, url: DatabaseUrl, *, address: Address | None = None) -> None:
        self.session = Session(url, address=address)

    @property
    def name(self) -> str:
        """The database's name; without one in the URL, libpq takes the user's."""
        given = self.session.parameters.get("dbname")
        return given or self.session.connection().info.dbname

    @property
    def server_version(self) -> tuple[int, ...]:
        """(15, 4); (9, 6, 24) before version 10."""
        number = self.session.connection().info.server_version
        if number >= 100_000:
            return (number // 10_000, number % 10_000)
        return (number // 10_000, number // 100 % 100, number % 100)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.session.close()

    def current_revisions(
        self, version_table: str = VERSION_TABLE, schema: str | None = None
    ) -> tuple[str, ...]:
        parts = qualified(version_table, schema)
        with self.session.reading() as cursor:
            query = b"SELECT version_num FROM " + quoted(*parts).as_bytes(cursor)
            try:
                return tuple(sorted(str(row[0]) for row in cursor.execute(query)))
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                return ()

    def facts(self) -> Facts:
        version = self.server_version
        with self.session.reading() as cursor:
            found = sizes.facts(cursor)
            invalid = frozenset(label(*row) for row in cursor.execute(_INVALID.encode()).fetchall())
            row = cursor.execute(b"SELECT current_schema()").fetchone()
            default = str(row[0]) if row and row[0] else ""
            return Facts(
                "postgresql", version, found, invalid_indexes=invalid, default_schema=default
            )

    def row_counts(self) -> dict[str, int]:
        with self.session.reading(timeout=0) as cursor:
            return tables.exact_counts(cursor)

    def count(self, table: str, column: str | None = None) -> int | None:
        with self.session.reading(timeout=0) as cursor:
            found = tables.find(cursor, table)
            if found is None:
                return None
            cursor.execute(b"SET LOCAL row_security = off")
            name = quoted(found.schema, found.name).as_bytes(cursor)
            what = b"*" if column is None else quoted(column).as_bytes(cursor)
            try:
                row = cursor.execute(b"SELECT count(" + what + b") FROM " + name).fetchone()
            except psycopg.errors.UndefinedColumn:
                return None
            return int(row[0]) if row else None

    def size(self) -> int:
        return int(self.session.rows("SELECT pg_database_size(current_database())")[0][0])

    def now(self) -> datetime | None:
        now = self.session.rows("SELECT clock_timestamp()")[0][0]
        return now if isinstance(now, datetime) else None

    def invalid_indexes(self) -> tuple[str, ...]:
        return tuple(f"{schema}.{name}" for schema, name, _ in self.session.rows(_INVALID))

    def surviving_backends(self, application_name: str) -> tuple[Backend, ...]:
        name = watching.known(application_name)
        return tuple(Backend(*row) for row in self.session.rows(_BACKENDS, [name]))

    def observe(self, application_name: str, *, around: bool = False) -> Observation:
        return watching.observe(self.session, application_name, around=around)

    def stop(self, application_name: str, pids: Sequence[int]) -> tuple[int, ...]:
        return watching.stop(self.session, application_name, pids)

    def can_check_clients(self) -> bool:
        try:  # unknown before version 14, and refused where the server's operating system has no way to look
            rows = self.session.rows(_CHECK_CLIENTS)
        except EnvironmentUnreachable:
            return False
        return bool(rows)

    def terminate(self, application_name: str) -> int:
        found = self.surviving_backends(application_name)
        for backend in found:
            with self.session.cursor() as cursor:
                cursor.execute(b"SELECT pg_terminate_backend(%s)", [backend.pid])
        deadline = time.monotonic() + ENDING
        while self.surviving_backends(application_name):
            if time.monotonic() > deadline:
                raise EnvironmentUnreachable(
                    f"A server process of {application_name} did not end within {ENDING:.0f} seconds.",
                    state="Its statement may still be running.",
                )
            time.sleep(0.05)
        return len(found)

    def catalogue(self) -> Json:
        version = self.server_version
        session = self.session.elsewhere(self.name, "deployguard-catalogue")

        def read_only() -> psycopg.Connection[tuple[object, ...]]:
            connection = session.connection()
            connection.execute(b"SET default_transaction_read_only = on")
            connection.execute(f"SET statement_timeout = {CHECKING}".encode())
            connection.execute(f"SET lock_timeout = {LOCKED}".encode())
            connection.autocommit = False
            return connection

        try:
            return catalogue.postgresql(read_only, version)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled) as error:
            raise Locked(
                f"The schema could not be read ({self.session.url.display()}): {self.session.explain(error)}."
                " Somebody holds a table in ACCESS EXCLUSIVE mode: another migration, or one that waits.",
                next_commands=(_HOLDERS,),
            ) from None
        except psycopg.Error as error:
            self.session.fail(error)
        finally:
            session.close()

    def schema_mark(self) -> str:
        from deployguard.database.schema_mark import schema_mark

        # Apart from others' questions: a transaction that it breaks ends here.
        try:
            with self.session.reading() as cursor:
                return schema_mark(cursor)
        except EnvironmentUnreachable:
            return ""

    def check(self, sql: str) -> tuple[bool, str]:
        try:
            with (
                self.session.connection().transaction(),
                self.session.connection().cursor() as cursor,
            ):
                cursor.execute(b"SET TRANSACTION READ ONLY")
                cursor.execute(f"SET LOCAL statement_timeout = {CHECKING}".encode())
                # binary: the extended protocol, which takes one statement only, so that none can end this transaction
                cursor.execute(sql.encode(), binary=True)
                return verdict(cursor.fetchmany(2) if cursor.description else [])
        except psycopg.Error as error:
            if self.session.connection().closed:
                self.session.fail(error)
            return False, f"it failed: {self.session.explain(error)}"

    def identity(self) -> str:
        with self.session.reading() as cursor:
            server = writes.server_identifier(cursor)
        if server is None:  # a host that hides it: the way we reach it must do
            place = self.session.parameters
            server = f"{place.get('host', '')}:{place.get('port', '')}"
        return f"postgresql:{server}/{self.name}"

    def advisory_lock(
        self, key: str, *, wait: float = 0.0
    ) -> AbstractContextManager[lock.SessionLock]:
        return lock.hold(self.session, key, wait)

    def lock_holder(self, key: str) -> LockHolder | None:
        return lock.holder(self.session, key)

    def end_lock(self, key: str, holder: LockHolder) -> bool:
        return lock.end(self.session, key, holder)

    def writes_mark(self) -> Json:
        version = self.server_version
        with self.session.reading() as cursor:
            return writes.mark(cursor, version)

    def writes_since(
        self, mark: Json, version_table: str = VERSION_TABLE, schema: str | None = None
    ) -> int | None:
        version, parts = self.server_version, qualified(version_table, schema)
        with self.session.translated():
            last = writes.take_id(self.session.connection(), version)
        with self.session.reading() as cursor:
            return writes.since(cursor, version, mark, last, parts)

    def changes_since(
        self,
        slot: Json,
        known: Collection[str],
        version_table: str = VERSION_TABLE,
        schema: str | None = None,
    ) -> Changes:
        parts = qualified(version_table, schema)
        return slot_changes.since(self.session, self.name, slot, version_table=parts, known=known)

    def changes(self, slot: Json) -> AbstractContextManager[Iterator[Line]]:
        return slot_changes.opened(self.session, self.name, slot)

    def slots(self) -> tuple[slot.Slot, ...]:
        return slot.slots(self.session)

    def drop_slot(self, name: str) -> bool:
        return slot.drop(self.session, name)

    def stillness(self) -> Json:
        with self.session.cursor() as cursor:
            return stillness.inside(cursor)

    def rows_since(self, still: Json) -> int | None:
        return stillness.rows_between(still, self.stillness())
