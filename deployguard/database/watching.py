"""Look at the sessions of a PostgreSQL database: who waits for whom, what is built, how far replicas are behind.

Who waits, for what and for whom is told to every role (pg_locks, pg_blocking_pids); states and ages of other roles'
sessions only to members of pg_read_all_stats, which pg_monitor is one of. No statement's text is read: it may hold
data. Sources: the PostgreSQL manual, "Monitoring Database Activity", "pg_locks", "System Administration Functions".
"""

from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from deployguard.database import server_files
from deployguard.database.session import Row, Session
from deployguard.errors import EnvironmentUnreachable
from deployguard.observation import MIGRATION, Build, Client, Observation, Replica, Surroundings

LOOKING: Final = (
    2_000  # milliseconds that a look may take: on a busy server it is given up, not waited for
)
_T = TypeVar("_T")
_CLIENTS: Final = """
WITH locks AS (
  SELECT pid, locktype, mode, granted, relation, database, {since} AS since FROM pg_locks
), waits AS (
  SELECT DISTINCT ON (pid) pid, mode, since, CASE locktype WHEN 'relation' THEN relation::regclass::text
         ELSE locktype END AS what FROM locks WHERE NOT granted ORDER BY pid
), shut AS (
  SELECT l.pid, min(c.oid::regclass::text) AS what FROM locks l JOIN pg_class c ON c.oid = l.relation
  WHERE l.granted AND l.locktype = 'relation' AND l.mode = 'AccessExclusiveLock' AND c.relpersistence <> 't'
    AND c.relkind IN ('r', 'p', 'm') AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  GROUP BY l.pid
)
SELECT a.pid, coalesce(nullif(a.application_name, ''), a.backend_type, ''), coalesce(a.usename, ''),
       coalesce(a.state, ''),
       concat_ws('/', a.wait_event_type, a.wait_event),
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
       CASE WHEN w.pid IS NOT NULL
            THEN extract(epoch FROM clock_timestamp() - coalesce(w.since, a.query_start))::float8 END,
       coalesce(w.mode, ''), coalesce(w.what, ''),
       CASE WHEN w.pid IS NOT NULL THEN pg_blocking_pids(a.pid) ELSE '{{}}' END,
       coalesce(s.what, ''), a.backend_type IS NULL
FROM pg_stat_activity a LEFT JOIN waits w ON w.pid = a.pid LEFT JOIN shut s ON s.pid = a.pid
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
  AND coalesce(a.backend_type, '') <> 'parallel worker'  -- it works for one that is here
ORDER BY w.since NULLS LAST, a.pid"""
_BUILDS: Final = """
SELECT pid, coalesce(relid::regclass::text, ''),
       CASE WHEN index_relid <> 0 THEN index_relid::regclass::text ELSE '' END,
       phase,
       CASE WHEN phase ~ 'waiting' THEN lockers_done WHEN phase ~ 'scanning' THEN blocks_done ELSE tuples_done END,
       CASE WHEN phase ~ 'waiting' THEN lockers_total WHEN phase ~ 'scanning' THEN blocks_total ELSE tuples_total END
FROM pg_stat_progress_create_index WHERE datname = current_database() AND phase IS NOT NULL ORDER BY pid"""
_REPLICAS: Final = """
SELECT coalesce(nullif(application_name, ''), usename, ''), coalesce(state, ''),
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END,
                       replay_lsn)::bigint,
       extract(epoch FROM replay_lag)::float8, state IS NULL
FROM pg_stat_replication WHERE coalesce(state, '') <> 'backup' ORDER BY 1, pid"""
_INVALID: Final = """
SELECT n.nspname || '.' || c.relname FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_toast' {unbuilt} ORDER BY 1"""
_UNBUILT: Final = """
AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)"""
# One statement, so that a process number that is another client's by now is never hit.
_STOP: Final = """
SELECT pid,
       CASE WHEN state LIKE 'idle in transaction%%' THEN pg_terminate_backend(pid) ELSE pg_cancel_backend(pid) END
FROM pg_stat_activity
WHERE pid = ANY(%s) AND application_name = %s AND datname = current_database() AND pid <> pg_backend_pid()"""


def observe(session: Session, application: str, *, around: bool = False) -> Observation:
    """One look. ``application`` is the application_name of the migration; "" is that of any migration of ours.

    ``around``: ask what changes slowly as well. Raises EnvironmentUnreachable.
    """
    version = session.connection().info.server_version
    since = "waitstart" if version >= 140_000 else "NULL::timestamptz"
    rows = session.rows(_CLIENTS.format(since=since), timeout=LOOKING)
    builds = session.rows(_BUILDS, timeout=LOOKING) if version >= 120_000 else []
    return Observation(
        tuple(_client(row, application) for row in rows),
        tuple(Build(*row) for row in builds),
        _around(session, version) if around else None,
    )


def stop(session: Session, application: str, pids: Sequence[int]) -> tuple[int, ...]:
    """Cancel what these processes run, if they are of ``application`` and in this database; which ones were told to.

    One that is idle in its transaction has no statement to cancel, and is ended: what it holds, it would hold on to.
    Raises EnvironmentUnreachable, also when our role may not.
    """
    with session.cursor() as cursor:
        rows = cursor.execute(_STOP.encode(), [list(pids), known(application)]).fetchall()
    return tuple(pid for pid, told in rows if told)


def known(application: str) -> str:
    """The application_name as the server keeps it: 63 bytes of it."""
    return application.encode()[:63].decode(errors="ignore")


def _client(row: Row, application: str) -> Client:
    pid, name, user, state, wait, transaction, waiting, mode, what, blockers, holds, hidden = row
    ours = name == known(application) if application else name.startswith(MIGRATION)
    return Client(
        pid=pid,
        application=name,
        user=user,
        ours=ours,
        state=state,
        wait=wait,
        transaction=transaction,
        waiting=waiting,
        mode=mode,
        on=what,
        blockers=tuple(sorted(set(blockers))),
        holds=holds,
        hidden=hidden,
    )


def _around(session: Session, version: int) -> Surroundings:
    unbuilt = _UNBUILT if version >= 120_000 else ""

    def replicas() -> tuple[Replica, ...]:
        return tuple(Replica(*row) for row in session.rows(_REPLICAS, timeout=LOOKING))

    def invalid() -> tuple[str, ...]:
        rows = session.rows(_INVALID.format(unbuilt=unbuilt), timeout=LOOKING)
        return tuple(name for (name,) in rows)

    def size() -> int:
        return int(
            session.rows("SELECT pg_database_size(current_database())", timeout=LOOKING)[0][0]
        )

    def temporary() -> int | None:
        found = session.rows("SELECT sum(size)::bigint FROM pg_ls_tmpdir()", timeout=LOOKING)[0][0]
        return int(found or 0)

    return Surroundings(
        _or_unknown(replicas),
        _or_unknown(invalid),
        _or_unknown(size),
        server_files.free(session),
        _or_unknown(temporary) if version >= 120_000 else None,
    )


def _or_unknown(question: Callable[[], _T]) -> _T | None:
    try:
        return question()
    except EnvironmentUnreachable:
        return None
