"""Asks the server what it is: fit for a base backup, archiving, and how far; names a moment in its log."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from deployguard.backups import physical_tools
from deployguard.backups.base import Site
from deployguard.config import PhysicalConfig
from deployguard.database.postgresql import PostgresDatabase
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from deployguard.wal import Archive, lsn, segment

OLDEST: Final = 13  # the first with pg_verifybackup
INCREMENTAL: Final = 17  # the first with pg_combinebackup
UNTAKEN: Final = "Nothing was taken, and nothing is listed."
_MANAGED: Final = {
    "rds_superuser": "Amazon RDS",
    "cloudsqlsuperuser": "Google Cloud SQL",
    "azure_pg_admin": "Azure Database for PostgreSQL",
}
_SERVER: Final = """
SELECT system_identifier::text, current_setting('server_version'), pg_is_in_recovery(),
  (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user),
  current_setting('wal_level'), current_setting('max_wal_senders')::int,
  coalesce(current_setting('summarize_wal', true), 'off'),
  (SELECT rolname::text FROM pg_roles WHERE oid = 10),
  (SELECT setting::bigint * CASE unit WHEN '8kB' THEN 8192 WHEN 'kB' THEN 1024 WHEN 'MB' THEN 1048576 ELSE 1 END
     FROM pg_settings WHERE name = 'wal_segment_size'),
  (SELECT sum(CASE WHEN datallowconn THEN pg_database_size(oid) ELSE 0 END)::bigint FROM pg_database),
  ARRAY(SELECT spcname::text FROM pg_tablespace WHERE oid NOT IN (1663, 1664) ORDER BY 1),
  ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY(%s)),
  clock_timestamp()
