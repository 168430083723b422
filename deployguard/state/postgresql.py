"""The journal's rows in a PostgreSQL database that several hosts share, and the deploy lock of its session.

What is written is written by the session that holds the lock. When its connection is lost, the former session is
ended, and the lock taken again, before anything is tried again: it never writes beside another host.
"""

from collections.abc import Callable, Sequence
from threading import RLock
from typing import Final, TypeVar

from deployguard.config import DatabaseUrl
from deployguard.database.base import Address, LockHolder
from deployguard.database.lasting import Lasting, Link, take
from deployguard.database.lock import free_here, holder_here, number
from deployguard.database.session import quoted
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.state.records import StateError
from deployguard.state.shared_schema import MIGRATIONS
from deployguard.state.store import Row, Value

_T = TypeVar("_T")
SCHEMA: Final = "deployguard"
PATIENCE: Final = 60.0  # seconds
_KEEP: Final = (
    "INSERT INTO holders (environment, session, holder) VALUES (%s, pg_backend_pid(), %s) ON CONFLICT (environment) "
    "DO UPDATE SET session = excluded.session, holder = excluded.holder"
)


class PostgresStore:
    """The schema ``schema`` of the database at ``url``, which belongs to one ``project``. Dialled at the first use.

    ``apart`` is called before the first write of this process, with a connection and with whether the schema is there
    already. It raises when the journal must not lie there, and says whether it need not be asked again. Without it
    nothing can be written.
    ``patience``: seconds for which a lost connection is tried again. ``waiting`` is told once that it was lost.
    """

    def __init__(
        self,
        url: DatabaseUrl,
        *,
        project: str,
        schema: str = SCHEMA,
        patience: float = PATIENCE,
        apart: Callable[[Link, bool], bool] | None = None,
        address: Address | None = None,
        waiting: Callable[[str], None] = lambda said: None,  # noqa: ARG005 - nobody listens
    ) -> None:
        self._project, self._schema, self._apart = project, schema, apart
        self._version = 0  # of the schema; 0 where it isn't there
        self._checked = False
        self._holding: dict[str, str] = {}  # environment → what was written of the holder
        self._guard = RLock()  # the migration log may be followed in a thread
        self._lasting = Lasting(
            url,
            self._prepare,
            patience=patience,
            purpose="state",
            address=address,
            waiting=lambda why: waiting(f"The journal in {self.shown} does not answer: {why}"),
        )

    @property
    def shown(self) -> str:
        return f"{self._lasting.session.url.display()} (schema {self._schema})"

    def close(self) -> None:
        with self._guard:
            self._holding.clear()
            self._lasting.close()

    def rows(self, query: str, values: Sequence[Value] = ()) -> list[Row]:
        def read(connection: Link) -> list[Row]:
            if not self._version:
                return []
            self._upgrade(connection)
            return connection.execute(*_marked(query, values)).fetchall()

        return self._run(read)

    def write(self, statement: str, values: Sequence[Value] = ()) -> None:
        def write(connection: Link) -> None:
            self._make(connection)
            connection.execute(*_marked(statement, values))

        self._run(write)

    def take(self, environment: str, holder: str) -> tuple[LockHolder, str] | None:
        """Take the deploy lock of an environment; None when it is ours now, else whose it is.

        The text is what that one had written of itself, "" where it has not yet. ``holder``: what is written of us.
        """

        def attempt(connection: Link) -> LockHolder | None:
            self._make(connection)
            if environment not in self._holding:
                other = take(connection, self._key(environment))
                if other is not None:
                    return other
            connection.execute(_KEEP.encode(), (environment, holder))
            return None

        with self._guard:
            other = self._run(attempt)
            if other is None:
                self._holding[environment] = holder
                return None
        return other, self._written(environment, other)

    def rewrite(self, environment: str, holder: str) -> None:
        """Write anew who holds the lock; only while holding it."""
        with self._guard:
            self._run(lambda connection: connection.execute(_KEEP.encode(), (environment, holder)))
            self._holding[environment] = holder

    def let_go(self, environment: str) -> None:
        """Free the lock. A server that does not answer frees it itself: it sees the connection end."""
        with self._guard:
            self._holding.pop(environment, None)
            try:
                self._run(lambda connection: free_here(connection, self._key(environment)))
            except StateError:
                self._lasting.close()

    def holder(self, environment: str) -> tuple[LockHolder, str] | None:
        """The session that holds the lock now, and what it has written of itself; None when the lock is free."""
        found = self._run(lambda connection: holder_here(connection, self._key(environment)))
        return None if found is None else (found, self._written(environment, found))

    def last_holder(self, environment: str) -> str:
        """What the last holder of the lock has written of itself; "" when nobody is known."""
        rows = self.rows("SELECT holder FROM holders WHERE environment = ?", (environment,))
        return str(rows[0][0]) if rows else ""

    def _written(self, environment: str, session: LockHolder) -> str:
        rows = self.rows(
            "SELECT holder FROM holders WHERE environment = ? AND session = ?",
            (environment, session.pid),
        )
        return str(rows[0][0]) if rows else ""

    def _key(self, environment: str) -> str:
        return f"state:{self._schema}:{environment}"

    def _run(self, work: Callable[[Link], _T]) -> _T:
        with self._guard:
            try:
                return self._lasting.run(work)
            except EnvironmentUnreachable as error:
                raise StateError(
                    f"The journal in {self.shown} cannot be used. {error.message}",
                    state="What was being done is in the journal up to its last event.",
                    next_commands=error.next_commands,
                ) from None

    def _prepare(self, lasting: Lasting) -> None:
        """Make a new connection ready: the schema that is looked in, its version, and the locks that we hold."""
        connection = lasting.connection
        path = b"SET search_path = " + quoted(self._schema).as_bytes(connection) + b", pg_catalog"
        connection.execute(path)
        self._version = self._find(connection)
        for environment, holder in self._holding.items():
            self._take_again(connection, environment, holder)

    def _take_again(self, connection: Link, environment: str, holder: str) -> None:
        other = take(connection, self._key(environment))
        query = b"SELECT holder FROM holders WHERE environment = %s"
        row = connection.execute(query, (environment,)).fetchone()
        if other is None and row is not None and row[0] == holder:
            connection.execute(_KEEP.encode(), (environment, holder))
            return
        raise StateError(
            f"While the connection to the journal in {self.shown} was lost, another process took the deploy lock of"
            f" {environment!r}{f': {other}' if other else ''}. This one stops.",
            state="What was being done is in the journal up to its last event.",
            next_commands=(f"deployguard status --env {environment}",),
        )

    def _find(self, connection: Link) -> int:
        """The schema's version, 0 where it isn't there. Raises StateError, or UsageError for another project's."""
        if connection.execute(b"SELECT to_regclass('meta')").fetchone() == (None,):
            may = b"SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = %s"
            if connection.execute(may, [self._schema]).fetchone() == (False,):
                raise StateError(
                    f"The role may not look into the schema {self._schema} of {self.shown}, so nobody knows what is"
                    f" unfinished: GRANT USAGE ON SCHEMA {self._schema}, and SELECT on its tables."
                )
            return 0
        found: dict[str, str] = dict(connection.execute(b"SELECT key, value FROM meta").fetchall())
        if found.get("project") != self._project:
            raise UsageError(
                f"{self.shown} keeps the journal of the project {found.get('project')!r}, not of {self._project!r}."
                " Give each project a schema of its own: schema in [state]."
            )
        version = int(found.get("version", 0))
        if version > len(MIGRATIONS):
            raise StateError(
                f"{self.shown} was written by a newer deployguard (format {version}; this one knows "
                f"{len(MIGRATIONS)}). Install that version here as well; nothing was read or written."
            )
        return version

    def _make(self, connection: Link) -> None:
        """Before the first write: find out whether a journal may lie here, and make its tables."""
        if not self._checked:
            if self._apart is None:
                raise AssertionError("this journal was opened for reading only")
            self._checked = self._apart(connection, bool(self._version))
        self._upgrade(connection)

    def _upgrade(self, connection: Link) -> None:
        if self._version == len(MIGRATIONS):
            return
        name = quoted(self._schema).as_bytes(connection)
        with connection.transaction():
            # Two first runs at once: the second waits and sees it done.
            key = number(f"schema:{self._schema}")
            connection.execute(b"SELECT pg_advisory_xact_lock(%s)", [key])
            there = b"SELECT 1 FROM pg_namespace WHERE nspname = %s"
            if connection.execute(there, [self._schema]).fetchone() is None:
                connection.execute(b"CREATE SCHEMA " + name)
            version = self._find(connection)
            if not version:
                connection.execute(b"CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
                connection.execute(b"INSERT INTO meta VALUES ('project', %s)", [self._project])
            for statement in [words for step in MIGRATIONS[version:] for words in step]:
                connection.execute(statement.encode())
            connection.execute(
                b"INSERT INTO meta VALUES ('version', %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [str(len(MIGRATIONS))],
            )
        self._version = len(MIGRATIONS)


def _marked(query: str, values: Sequence[Value]) -> tuple[bytes, list[Value]]:
    """The query with psycopg's marks; a word of ours is a text like any other."""
    plain = [str(value) if isinstance(value, str) else value for value in values]
    return query.replace("?", "%s").encode(), plain
