"""What makes it quicker to fill a new database that nobody uses yet, and takes nothing from its durability."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from psycopg import sql

from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.session import Session, quoted

SORTING: Final = 256 * 1024  # kB that the build of an index or the check of a foreign key may use
# What a plain ANALYZE would look at, the largest first.
_LARGEST: Final = b"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' ORDER BY pg_relation_size(c.oid) DESC"""
_SORTING: Final = b"SELECT setting::bigint FROM pg_settings WHERE name = 'maintenance_work_mem'"


@contextmanager
def hurried(session: Session, name: str) -> Iterator[None]:
    """Let sessions that begin in the database ``name`` wait for no flush, and sort in memory, until the block ends.

    Whatever they commit is on the disk once a later commit of another session (the swap's) has been flushed: the
    write-ahead log is one. The settings end with the block, also when that fails. Raises EnvironmentUnreachable.
    """
    database = sql.Identifier(name)
    with session.cursor() as cursor:
        cursor.execute(sql.SQL("ALTER DATABASE {} SET synchronous_commit TO off").format(database))
        there = cursor.execute(_SORTING).fetchone()
        if there is not None and there[0] < SORTING:
            cursor.execute(
                sql.SQL("ALTER DATABASE {} SET maintenance_work_mem TO {}").format(
                    database, sql.Literal(f"{SORTING}kB")
                )
            )
    try:
        yield
    finally:
        with session.cursor() as cursor:
            cursor.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(database))


def analyze(database: PostgresDatabase, *, application: str, jobs: int) -> None:
    """Collect the planner's statistics of every table, ``jobs`` of them at once. Raises EnvironmentUnreachable."""
    with database.session.cursor() as cursor:
        waiting = deque(cursor.execute(_LARGEST).fetchall())

    def work(_: int) -> None:
        session = database.session.elsewhere(database.name, application)
        try:
            with session.cursor() as cursor:
                while waiting:
                    try:
                        schema, table = waiting.popleft()
                    except IndexError:
                        return
                    cursor.execute(
                        sql.SQL("ANALYZE {}").format(quoted(schema, table)).as_bytes(cursor)
                    )
        finally:
            session.close()

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, range(jobs)))
