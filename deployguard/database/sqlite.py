"""A SQLite file, read without ever creating or changing it."""

import contextlib
import shlex
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import quote

from deployguard.database import file_writes
from deployguard.database.base import VERSION_TABLE, Backend, LockHolder, NoLock, verdict
from deployguard.database.no_slots import NoSlots
from deployguard.errors import EnvironmentUnreachable
from deployguard.model import Facts, Json, TableFact

WAIT: Final = 5.0  # seconds that a lock of somebody else is waited for
_TABLES: Final = (
    "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " AND sql NOT LIKE 'CREATE VIRTUAL TABLE%' ORDER BY name"
)
_SCHEMA: Final = (
    "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    " ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, rowid"
)
_PAGES: Final = (
    "SELECT m.tbl_name, m.type = 'index', sum(d.pgsize) FROM dbstat d JOIN sqlite_master m ON m.name = d.name"
    " GROUP BY 1, 2"
)
_PATIENCE: Final = 3.0  # seconds for counting rows and pages: what is not known then is unknown
_UNKNOWN: Final = -1
_SMALL: Final = 8_000_000  # bytes: up to this the file's size will do for each of its tables
_UNIQUE: Final = (
    'SELECT i.name, m.name, i."unique" FROM sqlite_master m, pragma_index_list(m.name) i'
    " WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL TABLE%'"
)


def open_file(path: Path) -> sqlite3.Connection:
    """Open an existing file; raises EnvironmentUnreachable when there is none or it is no SQLite database.

    It is opened for writing, so that SQLite can put right what a crash left (a hot journal), but refuses to write.
    """
    if not path.is_file():
        raise EnvironmentUnreachable(f"There is no database file {path}.")
    try:
        link = sqlite3.connect(
            f"file:{quote(str(path))}?mode=rw", uri=True, timeout=WAIT, isolation_level=None
        )
        try:
            link.execute("PRAGMA query_only = ON")
            link.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.Error:
            link.close()
            raise
    except sqlite3.Error as error:
        raise unreadable(path, error) from None
    return link


def unreadable(path: Path, error: sqlite3.Error) -> EnvironmentUnreachable:
    """Why a file cannot be read, for people."""
    text, quoted = str(error), shlex.quote(str(path))
    if "locked" in text or "busy" in text:
        return EnvironmentUnreachable(
            f"The database file {path} is locked by another process, and was still after {WAIT:.0f} seconds.",
            next_commands=(f"fuser -v {quoted}",),
        )
    if "not a database" in text:
        return EnvironmentUnreachable(
            f"{path} is not a SQLite database, or it is encrypted (SQLCipher); deployguard cannot read it.",
            next_commands=(f"file {quoted}",),
        )
    if "malformed" in text:
        return EnvironmentUnreachable(
            f"The database file {path} is damaged: SQLite says {text!r}.",
            next_commands=(f"sqlite3 {quoted} 'PRAGMA integrity_check'", "deployguard backup list"),
        )
    return EnvironmentUnreachable(f"The database file {path} cannot be read: {text}.")


def identifier(name: str) -> str:
    """A name, quoted for a statement."""
    return '"' + name.replace('"', '""') + '"'


def table_names(link: sqlite3.Connection) -> tuple[str, ...]:
    """The user's tables that hold rows themselves; a virtual table's rows are in its shadow tables."""
    return tuple(name for (name,) in link.execute(_TABLES))


def count_all(link: sqlite3.Connection, *, keep_open: bool = False) -> dict[str, int]:
    """Exact rows of every table, in one read transaction, which ``keep_open`` leaves open for the caller."""
    link.execute("BEGIN")
    counts = {name: _count(link, name) for name in table_names(link)}
    if not keep_open:
        link.execute("ROLLBACK")
    return counts


def _count(link: sqlite3.Connection, table: str, column: str = "*") -> int:
    what = column if column == "*" else identifier(column)
    row = link.execute(f"SELECT count({what}) FROM {identifier(table)}").fetchone()  # noqa: S608 - quoted
    return int(row[0])