FROM pg_control_system()"""
_ARCHIVING: Final = """
SELECT current_setting('archive_mode'), current_setting('archive_command'),
  coalesce(current_setting('archive_library', true), ''), a.archived_count, coalesce(a.last_archived_wal, ''),
  a.failed_count, coalesce(a.last_failed_wal, ''), a.last_failed_time,
  coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) FROM pg_stat_archiver a"""
_MARK: Final = "SELECT pg_create_restore_point(%s)::text, pg_walfile_name(pg_current_wal_lsn()), clock_timestamp()"
_GRANTS: Final = (
    "GRANT EXECUTE ON FUNCTION pg_create_restore_point(text), pg_switch_wal() TO {role}"
)
_LOOKS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Server:
    """One cluster as it is now; ``size`` of all databases in bytes, ``now`` by its own clock."""

    system: str
    version: str
    standby: bool
    may: bool
    wal_level: str
    senders: int
    summarize: str
    superuser: str
    segment_bytes: int
    size: int
    tablespaces: Sequence[str]
    managed: Sequence[str]
    now: datetime
    major: int = 0


@dataclass(frozen=True, slots=True)
class Archiving:
    """How the server archives, and how that went so far."""

    mode: str
    command: str
    library: str
    archived: int
    last: str
    failed: int
    last_failed: str
    last_failed_at: datetime | None
    failing: bool

    @property
    def on(self) -> bool:
        return self.mode != "off" and bool(self.library or self.command not in ("", "(disabled)"))


def ask(database: PostgresDatabase) -> Server:
    """The cluster. Raises EnvironmentUnreachable."""
    row = database.session.rows(_SERVER, [list(_MANAGED)], timeout=60_000)[0]
    return replace(Server(*row), major=database.server_version[0])


def fit(server: Server, *, incremental: bool) -> None:
    """Raises UsageError for a server that a base backup cannot be taken of, with what to do about it."""
    if server.managed:
        name = _MANAGED[server.managed[0]]
        instead = (
            ' Its snapshots are the way: [backup] store = "rds" (docs/rds.md).'
            if name == "Amazon RDS"
            else " Use the provider's own snapshots, and `deployguard backup create` for dumps."
        )
        raise _unfit(f"This server is managed ({name}), and lets nobody copy its files.{instead}")
    if server.major < OLDEST:
        raise _unfit(
            f"The server is PostgreSQL {server.major}; base backups are taken of {OLDEST} and newer."
        )
    if server.standby:
        raise _unfit(
            "This server is a replica. Base backups are taken of the primary, whose log is archived: name its URL"
            " in [physical] database_url_env."
        )
    if server.tablespaces:
        raise _unfit(
            f"The cluster has tablespaces ({', '.join(server.tablespaces)}), whose files lie outside of its folder."
            " deployguard takes no base backup of such a cluster; `deployguard backup create` takes its databases."
        )
    if not server.may:
        raise _unfit(
            "The role may not replicate. Name a role that may in [physical] database_url_env.",
            "psql -c 'ALTER ROLE backup REPLICATION'",
        )
    if server.wal_level == "minimal" or server.senders < 2:
        raise _unfit(
            f"wal_level is {server.wal_level} and max_wal_senders {server.senders}; base backups need replica and 2.",
            "psql -c \"ALTER SYSTEM SET wal_level = 'replica'\"",
            'psql -c "ALTER SYSTEM SET max_wal_senders = 10"',
        )
    if incremental and server.major < INCREMENTAL:
        raise _unfit(
            f"The server is PostgreSQL {server.major}; incremental base backups came with {INCREMENTAL}."
            " Take a full one.",
            "deployguard backup physical create",
        )
    if incremental and server.summarize != "on":
        raise _unfit(
            "summarize_wal is off, so the server cannot tell what has changed since the backup before.",
            'psql -c "ALTER SYSTEM SET summarize_wal = on" -c "SELECT pg_reload_conf()"',
            "deployguard backup physical create",
        )


def _unfit(message: str, *commands: str) -> UsageError:
    return UsageError(message, state=UNTAKEN, next_commands=commands)


def tools(site: Site, config: PhysicalConfig, server: Server) -> physical_tools.Programs:
    """The programs for this server."""
    return physical_tools.choose(
        site, config.pg_bin, server.major, physical_tools.TAKING, "The server"
    )


def archiving(database: PostgresDatabase) -> Archiving:
    """How the server archives."""
    return Archiving(*database.session.rows(_ARCHIVING)[0])


def mark(database: PostgresDatabase, name: str) -> tuple[str, str, datetime]:
    """Name this moment in the log: (position, name of its segment, the server's time). Raises UsageError."""
    role = database.session.connection().info.user
    try:
        with database.session.cursor() as cursor:
            row = cursor.execute(_MARK.encode(), [name]).fetchone()
            switched = cursor.execute(b"SELECT pg_switch_wal()").fetchone()
    except EnvironmentUnreachable as error:
        if "permission denied" not in error.message:
            raise
        raise UsageError(
            "The role may not name a moment in the log, or begin a new segment of it.",
            next_commands=(f'psql -d {database.name} -c "{_GRANTS.format(role=role)}"',),
        ) from None
    if row is None or switched is None:
        raise EnvironmentUnreachable("The server did not say where its log stands.")
    return str(row[0]), str(row[1]), row[2]


def await_archived(
    database: PostgresDatabase,
    archive: Archive,
    position: tuple[str, str],
    size: int,
    wait: float,
) -> str:
    """Wait until the segment that ends with ``position`` (and a name of its timeline) is in the archive; its name.

    Raises BackupFailed that tells what the archiver says.
    """
    where, timeline = position
    name = segment(int(timeline[:8], 16), (lsn(where) - 1) // size, size)
    deadline = time.monotonic() + wait
    while archive.path(name) is None:
        found = archiving(database)
        if time.monotonic() > deadline:
            raise BackupFailed(
                f"{name} was not in {archive.folder} after {wait:.0f} seconds. {_told(found)}",
                state="The database goes on; what it writes now cannot be recovered to a time.",
                next_commands=("deployguard backup physical check",),
            )
        time.sleep(_LOOKS)
    return name


def _told(found: Archiving) -> str:
    if found.failing:
        return (
            f"archive_command fails: {found.failed} times so far, the last time for {found.last_failed}. The server's"
            " log has what it said."
        )
    if found.last:
        return f"The server has archived up to {found.last}, so its archive_command may lead elsewhere."
    return "The server has archived nothing yet; its log says so when it could not start archive_command."
