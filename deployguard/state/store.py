"""Where the journal's rows are kept: in a file of this host, or in a database that several hosts share."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

Row: TypeAlias = tuple[Any, ...]  # a cell's type is the schema's business
Value: TypeAlias = str | int | None


class Store(Protocol):
    """SQL that SQLite and PostgreSQL read alike, with ``?`` for each value. Every method raises StateError.

    May be used by several threads.
    """

    @property
    def shown(self) -> str:
        """The place as a person may see it, without a password."""

    def rows(self, query: str, values: Sequence[Value] = ()) -> list[Row]:
        """What a query finds; nothing where nothing was ever written. It makes nothing in a shared database."""

    def write(self, statement: str, values: Sequence[Value] = ()) -> None:
        """Run one statement in a transaction of its own; when this returns, it is on the disk.

        It may be run again when nobody knows whether its commit arrived, so a second run must change nothing more.
        """

    def close(self) -> None:
        """Let the place go; the next use opens it again."""
