"""What every database can be asked, whatever its dialect."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from deployguard.errors import EnvironmentUnreachable
from deployguard.model import Facts, Json
from deployguard.observation import Observation

if TYPE_CHECKING:
    from deployguard.database.changes import Changes, Line
    from deployguard.database.slot import Slot

# Where a host that only Docker knows can be reached: (host, port) → (address, port), or None.
Address: TypeAlias = Callable[[str, int], tuple[str, int] | None]

VERSION_TABLE = "alembic_version"


class Locked(EnvironmentUnreachable):
    """The database answers, but what was asked of it waits for a lock that somebody else holds."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One server process that works for a client; its statement is not kept, for it may hold data."""

    pid: int
    application: str
    state: str  # "active", "idle", "idle in transaction", …; "" when the server does not tell us
    since: datetime | None  # when the present state began


@dataclass(frozen=True, slots=True)
class Table:
    """A user's table. ``label`` is ``schema.name``, the default schema left out."""

    schema: str
    name: str
    label: str
    partitioned: bool = False


class Lock(Protocol):
    """A lock that is held until the block ends or its connection dies."""

    def held(self) -> bool:
        """Whether the session that holds the lock is still alive."""

    def session(self) -> Json:
        """What ``LockHolder.mark`` tells of this session, for the journal; None where no server holds the lock."""


@dataclass(frozen=True, slots=True)
class NoLock:
    """No lock at all: for a file on one machine, the deploy lock in the state folder serves."""

    def held(self) -> bool:
        return True

    def session(self) -> Json:
        return None


@dataclass(frozen=True, slots=True)
class LockHolder:
    """The session that holds a lock in the server. ``since``: "" where our role is not told."""

    pid: int
    application: str  # names host and process: "deployguard-lock:web1:4711"
    since: str

    @property
    def mark(self) -> Json:
        """By what a session is told from a later one with its number; None when that is not known."""
        return {"pid": self.pid, "since": self.since} if self.since else None

    def __str__(self) -> str:
        _, _, who = self.application.partition(":")
        host, _, process = who.rpartition(":")
        where = f"process {process} on {host}" if host and process.isdigit() else self.application
        since = f", connected since {self.since}" if self.since else ""
        return f"server process {self.pid} ({where or 'unnamed'}){since}"


