"""Whether env.py, given our URL that leads nowhere, would have gone there, or to a database of its own. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployguard.config import DatabaseUrl

_PORTS: Final = {"postgresql": "5432", "mysql": "3306", "mariadb": "3306"}
_LOCAL: Final = frozenset(("localhost", "127.0.0.1", "::1"))
_MEMORY: Final = ":memory:"


@dataclass(frozen=True, slots=True)
class Connects:
    """What a migration's engine was made for. ``own``: the project makes its connections itself, so nobody knows."""

    dialect: str
    host: str = ""
    port: str = ""
    database: str = ""
    own: bool = False

    def display(self) -> str:
        """The address for people; there is no user and no password in it."""
        place = f"{self.host}:{self.port}" if self.port else self.host
        return f"{self.dialect}://{place}/{self.database}"


def elsewhere(
    found: Sequence[Connects], places: Sequence[DatabaseUrl], directory: Path
) -> tuple[Connects, ...]:
    """Those that lead to none of ``places``: our dummy and the real database. Files count from ``directory``."""
    return tuple(
        one
        for one in found
        if not one.own and not any(_same(one, url, directory) for url in places)
    )


def sentence(found: Sequence[Connects], target: str, variable: str) -> str:
    """What is wrong, for people; "" where nothing is. ``variable`` holds the URL of ``target``, "" is none."""
    if not found:
        return ""
    return (
        f"env.py would not migrate {target}: with {variable or 'the URL'} set, it connects to"
        f" {', '.join(one.display() for one in found)}."
    )


def _same(one: Connects, url: DatabaseUrl, directory: Path) -> bool:
    if _kind(one.dialect) != _kind(url.dialect):
        return False
    if url.dialect == "sqlite":
        return _file(one.database, directory) == _file(url.database, directory)
    host = str(url.query.get("host", "")) or url.host
    port = str(url.query.get("port", "")) or str(url.port or "")
    standard = _PORTS.get(url.dialect, "")
    return (_host(one.host), one.port or standard, one.database) == (
        _host(host),
        port or standard,
        url.database,
    )


def _kind(dialect: str) -> str:
    return {"postgres": "postgresql", "mariadb": "mysql"}.get(dialect, dialect)


def _host(name: str) -> str:
    folded = name.strip("[]").casefold()
    return "localhost" if folded in _LOCAL else folded


def _file(database: str, directory: Path) -> str:
    """One spelling of a SQLite file; env.py may have put a folder before the name of our database in memory."""
    name = database.removeprefix("file:").partition("?")[0]
    if not name or name.rsplit("/", 1)[-1] == _MEMORY or _MEMORY in database:
        return _MEMORY
    return str((directory / name).resolve())
