"""SQLite in memory: a real database, made for the reading, whose every statement is reported."""

from __future__ import annotations

import re
import sqlite3
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .state import State


def sqlite_dbapi() -> ModuleType:
    """The sqlite3 module, with what SQLAlchemy looks for in an asynchronous driver around it."""
    module = ModuleType("deployguard_sqlite")
    module.__dict__.update(sqlite3.__dict__)
    module.__dict__.update(has_stop=False, sqlite=sqlite3)
    return module


_NAME = r'(?:"(?:[^"]|"")+"|`[^`]+`|\[[^\]]+\]|\w+)'
_REPLACES = re.compile(
    rf"\s*(?:DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:main\s*\.\s*)?(?P<dropped>{_NAME})\s*;?\s*"
    rf"|ALTER\s+TABLE\s+(?:main\s*\.\s*)?(?P<renamed>{_NAME})\s+RENAME\s+TO\s.*)",
    re.IGNORECASE | re.DOTALL,
)


# The history need not make everything: tables may have come from metadata.create_all, or from elsewhere.
_MISSING = re.compile(r"no such (?P<kind>table|index|view|trigger): (?:main\.)?(?P<name>.+)")
_READS = re.compile(r"\s*(?:SELECT|PRAGMA|WITH|VALUES|EXPLAIN)\b", re.IGNORECASE)
_MAKES = re.compile(
    rf"\s*(?:CREATE\s+(?:UNIQUE\s+)?(?:TABLE|INDEX|VIEW|TRIGGER)\s+(?:IF\s+NOT\s+EXISTS\s+)?(?:main\s*\.\s*)?"
    rf"(?P<made>{_NAME})|ALTER\s+TABLE\s.*\sRENAME\s+TO\s+(?P<renamed>{_NAME}))",
    re.IGNORECASE | re.DOTALL,
)


class Elsewhere:
    """What nothing recorded has ever made, so that it is taken to be in the database."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.made: set[str] = set()

    def done(self, sql: str) -> None:
        """A statement went through."""
        match = _MAKES.match(sql)
        if match:
            self.made.add((match["made"] or match["renamed"]).strip('"`[]').casefold())

    def excuses(self, sql: str, error: sqlite3.OperationalError) -> bool:
        """Whether a statement only fails here because what it changes is not in the history."""
        match = _MISSING.fullmatch(str(error))
        if match is None or self.state.request["catalogue"] is not None or _READS.match(sql):
            return False
        if match["name"].casefold() in self.made:
            return False  # it was there, and is gone
        self.state.channel.note(
            f"The history does not make the {match['kind']} {match['name']}; it was taken to be there."
        )
        return True


def columns_before(connection: sqlite3.Connection, sql: str) -> list[list[str]]:
    """[table, column, type, "not null" or ""] of a table that goes: it may have been copied into another one."""
    match = _REPLACES.fullmatch(sql)
    if match is None:
        return []
    name = match["dropped"] or match["renamed"]
    quoted = name[0] in '"`['
    table = name[1:-1] if quoted else name
    asked = sqlite3.Cursor(connection).execute(
        'SELECT name, type, "notnull" OR pk FROM pragma_table_info(?)', (table,)
    )
    own = table if quoted else table.lower()
    return [
        [own, str(column), str(kind), "not null" if required else ""]
        for column, kind, required in asked
    ]


def memory_connection(state: State) -> sqlite3.Connection:
    """A real SQLite database in memory whose every statement is reported."""
    elsewhere = Elsewhere(state)

    class RealCursor(sqlite3.Cursor):
        def execute(self, sql: str, *parameters: Any) -> RealCursor:
            return self._reported(sql, 1, lambda: sqlite3.Cursor.execute(self, sql, *parameters))

        def executemany(self, sql: str, parameters: Any) -> RealCursor:
            many = list(parameters)
            return self._reported(
                sql, len(many), lambda: sqlite3.Cursor.executemany(self, sql, many)
            )

        def executescript(self, sql: str) -> RealCursor:
            return self._reported(sql, 1, lambda: sqlite3.Cursor.executescript(self, sql))

        def _reported(self, sql: str, many: int, run: Any) -> RealCursor:
            done = False
            replaced = columns_before(self.connection, sql)
            try:
                run()
                done = True
                elsewhere.done(sql)
            except sqlite3.OperationalError as error:
                done = elsewhere.excuses(sql, error)
                if not done:
                    raise
            finally:
                in_transaction = self.connection.in_transaction
                state.executing(
                    sql,
                    None,
                    in_transaction=in_transaction,
                    many=many,
                    failed=not done,
                    replaced=replaced,
                )
                state.control.executed(self.connection)
            return self

    class RealConnection(sqlite3.Connection):
        def cursor(self, factory: Any = RealCursor) -> Any:
            return super().cursor(factory)

        def execute(self, sql: str, *parameters: Any) -> Any:
            return self.cursor().execute(sql, *parameters)

        def executemany(self, sql: str, parameters: Any) -> Any:
            return self.cursor().executemany(sql, parameters)

        def executescript(self, sql: str) -> Any:
            return self.cursor().executescript(sql)

        def commit(self) -> None:
            state.control.ended(self, "COMMIT")
            super().commit()

        def rollback(self) -> None:
            state.control.ended(self, "ROLLBACK")
            super().rollback()

        def close(self) -> None:
            # Pools close connections between uses; the schema must outlive that.
            if self.in_transaction:
                self.rollback()

    connection = sqlite3.connect(":memory:", check_same_thread=False, factory=RealConnection)
    connection.create_function(
        "regexp", 2, lambda pattern, text: re.search(pattern, text or "") is not None
    )
    return connection