class Database(Protocol):
    """A database that is read, and never changed except where a name says so.

    Every method raises EnvironmentUnreachable, password hidden, when the database does not answer or refuses.
    """

    @property
    def dialect(self) -> str:
        """SQLAlchemy's name: "postgresql" or "sqlite"."""

    @property
    def name(self) -> str:
        """The database's name on its server, or the file's name."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def close(self) -> None:
        """Let the connection go; the next question opens a new one."""

    def current_revisions(
        self, version_table: str = VERSION_TABLE, schema: str | None = None
    ) -> tuple[str, ...]:
        """What Alembic's version table holds, sorted; () when there is no such table."""

    def facts(self) -> Facts:
        """Server version and, per table, rows (an estimate unless exact) and bytes. Short and read-only."""

    def row_counts(self) -> dict[str, int]:
        """Exact rows of every user table, all schemas, in one snapshot."""

    def count(self, table: str, column: str | None = None) -> int | None:
        """Rows of ``table``, or its rows where ``column`` is not null; None when there is no such thing."""

    def size(self) -> int:
        """Bytes that the database takes on disk."""

    def now(self) -> datetime | None:
        """The server's clock; None where there is no server (SQLite)."""

    def invalid_indexes(self) -> tuple[str, ...]:
        """Indexes that a failed CREATE INDEX CONCURRENTLY left behind, as ``schema.index``."""

    def surviving_backends(self, application_name: str) -> tuple[Backend, ...]:
        """Server processes that still work for a client of this name."""

    def can_check_clients(self) -> bool:
        """Whether a session can be told to look, while it works, if its client is still there, and does not yet."""
        ...

    def terminate(self, application_name: str) -> int:
        """End those server processes, wait until they are gone; how many there were."""

    def observe(self, application_name: str, *, around: bool = False) -> Observation | None:
        """Who waits for whom, and how far builds are; None where no server is there to be asked (SQLite).

        The migration's sessions are those of ``application_name``; "" is any migration of deployguard's. ``around``:
        replicas, invalid indexes and disk as well.
        """

    def stop(self, application_name: str, pids: Sequence[int]) -> tuple[int, ...]:
        """Cancel what those of the processes run that are of this name; which ones were told to.

        Raises EnvironmentUnreachable as well when our role may not do that.
        """

    def catalogue(self) -> Json:
        """The schema, in the shape that ``catalogue.py`` documents. Raises Locked as well, when a table is locked."""

    def schema_mark(self) -> str:
        """A text that differs whenever what ``catalogue`` gives would; "" when nobody can tell."""

    def check(self, sql: str) -> tuple[bool, str]:
        """Run one verification statement read-only: true when its one row's first column is true or non-zero.

        The text says what came back, or why not; an error of the statement is (False, why).
        """

    def identity(self) -> str:
        """A text that is the same for the same database whatever way it is reached."""

    def advisory_lock(self, key: str, *, wait: float = 0.0) -> AbstractContextManager[Lock]:
        """Hold a lock that a crash frees; raises Busy when somebody holds it longer than ``wait`` seconds."""

    def lock_holder(self, key: str) -> LockHolder | None:
        """Who holds that lock now; None when it is free, or no server keeps it (SQLite)."""

    def end_lock(self, key: str, holder: LockHolder) -> bool:
        """End exactly that session, if it still holds the lock; whether the lock is free of it now."""

    def writes_mark(self) -> Json:
        """Where writing stands now, for ``writes_since``; it can be kept as JSON."""

    def writes_since(
        self, mark: Json, version_table: str = VERSION_TABLE, schema: str | None = None
    ) -> int | None:
        """At most how many transactions of others have written since ``mark``; None is unknown.

        0 is only said when it is proven. ``writes.py`` says how.
        """

    def changes_since(
        self,
        slot: Json,
        known: Collection[str],
        version_table: str = VERSION_TABLE,
        schema: str | None = None,
    ) -> "Changes":
        """What others changed since a backup, out of the slot that it wrote down (``backups.beside.slot``).

        The migration's transactions are left out: those that name only ``known`` revisions in the version table.
        """

    def changes(self, slot: Json) -> AbstractContextManager[Iterator["Line"]]:
        """Every line that the slot holds, the migration's own too. Raises EnvironmentUnreachable."""

    def slots(self) -> "tuple[Slot, ...]":
        """The replication slots of deployguard's on the server; () where there are none."""

    def drop_slot(self, name: str) -> bool:
        """Drop one of them, with whoever uses it; whether there was one."""

    def stillness(self) -> Json:
        """What was ever written, by the database's own count, for ``rows_since``; it can be kept as JSON."""

    def rows_since(self, still: Json) -> int | None:
        """At most how many rows anybody has written since ``stillness``; None is unknown, and 0 is a proof."""


def qualified(table: str, schema: str | None = None) -> tuple[str, ...]:
    """The parts of a table's name; the schema may also stand in it, as in ``tenant.alembic_version``."""
    owner, _, name = table.rpartition(".")
    return (schema or owner, name) if schema or owner else (name,)


def verdict(rows: Sequence[Sequence[object]]) -> tuple[bool, str]:
    """Judge what a verification statement returned (at most two rows are needed)."""
    if len(rows) != 1:
        return False, "it returned no row" if not rows else "it returned more than one row"
    if not rows[0]:
        return False, "it returned a row without columns"
    value = rows[0][0]
    if value is None:
        return False, "it returned NULL"
    if isinstance(value, str | bytes):  # SQLite and casts give text; "f" and "0" are not true
        text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        return text.strip().lower() in {"t", "true", "1", "yes", "on"}, f"it returned {text[:80]!r}"
    return bool(value), f"it returned {value}"


def label(schema: str, name: str, default_schema: str) -> str:
    """``schema.name`` without the default schema; a part that itself holds a dot is quoted."""
    parts = (name,) if schema == default_schema else (schema, name)
    return ".".join(f'"{part}"' if "." in part else part for part in parts)


def same_counts(expected: Mapping[str, int], found: Mapping[str, int]) -> tuple[str, ...]:
    """The differences between two sets of row counts, as sentences; () when they are equal."""
    said = []
    for table in sorted({*expected, *found}):
        want, have = expected.get(table), found.get(table)
        if want is None:
            said.append(f"{table} is there ({have} rows) but was not counted")
        elif have is None:
            said.append(f"{table} is missing ({want} rows were counted)")
        elif want != have:
            said.append(f"{table} has {have} rows, {want} were counted")
    return tuple(said)
