"""What the database itself says around a snapshot: counted beside it, and whether anybody wrote meanwhile."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from deployguard.backups.base import Site
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.model import Json

if TYPE_CHECKING:
    from deployguard.database import Database

BESIDE: Final = "counted beside the snapshot, right before AWS was asked for it"


@dataclass(frozen=True, slots=True)
class Beside:
    """What was read before the snapshot. ``why`` says why nothing could be read; "" when it was."""

    database: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    revision: tuple[str, ...] = ()
    still: Json = None
    why: str = ""

    def facts(self, written: int | None) -> dict[str, Json]:
        """As it is kept in evidence.json. ``written`` rows since it was counted: 0 is a proof, None unknown."""
        return {
            "counts": dict(self.counts),
            "revision": [*self.revision],
            "counted": BESIDE,
            "read": not self.why,
            "why_not_read": self.why,
            "rows_written_until_available": written,
        }


def open_database(site: Site, host: str = "", port: int | None = None) -> "Database":
    """The site's database, or the same one on another server."""
    from deployguard.database import connect

    url = site.url.at(host, port or site.url.port or 5432) if host else site.url
    return connect(url, directory=site.directory, address=site.address)


def look_beside(site: Site, host: str = "", port: int | None = None) -> Beside:
    """Count the rows of every table, and read the revision, where the database can be reached."""
    try:
        with open_database(site, host, port) as database:
            still = database.stillness()  # before it is counted: no write falls between the two
            return Beside(
                database.name,
                database.row_counts(),
                database.current_revisions(site.version_table),
                still,
            )
    except (EnvironmentUnreachable, UsageError) as error:
        return Beside(why=error.message)


def read_revision(site: Site) -> tuple[str, ...] | None:
    """Alembic's revision under the site's own address; None when nothing answers there."""
    try:
        with open_database(site) as database:
            return database.current_revisions(site.version_table)
    except (EnvironmentUnreachable, UsageError):
        return None


def written_since(site: Site, beside: Beside) -> int | None:
    """At most how many rows were written since; 0 proves that the snapshot holds what was counted."""
    if beside.why:
        return None
    try:
        with open_database(site) as database:
            return database.rows_since(beside.still)
    except EnvironmentUnreachable:
        return None


def shut_out(site: Site, still: Json) -> int | None:
    """End every session and let nobody in any more, if nobody has written since ``still``: then 0.

    Else everybody may come in as before, and it is how many rows were written at most; None is unknown.
    """
    from deployguard.database.postgresql import PostgresDatabase
    from deployguard.database.shutting import shut

    with PostgresDatabase(site.url, address=site.address) as database:
        return shut(database, still)


def let_in(site: Site) -> None:
    """Take back what ``shut_out`` did."""
    from deployguard.database.postgresql import PostgresDatabase
    from deployguard.database.shutting import reopen

    with PostgresDatabase(site.url, address=site.address) as database:
        reopen(database)
