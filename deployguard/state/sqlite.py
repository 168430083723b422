"""The journal's rows in a SQLite file of this host."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from threading import RLock

from deployguard.state.records import StateError
from deployguard.state.schema import open_state
from deployguard.state.store import Row, Value


class SqliteStore:
    """The state file at ``path``, opened at its first use."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._opened: sqlite3.Connection | None = None
        self._guard = RLock()

    @property
    def shown(self) -> str:
        return str(self.path)

    def close(self) -> None:
        with self._guard:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def rows(self, query: str, values: Sequence[Value] = ()) -> list[Row]:
        with self._guard:
            try:
                with closing(self._connection().execute(query, values)) as cursor:
                    return cursor.fetchall()
            except sqlite3.Error as error:
                raise self._broken(error) from error

    def write(self, statement: str, values: Sequence[Value] = ()) -> None:
        with self._guard:
            sql = self._connection()
            try:
                sql.execute("BEGIN IMMEDIATE")
                sql.execute(statement, values)
                sql.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._broken(error) from error
            finally:
                if sql.in_transaction:  # also after Ctrl-C between two statements
                    sql.execute("ROLLBACK")

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            self._opened = open_state(self.path)
        return self._opened

    def _broken(self, error: sqlite3.Error) -> StateError:
        return StateError(
            f"The journal {self.path} cannot be used: {error}.",
            state="What was being done is in the journal up to its last event.",
            next_commands=("deployguard status",),
        )
