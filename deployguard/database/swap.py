"""Put one PostgreSQL database in the place of another: all or nothing, and the former one is kept.

The swap is one transaction of two renames. A rename first takes the lock that every new connection waits for, then
waits up to five seconds for the sessions that are there to go; they are ended meanwhile from a second connection. So
no flag is ever left on the live database: a crash at any moment leaves either both old names or both new ones.
"""

import csv
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from deployguard.database import stillness
from deployguard.database.lock import MAINTENANCE
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.session import NAME_LIMIT, Row, Session
from deployguard.errors import EnvironmentUnreachable, UsageError

SWAPS: Final = 3  # times that the renames are tried while somebody cannot be made to leave
_PAUSE: Final = 0.05  # seconds between two rounds of ending sessions
_OTHERS: Final = b"""
SELECT pid, usename FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()
AND coalesce(backend_type, '') IN ('', 'client backend', 'walsender')"""  # '': hidden from us
_SHAPE: Final = """
SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), datcollate, datctype, datconnlimit,
       (SELECT spcname FROM pg_tablespace t WHERE t.oid = dattablespace), {provider}, {locale}, datacl IS NULL
FROM pg_database WHERE datname = %s"""
_GRANTS: Final = b"""
SELECT CASE a.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable
FROM pg_database d, aclexplode(d.datacl) a WHERE d.datname = %s ORDER BY 1, 2"""
_SETTINGS: Final = b"""
SELECT CASE s.setrole WHEN 0 THEN NULL ELSE pg_get_userbyid(s.setrole) END, unnest(s.setconfig)
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE d.datname = %s"""
_COMMENT: Final = b"""
SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"""
# Settings whose value is a list of names; each has to be written as a text of its own.
_LISTS: Final = frozenset(
    {
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    }
)


class _Moved(psycopg.Error):
    """The live database was written to before everybody had left it."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What CREATE DATABASE must be told to make one like another."""

    owner: str
    encoding: str
    collate: str
    ctype: str
    limit: int
    tablespace: str
    provider: str  # "c" (libc), "i" (ICU) or "b" (builtin)
    locale: str | None
    default_grants: bool


class Maintenance:
    """A connection to the server's database "postgres", from where other databases can be made and renamed."""

    def __init__(
        self, database: PostgresDatabase, application: str = "deployguard-restore"
    ) -> None:
        from_where = "template1" if database.name == MAINTENANCE else MAINTENANCE
        self.session: Session = database.session.elsewhere(from_where, application)

    @property
    def version(self) -> tuple[int, ...]:
        number = self.session.connection().info.server_version
        return (number // 10_000, number % 10_000)

    def close(self) -> None:
        self.session.close()

    def names(self) -> tuple[str, ...]:
        """All databases of the server."""
        return tuple(
            str(row[0]) for row in self._rows(b"SELECT datname FROM pg_database ORDER BY 1")
        )

    def comment(self, name: str) -> str:
        """The comment on a database; "" when there is none."""
        return next((str(row[0] or "") for row in self._rows(_COMMENT, name)), "")

    def shape(self, name: str) -> Shape | None:
        """What kind of database it is; None when there is no such database."""
        version = self.version
        provider = "datlocprovider::text" if version >= (15,) else "'c'"
        locale = "datlocale" if version >= (17,) else "daticulocale" if version >= (15,) else "NULL"
        query = _SHAPE.format(provider=provider, locale=locale)
        rows = self._rows(query.encode(), name)
        if not rows:
            return None
        owner, encoding, collate, ctype, limit, tablespace, provider, locale, plain = rows[0]
        return Shape(owner, encoding, collate, ctype, limit, tablespace, provider, locale, plain)

    def create_like(self, live: str, new: str) -> None:
        """Make the empty database ``new`` with the owner, encoding and locale of ``live``, where that exists."""
        self._run(create_statement(new, self.shape(live), self.version))

    def dress_like(self, live: str, new: str) -> None:
        """Give ``new`` the comment, connection limit, rights and settings of ``live``.

        It is done last: a setting such as default_transaction_read_only would stand in the way of filling it.
        """
        shape, name = self.shape(live), sql.Identifier(new)
        if shape is None:
            return
        limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}").format(name, shape.limit)
        comment = sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, self.comment(live))
        grants = [] if shape.default_grants else self._grants(live, new)
        settings = [
            setting_statement(new, role, str(text)) for role, text in self._rows(_SETTINGS, live)
        ]
        for statement in (limit, comment, *grants, *settings):
            self._run(statement)

    def drop(self, name: str) -> None:
        """Drop a database with everybody in it; nothing happens when there is none."""
        self._end_sessions(name)
        self._run(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))

    def counted(self, name: str) -> str:
        """What the server has counted of the rows written to a database, for ``swap``."""
        number = self._number(name)
        with self.session.cursor() as cursor:
            return stillness.outside(cursor, number) if number else ""

    def swap(self, live: str, new: str, kept: str, note: str, *, counted: str = "") -> bool:
        """Rename ``live`` to ``kept`` (with ``note`` as its comment) and ``new`` to ``live``, in one transaction.

        False when the server has ``counted`` something else by the time that everybody has left and nobody can come
        in. Raises EnvironmentUnreachable when somebody could not be made to leave. Either way nothing has changed.
        """
        check_name(kept)
        new_is, live_is = self._number(new), self._number(live)
        statements = [_rename(new, live)]
        if live_is is not None:
            statements[:0] = [
                _rename(live, kept),
                sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(kept), note),
            ]
        expected = (live_is, counted) if live_is and counted else None
        for attempt in range(1, SWAPS + 1):
            error, stayed = self._rename_while_ending((live, new), statements, expected)
            if isinstance(error, _Moved):
                return False
            # the commit's answer may have been lost
            if error is None or self._number(live) == new_is:
                return True
            in_use = isinstance(error, psycopg.errors.ObjectInUse)
            if stayed or not in_use or attempt == SWAPS:
                doing = f"The databases {live} and {new} could not be swapped"
                self.session.fail(error, f"{doing} ({stayed})" if stayed else doing)
        return False

    def _rename_while_ending(
        self,
        names: Sequence[str],
        statements: Sequence[sql.Composed],
        expected: tuple[int, str] | None,
    ) -> tuple[psycopg.Error | None, str]:
        """(what went wrong with the renames, who could not be ended and why)."""
        worker = self.session.elsewhere(self.session.parameters["dbname"])
        outcome, stayed = list[psycopg.Error](), tuple[str, ...]()

        def rename() -> None:
            try:
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.execute(b"SET LOCAL lock_timeout = '30s'")
                    for statement in statements:
                        cursor.execute(statement)
                    # Nobody is in there any more, and who wants to come in waits for this transaction.
                    if expected and stillness.outside(cursor, expected[0]) != expected[1]:
                        raise _Moved
            except psycopg.Error as error:
                outcome.append(error)

        connection, thread = worker.connection(), threading.Thread(target=rename, name="swap")
        thread.start()
        try:
            while thread.is_alive():
                stayed = tuple(who for name in names for who in self._end_sessions(name))
                thread.join(_PAUSE)
        finally:
            worker.close()
            thread.join()
        return (outcome[0] if outcome else None), "; ".join(stayed)

    def _end_sessions(self, name: str) -> tuple[str, ...]:
        """End everybody in a database; sentences on those whom we may not end."""
        stayed = []
        for pid, user in self._rows(_OTHERS, name):
            with self.session.cursor() as cursor:
                try:
                    cursor.execute(b"SELECT pg_terminate_backend(%s)", [pid])
                except psycopg.errors.InsufficientPrivilege:
                    stayed.append(f"we may not end server process {pid} of role {user}")
        return tuple(stayed)

    def _grants(self, live: str, new: str) -> list[sql.Composed]:
        name = sql.Identifier(new)
        statements = [sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name)]
        for grantee, privilege, grantable in self._rows(_GRANTS, live):
            statements.append(
                sql.SQL("GRANT {} ON DATABASE {} TO {}{}").format(
                    _keyword(privilege),
                    name,
                    sql.SQL("PUBLIC") if grantee is None else sql.Identifier(grantee),
                    sql.SQL(" WITH GRANT OPTION" if grantable and grantee else ""),
                )
            )
        return statements

    def _number(self, name: str) -> int | None:
        found = self._rows(b"SELECT oid::bigint FROM pg_database WHERE datname = %s", name)
        return next((int(row[0]) for row in found), None)

    def _rows(self, query: bytes, *values: object) -> list[Row]:
        with self.session.cursor() as cursor:
            return cursor.execute(query, values or None).fetchall()

    def _run(self, statement: sql.Composed) -> None:
        with self.session.cursor() as cursor:
            cursor.execute(statement)


