"""One connection to a PostgreSQL server: opened when needed, reopened when lost, its errors told without secrets."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, NoReturn, TypeAlias

import psycopg
from psycopg import Connection, Cursor, sql
from psycopg.conninfo import make_conninfo

from deployguard.config import DatabaseUrl
from deployguard.database import libpq
from deployguard.database.base import Address
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.process import Redactor

Row: TypeAlias = tuple[Any, ...]  # what a server returns has the type that the query gives it
ASKING: Final = 5_000  # milliseconds that a short question may take
# A firewall may forget a connection that is silent for the length of a migration.
_LASTING: Final = {"client_encoding": "UTF8", "keepalives_idle": "30", "keepalives_interval": "10"}
NAME_LIMIT: Final = 63  # bytes that the server keeps of an application_name
_LOCATION = re.compile(r"\s*\n(LINE \d+:|CONTEXT:|HINT:).*", re.DOTALL)


class Session:
    """An autocommit connection under ``application``; not for several threads at once."""

    def __init__(
        self,
        url: DatabaseUrl,
        *,
        application: str = "deployguard",
        address: Address | None = None,
        database: str | None = None,
    ) -> None:
        self.url = url
        self.redact = Redactor(url.secrets())
        self._address = address
        self._connection: Connection[Row] | None = None
        self.parameters = libpq.parameters(url)
        self.parameters["application_name"] = application[:NAME_LIMIT]
        if database is not None:
            self.parameters["dbname"] = database

    def elsewhere(self, database: str, application: str | None = None) -> "Session":
        """A new session on another database of the same server, by the address that was found to work."""
        other = Session(self.url, address=self._address)
        other.parameters = {**self.parameters, "dbname": database}
        if application is not None:
            other.parameters["application_name"] = application[:NAME_LIMIT]
        return other

    def connection(self) -> Connection[Row]:
        """The connection, open. Raises EnvironmentUnreachable."""
        if self._connection is not None and not self._alive(self._connection):
            self.close()
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def cancel(self) -> None:
        """End the statement that is running, from another thread. Nothing happens when there is none."""
        connection = self._connection
        if connection is not None and not connection.closed:
            with suppress(psycopg.Error):
                connection.cancel()

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextmanager
    def cursor(self) -> Iterator[Cursor[Row]]:
        """A cursor outside of any transaction."""
        connection = self.connection()
        with self.translated(), connection.cursor() as cursor:
            yield cursor

    @contextmanager
    def reading(self, timeout: int = ASKING) -> Iterator[Cursor[Row]]:
        """A cursor in a read-only snapshot; each statement may take ``timeout`` ms (0: as long as it likes)."""
        connection = self.connection()
        with self.translated(), connection.transaction(), connection.cursor() as cursor:
            words = (
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                f"SET LOCAL statement_timeout = {int(timeout)}",
                f"SET LOCAL lock_timeout = {timeout or ASKING}",
                "SET LOCAL idle_in_transaction_session_timeout = 0",
            )
            cursor.execute("; ".join(words).encode())  # one way there and back
            yield cursor

    def rows(self, query: str, values: Sequence[object] = (), timeout: int = ASKING) -> list[Row]:
        """All rows of one short read-only query of ours."""
        with self.reading(timeout) as cursor:
            return cursor.execute(query.encode(), values or None).fetchall()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """Turn psycopg's errors into ours; what they say is kept, secrets are not."""
        try:
            yield
        except psycopg.Error as error:
            self.fail(error)

    def explain(self, error: psycopg.Error) -> str:
        """What the server or libpq said, in one line."""
        text = _LOCATION.sub("", str(error).strip())
        return self.redact(" ".join(text.split())) or type(error).__name__

    def fail(self, error: psycopg.Error, doing: str = "") -> NoReturn:
        """Raise EnvironmentUnreachable for ``error``; it is not chained, for a traceback would show it raw."""
        refused = error.sqlstate is not None and not isinstance(error, psycopg.OperationalError)
        said = doing or f"The database {'refused' if refused else 'did not answer'}"
        raise EnvironmentUnreachable(
            _sentence(f"{said} ({self.url.display()}): {self.explain(error)}")
        ) from None

    def _alive(self, connection: Connection[Row]) -> bool:
        if connection.closed:
            return False
        try:
            if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                connection.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True

    def _open(self) -> Connection[Row]:
        try:
            return self._dial(self.parameters)
        except psycopg.Error as error:
            found = self._through_docker()
            if found is None:
                self._unreachable(error)
        try:
            connection = self._dial(found)
        except psycopg.Error as error:
            self._unreachable(error)
        self.parameters = found
        return connection

    def _dial(self, parameters: Mapping[str, str]) -> Connection[Row]:
        # Statements are never prepared by name: a pooler in between may give each one another server session.
        words = {**_LASTING, **parameters}
        return psycopg.connect(make_conninfo("", **words), autocommit=True, prepare_threshold=None)

    def _through_docker(self) -> dict[str, str] | None:
        host = self.parameters.get("host", "")
        if self._address is None or not host or host.startswith(("/", "@")) or "," in host:
            return None
        port = libpq.port_of(self.parameters)
        if "hostaddr" in self.parameters or libpq.answers(host, port):
            return None
        address = self._address(host, port)
        return None if address is None else libpq.at(self.parameters, address)

    def _unreachable(self, error: psycopg.Error) -> NoReturn:
        if isinstance(error, psycopg.ProgrammingError):
            raise UsageError(
                f"The database URL {self.url.display()} cannot be used: {self.explain(error)}"
            ) from None
        place = {k: self.parameters.get(k, "") for k in ("host", "port", "user", "dbname")}
        gone = f'database "{place["dbname"]}" does not exist' in str(error)
        name = place["dbname"] if not gone else "postgres"
        words = " ".join(
            f"{key}={value}" for key, value in (place | {"dbname": name}).items() if value
        )
        query = f'CREATE DATABASE \\"{place["dbname"]}\\"' if gone else "SELECT 1"
        commands = (f'psql "{words}" -c "{query}"',)
        raise EnvironmentUnreachable(
            _sentence(f"No connection to {self.url.display()}: {self.explain(error)}"),
            # A lost database is made anew, empty; then the backup can be swapped in.
            next_commands=(*commands, "deployguard backup restore latest") if gone else commands,
        ) from None


def _sentence(text: str) -> str:
    """With one mark at its end; libpq's own text may end with a question."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def quoted(*parts: str) -> sql.Composed:
    """An identifier of one or more parts, quoted for a statement."""
    return sql.Composed([sql.Identifier(*parts)])
