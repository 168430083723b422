"""From where a backup is read: the server itself, never a pooler; a replica only once it has caught up."""

import time
from typing import Final

from deployguard.backups.base import NOT_MIGRATED, Site, TransientFailure
from deployguard.database import writes
from deployguard.database.postgresql import PostgresDatabase
from deployguard.errors import EnvironmentUnreachable, UsageError

CATCH_UP: Final = 60.0  # seconds that a replica may need to replay what the primary has committed
_PAUSE: Final = 0.25
_WHICH: Final = """
SELECT current_database(), (SELECT oid::bigint FROM pg_database WHERE datname = current_database())"""
# What was committed with synchronous_commit = off is inserted, but perhaps not written yet.
_COMMITTED: Final = """
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text,
  current_setting('wal_block_size')::int"""
_HEADERS: Final = (
    24,
    40,
)  # bytes at the beginning of a page, and of a segment, of the write-ahead log
_BEHIND: Final = """
SELECT coalesce(pg_wal_lsn_diff(%s::pg_lsn, pg_last_wal_replay_lsn()), 1)::bigint"""


def is_standby(database: PostgresDatabase) -> bool:
    """Whether it is a replica that only reads."""
    return bool(database.session.rows("SELECT pg_is_in_recovery()")[0][0])


def check(site: Site, database: PostgresDatabase) -> None:
    """Look that ``database`` is a server itself and, with a URL of its own for backups, the right one.

    Raises EnvironmentUnreachable or UsageError.
    """
    _no_pooler(site, database)
    if site.source is None:
        return
    with PostgresDatabase(site.url, address=site.address) as live:
        ours, theirs = _server(database), _server(live)
        if None in (ours, theirs) or ours == theirs:
            caught_up(
                site, database
            )  # a replica may not know yet that a restore has renamed the databases
            ours, theirs = _which(database), _which(live)
    if ours != theirs:
        raise UsageError(
            f"The URL for backups, {site.source.display()}, leads to another database than"
            f" {site.url.display()}: what is backed up must be what is migrated.",
            state=NOT_MIGRATED,
            next_commands=(f"echo ${site.config.database_url_env}",),
        )


def caught_up(site: Site, database: PostgresDatabase) -> None:
    """Wait until a replica has replayed all that its primary has committed by now. Raises TransientFailure."""
    if site.source is None or not is_standby(database):
        return
    with PostgresDatabase(site.url, address=site.address) as primary:
        place, page = primary.session.rows(_COMMITTED)[0]
    wanted = end_of_record(str(place), int(page))
    deadline, told = time.monotonic() + CATCH_UP, False
    while (left := int(database.session.rows(_BEHIND, [wanted])[0][0])) > 0:
        if time.monotonic() > deadline:
            raise TransientFailure(
                f"The replica that backups are read from is {left} bytes of write-ahead log behind its primary, and"
                f" did not catch up within {CATCH_UP:.0f} seconds.",
                state=NOT_MIGRATED,
            )
        if not told:
            site.say(f"waiting for the replica, which is {left} bytes behind")
            told = True
        time.sleep(_PAUSE)


def end_of_record(place: str, page: int) -> str:
    """Where the last record ends, by where the next one would begin: behind a header, if it fills its page; pure.

    A replica that has replayed everything never gets to the other side of that header.
    """
    high, _, low = place.partition("/")
    number = (int(high, 16) << 32) + int(low, 16)
    if number % page in _HEADERS:
        number -= number % page
    return f"{number >> 32:X}/{number & 0xFFFFFFFF:X}"


def _no_pooler(site: Site, database: PostgresDatabase) -> None:
    """A pooler hands out numbers of its own for the processes behind it.

    In transaction mode it may lose pg_dump's settings on the way, row_security among them: a dump would silently lack
    rows. Nothing proves that it is in session mode, so none is dumped through.
    """
    told = database.session.connection().info.backend_pid
    real = int(database.session.rows("SELECT pg_backend_pid()")[0][0])
    if told == real:
        return
    where = (site.source or site.url).display()
    raise EnvironmentUnreachable(
        f"A connection pooler such as PgBouncer stands in front of the database ({where}). pg_dump needs the server"
        " itself: its snapshot and its settings belong to one session. Put the server's own URL into an environment"
        " variable and name it in [backup] database_url_env.",
        state=NOT_MIGRATED,
    )


def _server(database: PostgresDatabase) -> str | None:
    """The number that the server's files were born with, a replica has its primary's; None where it is hidden."""
    with database.session.reading() as cursor:
        return writes.server_identifier(cursor)


def _which(database: PostgresDatabase) -> str:
    name, number = database.session.rows(_WHICH)[0]
    return f"{name} {number}"