@dataclass(slots=True)
class SqliteDatabase(NoSlots):
    """One SQLite file; a missing one is an empty database."""

    path: Path
    dialect: str = field(default="sqlite", init=False)

    @property
    def name(self) -> str:
        return self.path.name

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
        """Nothing is kept open between two questions."""

    def current_revisions(
        self,
        version_table: str = VERSION_TABLE,
        schema: str | None = None,  # noqa: ARG002 - one shape for every dialect
    ) -> tuple[str, ...]:
        with self._link() as link:
            if link is None or version_table not in table_names(link):
                return ()
            query = f"SELECT version_num FROM {identifier(version_table)}"  # noqa: S608 - quoted
            return tuple(sorted(str(row[0]) for row in link.execute(query)))

    def facts(self) -> Facts:
        version = sqlite3.sqlite_version_info
        with self._link() as link:
            if link is None:
                return Facts("sqlite", version, ())
            # SQLite compares names without regard to case, and so do those who ask.
            indexes = [(i.casefold(), t, unique) for i, t, unique in link.execute(_UNIQUE)]
            return Facts(
                "sqlite",
                version,
                _tables(link, self.size()),
                indexes={index: table for index, table, _ in indexes},
                unique_indexes=frozenset(index for index, _, unique in indexes if unique),
            )

    def row_counts(self) -> dict[str, int]:
        with self._link() as link:
            return {} if link is None else count_all(link)

    def count(self, table: str, column: str | None = None) -> int | None:
        with self._link() as link:
            if link is None or table not in table_names(link):
                return None
            # SQLite takes a quoted name that is no column for a string: count() of it would be every row
            columns = {row[1] for row in link.execute(f"PRAGMA table_info({identifier(table)})")}
            if column is not None and column not in columns:
                return None
            return _count(link, table, column or "*")

    def size(self) -> int:
        beside = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in beside if file.exists())

    def now(self) -> datetime | None:
        return None

    def invalid_indexes(self) -> tuple[str, ...]:
        return ()

    def surviving_backends(self, application_name: str) -> tuple[Backend, ...]:  # noqa: ARG002 - the Protocol's
        return ()  # a SQLite statement lives in its client's process

    def can_check_clients(self) -> bool:
        return False  # the client does the work itself

    def terminate(self, application_name: str) -> int:  # noqa: ARG002 - see above
        return 0

    def observe(self, application_name: str, *, around: bool = False) -> None:  # noqa: ARG002 - see above
        return None  # no server: whoever waits for the file, waits in its own process

    def stop(self, application_name: str, pids: Sequence[int]) -> tuple[int, ...]:  # noqa: ARG002 - see above
        return ()

    def catalogue(self) -> Json:
        with self._link() as link:
            found: list[Json] = [] if link is None else [row[0] for row in link.execute(_SCHEMA)]
        return {"format": 1, "dialect": "sqlite", "sql": found}

    def schema_mark(self) -> str:
        return ""  # the schema itself is as quickly read

    def check(self, sql: str) -> tuple[bool, str]:
        with self._link() as link:
            if link is None:
                return False, f"there is no database file {self.path}"
            try:
                return verdict(link.execute(sql).fetchmany(2))
            except (sqlite3.Error, sqlite3.Warning) as error:
                return False, f"it failed: {error}"

    def identity(self) -> str:
        return f"sqlite:{self.path}"

    def advisory_lock(
        self,
        key: str,  # noqa: ARG002 - one shape for every dialect
        *,
        wait: float = 0.0,  # noqa: ARG002 - the Protocol's
    ) -> contextlib.AbstractContextManager[NoLock]:
        return contextlib.nullcontext(NoLock())

    def lock_holder(self, key: str) -> None:  # noqa: ARG002 - one shape for every dialect
        return None

    def end_lock(self, key: str, holder: LockHolder) -> bool:  # noqa: ARG002 - see above
        return True

    def writes_mark(self) -> Json:
        return file_writes.file_mark(self.path)

    def writes_since(
        self,
        mark: Json,
        version_table: str = VERSION_TABLE,  # noqa: ARG002 - one shape for every dialect
        schema: str | None = None,  # noqa: ARG002 - the Protocol's
    ) -> int | None:
        return file_writes.file_since(self.path, mark)

    def stillness(self) -> Json:
        return self.writes_mark()

    def rows_since(self, still: Json) -> int | None:
        return self.writes_since(still)

    @contextmanager
    def _link(self) -> Iterator[sqlite3.Connection | None]:
        """A connection, or None for a file that is not there yet: asking must not create it."""
        if not self.path.exists():
            yield None
            return
        link = open_file(self.path)
        try:
            yield link
        except sqlite3.Error as error:
            raise unreadable(self.path, error) from None
        finally:
            link.close()


def _tables(link: sqlite3.Connection, total: int) -> tuple[TableFact, ...]:
    """Rows and bytes of each table, as far as they can be counted with patience; the rest is unknown."""
    end = time.monotonic() + _PATIENCE
    impatience = threading.Timer(_PATIENCE, link.interrupt)
    impatience.daemon = True
    link.execute("BEGIN")
    impatience.start()
    try:
        sizes = _sizes(link, total)
        facts = []
        for name in table_names(link):
            rows = _within_patience(link, name) if time.monotonic() < end else _UNKNOWN
            own, indexes = sizes.get(name, (_UNKNOWN, _UNKNOWN))
            facts.append(TableFact(name, rows, own, exact=rows >= 0, index_bytes=indexes))
        return tuple(facts)
    finally:
        impatience.cancel()
        impatience.join()
        link.execute("ROLLBACK")


def _within_patience(link: sqlite3.Connection, table: str) -> int:
    try:
        return _count(link, table)
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            return _UNKNOWN
        raise


def _sizes(link: sqlite3.Connection, total: int) -> dict[str, tuple[int, int]]:
    """(bytes, bytes of its indexes) a table; {} when nothing tells in time.

    They are measured where SQLite was built with dbstat; else no table is larger than the whole file.
    """
    found: dict[str, tuple[int, int]] = {}
    try:
        for table, index, size in link.execute(_PAGES):
            own, indexes = found.get(table, (0, 0))
            found[table] = (own, int(size)) if index else (int(size), indexes)
    except sqlite3.OperationalError:
        return dict.fromkeys(table_names(link), (total, 0)) if total < _SMALL else {}
    return found
