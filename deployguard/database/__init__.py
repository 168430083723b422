"""Databases: what is asked of a live one, its locks, and what only a database library can do to one."""

from pathlib import Path

from deployguard.config import DatabaseUrl
from deployguard.database.base import (
    VERSION_TABLE,
    Address,
    Backend,
    Database,
    Lock,
    Locked,
    same_counts,
)
from deployguard.errors import UsageError

__all__ = [
    "VERSION_TABLE",
    "Address",
    "Backend",
    "Database",
    "Lock",
    "Locked",
    "connect",
    "same_counts",
]


def connect(url: DatabaseUrl, *, directory: Path, address: Address | None = None) -> Database:
    """The database behind ``url``, whichever driver the URL names; it is dialled at the first question.

    ``directory`` is what a relative SQLite path counts from. ``address`` is asked for the address of a host that does
    not resolve or answer, such as a service that only Docker knows. Raises UsageError for other dialects.
    """
    if url.dialect == "sqlite":
        from deployguard.database.sqlite import SqliteDatabase

        return SqliteDatabase(url.sqlite_path(directory))
    if url.dialect == "postgresql":
        from deployguard.database.postgresql import PostgresDatabase

        return PostgresDatabase(url, address=address)
    raise UsageError(
        f"deployguard can reach PostgreSQL and SQLite databases, not {url.dialect} ({url.display()}).",
        next_commands=("deployguard check --since main",),
    )
