"""A driver with nothing behind it, which reports each statement and answers with rows that are made up."""

from __future__ import annotations

import re
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from . import quoting

if TYPE_CHECKING:
    from .channel import Channel
    from .state import State

_CONTROL = re.compile(
    r"^\s*(commit|end|rollback|abort|begin|start\s+transaction)\b(?!\s+(to|prepared))",
    re.IGNORECASE,
)
_COMMENTS = re.compile(r"^(\s+|--[^\n]*\n|/\*.*?\*/)+", re.DOTALL)
# Parameters as the drivers write them; quoted text is left alone.
_PARAMETER = re.compile(r"('(?:[^']|'')*'|\"(?:[^\"]|\"\")*\")|%\((\w+)\)s|%s|(%%)")
# Calls on a driver's own connection or cursor that change nothing in the database.
_HARMLESS = frozenset(
    """
    reset_schema_state add_notice_handler remove_notice_handler set_client_encoding set_session
    notices info ping set_deferrable set_read_only set_autocommit create_function
    set_trace_callback enable_load_extension closed arraysize setinputsizes setoutputsize
    set_charset autocommit_transaction itersize server_side
    """.split()  # noqa: SIM905 - a list of words
)


class Error(Exception):
    """The driver's base error; the others are the names that PEP 249 gives."""


def fake_dbapi() -> ModuleType:
    """A PEP 249 module that can stand in for any driver. Nothing connects through it."""
    module = ModuleType("deployguard_driver")
    names = "Warning InterfaceError DatabaseError DataError OperationalError IntegrityError InternalError"
    values: dict[str, Any] = {
        name: type(name, (Error,), {})
        for name in (names + " ProgrammingError NotSupportedError").split()
    }

    def missing(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return name

    values.update(
        Error=Error,
        apilevel="2.0",
        threadsafety=2,
        paramstyle="pyformat",
        Binary=bytes,
        __getattr__=missing,
        version="9.9.9",
    )
    module.__dict__.update(values)
    return module


class Connection:
    """A connection of the fake driver.

    `autocommit` is what the dialect set; `closed_by_text` is true after a COMMIT in the SQL text, which psycopg2
    and asyncpg do not notice: what follows runs outside of a transaction.
    """

    def __init__(self, state: State, driver: str, style: str) -> None:
        self.state = state
        self.driver = driver
        self.style = style
        self.notices = ()
        self.autocommit = False
        self.isolation_level: Any = None
        self.closed_by_text = False
        self.info = self
        self.encoding = "UTF8"

    def cursor(self, *_args: Any, **_kwargs: Any) -> Cursor:
        quoting.follow()
        return Cursor(self)

    def execute(self, sql: Any, parameters: Any = None, **_kwargs: Any) -> Cursor:
        return self.cursor().execute(sql, parameters)

    def commit(self) -> None:
        self.state.control.ended(self, "COMMIT")
        self.closed_by_text = False

    def rollback(self) -> None:
        self.state.control.ended(self, "ROLLBACK")
        self.closed_by_text = False

    def close(self) -> None:
        self.closed_by_text = False

    terminate = close

    @property
    def in_transaction(self) -> bool:
        return not self.autocommit and not self.closed_by_text

    def follow(self, sql: str) -> None:
        """Notice transaction control in the text."""
        match = _CONTROL.match(_COMMENTS.sub("", sql))
        if match and not self.autocommit and self.driver != "psycopg":
            self.closed_by_text = match.group(1).lower() in ("commit", "end", "rollback", "abort")

    def __getattr__(self, name: str) -> Any:
        return _unknown(self.state.channel, name)


class Cursor:
    """A cursor of the fake driver: reports, and answers with the rows that State makes up."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid = 1
        self.rows: list[tuple[Any, ...]] = []
        self.arraysize = 1

    def execute(
        self,
        sql: Any,
        parameters: Any = None,
        *,
        context: Any = None,
        many: int = 1,
        **_kwargs: Any,
    ) -> Cursor:
        connection, state = self.connection, self.connection.state
        text = plain(sql, parameters is not None and connection.style in ("format", "pyformat"))
        state.executing(text, context, in_transaction=connection.in_transaction, many=many)
        state.control.executed(connection)
        connection.follow(text)
        self.description, self.rows = state.answer(text, context, numbered(sql, parameters), many)
        changed = 0 if state.exhausted(text, parameters) else many
        self.rowcount = len(self.rows) if self.description else changed
        return self

    def executemany(
        self, sql: Any, parameters: Any, *, context: Any = None, **_kwargs: Any
    ) -> Cursor:
        many = list(parameters)
        return self.execute(sql, many[0] if many else None, context=context, many=len(many))

    def mogrify(self, sql: Any, parameters: Any = None) -> bytes:
        """psycopg2's: the statement with its values, of which only the places are told."""
        return plain(sql, parameters is not None).encode()

    def copy_expert(self, sql: Any, *_args: Any, **_kwargs: Any) -> None:
        self.execute(sql)

    def copy_from(self, _file: Any, table: str, *_args: Any, **_kwargs: Any) -> None:
        self.execute(f"COPY {table} FROM STDIN")

    def copy(self, sql: Any, *_args: Any, **_kwargs: Any) -> Copy:
        """psycopg's, a context manager that takes or gives rows."""
        self.execute(sql)
        return Copy()

    def fetchone(self) -> Any:
        return self.rows.pop(0) if self.rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        taken, self.rows = self.rows[:size], self.rows[size:]
        return taken

    def fetchall(self) -> list[Any]:
        taken, self.rows = self.rows, []
        return taken

    def __iter__(self) -> Any:
        return iter(self.fetchall())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def nextset(self) -> None:
        return None

    def close(self) -> None:
        self.rows = []

    def __getattr__(self, name: str) -> Any:
        return _unknown(self.connection.state.channel, name)


class Copy:
    """What psycopg's `cursor.copy` gives: takes every row, has none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return None

    def __iter__(self) -> Any:
        return iter(())

    def write(self, *_data: Any) -> None:
        return None

    write_row = set_types = write

    def read(self) -> bytes:
        return b""

    rows = __iter__


def _unknown(channel: Channel, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name not in _HARMLESS:
        channel.tell("driver", what=name)

    def call(*_args: Any, **_kwargs: Any) -> None:
        return None

    return call


def numbered(sql: Any, parameters: Any) -> dict[str, Any]:
    """The values by the numbers that `plain` gives them."""
    if isinstance(parameters, dict):
        names = dict.fromkeys(match.group(2) for match in _PARAMETER.finditer(str(sql)))
        found = [parameters.get(name) for name in names if name]
    else:
        found = list(parameters or ())
    return {str(number): value for number, value in enumerate(found, 1)}


def plain(sql: Any, formatted: bool) -> str:
    """The text as the server gets it: bytes and composed statements as text, parameters as $1, $2, …."""
    if isinstance(sql, bytes):
        sql = sql.decode("utf-8", errors="replace")
    elif not isinstance(sql, str):
        sql = sql.as_string(None) if hasattr(sql, "as_string") else str(sql)
    if not formatted:
        return str(sql)
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        quoted, name, percent = match.groups()
        if quoted:
            return str(quoted.replace("%%", "%"))
        if percent:
            return "%"
        key = name or str(len(numbers))
        return f"${numbers.setdefault(key, len(numbers) + 1)}"

    return _PARAMETER.sub(number, sql)