def create_statement(new: str, shape: Shape | None, version: tuple[int, ...]) -> sql.Composed:
    """CREATE DATABASE for an empty one of this shape; pure."""
    check_name(new)
    parts = [sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(new))]
    if shape is not None:
        parts += [
            sql.SQL("OWNER {}").format(sql.Identifier(shape.owner)),
            sql.SQL("ENCODING {}").format(shape.encoding),
            sql.SQL("LC_COLLATE {}").format(shape.collate),
            sql.SQL("LC_CTYPE {}").format(shape.ctype),
        ]
        if shape.tablespace != "pg_default":  # the default needs no right, but naming it does
            parts.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(shape.tablespace)))
        if version >= (15,) and shape.provider == "i" and shape.locale:
            parts.append(sql.SQL("LOCALE_PROVIDER icu ICU_LOCALE {}").format(shape.locale))
        if version >= (17,) and shape.provider == "b" and shape.locale:
            parts.append(sql.SQL("LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(shape.locale))
        if version >= (15,) and shape.provider == "c":
            parts.append(sql.SQL("LOCALE_PROVIDER libc").format())
    return sql.SQL(" ").join(parts)


def setting_statement(name: str, role: str | None, setting: str) -> sql.Composed:
    """ALTER DATABASE … SET, or ALTER ROLE … IN DATABASE … SET, for one ``name=value``; pure."""
    key, _, value = setting.partition("=")
    values = next(csv.reader([value], skipinitialspace=True)) if key in _LISTS else [value]
    database = sql.Identifier(name)
    whose = (
        sql.SQL("ALTER DATABASE {}").format(database)
        if role is None
        else sql.SQL("ALTER ROLE {} IN DATABASE {}").format(sql.Identifier(role), database)
    )
    texts = sql.SQL(", ").join([sql.Literal(text) for text in values or [""]])
    return sql.SQL("{} SET {} TO {}").format(whose, sql.Identifier(*key.split(".")), texts)


def check_name(name: str) -> None:
    """Raises UsageError for a name that the server would cut short."""
    if not name or len(name.encode()) > NAME_LIMIT:
        raise UsageError(f"{name!r} cannot be a database's name: it must have 1 to 63 bytes.")


def _rename(old: str, new: str) -> sql.Composed:
    return sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
        sql.Identifier(old), sql.Identifier(new)
    )


_PRIVILEGES: Final = {word: sql.SQL(word) for word in ("CREATE", "CONNECT", "TEMPORARY")}


def _keyword(privilege: str) -> sql.SQL:
    try:
        return _PRIVILEGES[privilege]
    except KeyError:
        raise EnvironmentUnreachable(
            f"The database grants {privilege}, which deployguard does not know how to carry over."
        ) from None
