"""Whether two connections lead to the same database, or to the same server, whatever their addresses say."""

import secrets
from dataclasses import dataclass
from typing import Final

from psycopg import Connection

from deployguard.database.base import Database
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.session import Row
from deployguard.database.writes import server_identifier

_OID: Final = b"SELECT oid::bigint FROM pg_database WHERE datname = current_database()"


@dataclass(frozen=True, slots=True)
class Nearness:
    """``server`` None: both hide the number by which a server is known."""

    database: bool
    server: bool | None


def nearness(one: Connection[Row], other: Database) -> Nearness:
    """How near ``other`` is to the database of the connection ``one``.

    A lock that the first session holds is met by the second one exactly in the same database: advisory locks belong
    to one database of one server, and no address, name or missing right hides that.
    Raises EnvironmentUnreachable when ``other`` does not answer.
    """
    if not isinstance(other, PostgresDatabase):
        return Nearness(database=False, server=False)
    key = secrets.randbits(62)
    one.execute(b"SELECT pg_advisory_lock(%s)", [key])
    try:
        with other.session.cursor() as cursor:
            row = cursor.execute(b"SELECT pg_try_advisory_xact_lock(%s)", [key]).fetchone()
            met = not (row and row[0])
            theirs = cursor.execute(_OID).fetchone(), server_identifier(cursor)
    finally:
        one.execute(b"SELECT pg_advisory_unlock(%s)", [key])
    with one.cursor() as cursor:
        ours = cursor.execute(_OID).fetchone(), server_identifier(cursor)
    known = ours[1] is not None and theirs[1] is not None
    return Nearness(met or (known and ours == theirs), (ours[1] == theirs[1]) if known else None)
