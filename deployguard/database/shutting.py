"""Shut everybody out of a PostgreSQL database whose server is about to be replaced, once nobody has written to it.

Where the whole server is replaced, as on RDS, no database can be swapped in one transaction (``swap``): a flag keeps
new connections out instead. It stays on the former database, which is only looked at by people from then on.
"""

import time
from typing import Final

from psycopg import sql

from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.swap import SWAPS, Maintenance
from deployguard.errors import EnvironmentUnreachable
from deployguard.model import Json

_APPLICATION: Final = "deployguard-restore"
_ROUNDS: Final = 100  # of ending sessions
_PAUSE: Final = 0.05  # seconds between two
_END: Final = b"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()
AND coalesce(backend_type, '') IN ('', 'client backend', 'walsender')"""


def shut(database: PostgresDatabase, still: Json) -> int | None:
    """0 when nobody has written since ``still``, everybody is out, and nobody can come in any more.

    Else everybody may come in, and it is how many rows were written at most; None is unknown. Raises
    EnvironmentUnreachable where we may not do this; then everybody may come in as well.
    """
    maintenance = Maintenance(database, _APPLICATION)
    try:
        for _ in range(SWAPS):
            _allow(
                maintenance, database.name, wanted=True
            )  # a try that was killed may have shut it
            counted = maintenance.counted(database.name)
            rows = database.rows_since(still)
            database.close()  # our own session is one of those that must be gone
            if rows != 0 or not counted:
                return rows or None
            if _alone(maintenance, database.name, counted):
                return 0
    finally:
        maintenance.close()
    return None


def reopen(database: PostgresDatabase) -> None:
    """Let everybody in again."""
    maintenance = Maintenance(database, _APPLICATION)
    try:
        _allow(maintenance, database.name, wanted=True)
    finally:
        maintenance.close()


def _alone(maintenance: Maintenance, name: str, counted: str) -> bool:
    """Shut the database; open it again and say False when it was written to before everybody was out."""
    _allow(maintenance, name, wanted=False)
    alone = False
    try:
        alone = _empty(maintenance, name) and maintenance.counted(name) == counted
    finally:
        if not alone:
            _allow(maintenance, name, wanted=True)
    return alone


def _empty(maintenance: Maintenance, name: str) -> bool:
    for _ in range(_ROUNDS):
        with maintenance.session.cursor() as cursor:
            if not cursor.execute(_END, [name]).fetchall():
                return True
        time.sleep(_PAUSE)
    raise EnvironmentUnreachable(f"Sessions in the database {name} could not be ended.")


def _allow(maintenance: Maintenance, name: str, *, wanted: bool) -> None:
    state = sql.SQL("true" if wanted else "false")
    statement = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}").format(
        sql.Identifier(name), state
    )
    with maintenance.session.cursor() as cursor:
        cursor.execute(statement)
