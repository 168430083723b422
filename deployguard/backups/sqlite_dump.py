"""A SQLite file as SQL: written row by row, and made a file again, statement by statement.

It is plain SQL: `zcat database.sql.gz | sqlite3 NEW` reads it as well. Every row is one line; a text that SQL cannot
say (with a line break, a NUL, or bytes that are no UTF-8) is written as the bytes that it is made of.
Source: "SQL As Understood By SQLite" (literals), "The Schema Table", "PRAGMA Statements".
"""

import gzip
import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from deployguard.backups import sealed, streams
from deployguard.database.sqlite import identifier

COMPLETE: Final = b"-- deployguard: the dump is complete"
_LEVEL: Final = 6  # of gzip
_ROWIDS: Final = ("rowid", "_rowid_", "oid")
_HEADER: Final = ("application_id", "user_version")
_SHAPE: Final = ("page_size", "auto_vacuum")  # can be chosen before there is anything in the file
_OBJECTS: Final = (
    "SELECT type, name, tbl_name, rootpage, sql FROM sqlite_master WHERE sql IS NOT NULL"
    " AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY rowid"
)
_OWN: Final = (
    ("sqlite_sequence", b""),
    ("sqlite_stat1", b"ANALYZE sqlite_master;"),
)
_MASTER: Final = b"INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql) VALUES("
_ATTACH: Final = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})


class _Text(bytes):
    """A value that SQLite holds as text, by its bytes: what is no UTF-8 is kept as well."""

    __slots__ = ()


def write(source: Path, target: Path, level: str = "") -> None:
    """Write a file that nobody changes as SQL; gzip of this level where the target's name says so."""
    with closing(_read_only(source)) as link, _written(target, int(level or _LEVEL)) as put:
        for statement in _statements(link):
            put(statement + b"\n")
        if _in_wal(source):
            put(b"PRAGMA journal_mode = wal;\n")
        put(COMPLETE + b"\n")


def load(source: Path, target: Path) -> None:
    """Make a new file of a dump. Raises streams.Broken for one that is not whole, sqlite3.Error, or OSError."""
    with sealed.open_private(target):
        pass  # made before SQLite would make it with the umask's permissions
    with closing(sqlite3.connect(target, isolation_level=None)) as link:
        # A dump is SQL, and SQL could reach other files.
        link.set_authorizer(_only_this_file)
        link.execute("PRAGMA synchronous = OFF")  # it is flushed once, when all of it is there
        for statement in _read(source):
            link.execute(statement)


def _in_wal(path: Path) -> bool:
    """Whether a file keeps a write-ahead log; a connection that takes no locks does not say."""
    with path.open("rb") as file:
        return file.read(20)[18:] == b"\2\2"


def _only_this_file(action: int, *_: object) -> int:
    return sqlite3.SQLITE_DENY if action in _ATTACH else sqlite3.SQLITE_OK


def _statements(link: sqlite3.Connection) -> Iterator[bytes]:
    """Every statement, without its line's end; tables first, so that nothing reacts to the rows."""
    for pragma in _SHAPE:
        yield f"PRAGMA {pragma} = {_pragma(link, pragma)};".encode()
    yield f"PRAGMA encoding = '{_pragma(link, 'encoding')}';".encode()
    yield b"PRAGMA foreign_keys = OFF;"
    yield b"BEGIN;"
    objects = [
        (str(kind, "utf-8"), name, table, root, sql)
        for kind, name, table, root, sql in link.execute(_OBJECTS)
    ]
    tables = [each for each in objects if each[0] == "table" and each[3]]
    virtual = [each for each in objects if each[0] == "table" and not each[3]]
    for _, name, _, _, sql in tables:
        yield _ended(sql)
        yield from _rows(link, name.decode())
    for kind, _, _, _, sql in objects:
        if kind != "table":
            yield _ended(sql)
    yield from _own(link)
    for pragma in _HEADER:
        yield f"PRAGMA {pragma} = {_pragma(link, pragma)};".encode()
    if virtual:
        # Their own tables are there already: made as usual, they would be made a second time.
        literal = partial(_literal, encoding=_pragma(link, "encoding"))
        yield b"PRAGMA writable_schema = ON;"
        for _, name, table, _, sql in virtual:
            values = (_Text(b"table"), name, table, 0, sql)
            yield _MASTER + b",".join(map(literal, values)) + b");"
        yield b"PRAGMA writable_schema = OFF;"
    yield b"COMMIT;"


def _rows(link: sqlite3.Connection, table: str) -> Iterator[bytes]:
    """The rows of a table, each with its hidden number where it has one that can be written."""
    info = link.execute(f"PRAGMA table_xinfo({identifier(table)})").fetchall()
    names = [row[1].decode() for row in info if row[6] == 0]  # the others are generated
    hidden = _rowid(link, table, [row[1].decode() for row in info])
    columns = ([hidden] if hidden else []) + [identifier(name) for name in names]
    listed, literal = ",".join(columns), partial(_literal, encoding=_pragma(link, "encoding"))
    start = f"INSERT INTO {identifier(table)}({listed}) VALUES(".encode()
    for row in link.execute(f"SELECT {listed} FROM {identifier(table)}"):  # noqa: S608 - quoted
        yield start + b",".join(map(literal, row)) + b");"


def _rowid(link: sqlite3.Connection, table: str, names: Sequence[str]) -> str:
    """The word for a row's hidden number; "" for a table that has none, or no free word for it."""
    taken = {name.lower() for name in names}
    word = next((word for word in _ROWIDS if word not in taken), "")
    try:
        link.execute(f"SELECT {word} FROM {identifier(table)} LIMIT 0")  # noqa: S608 - quoted
    except sqlite3.OperationalError:
        return ""
    return word


def _ended(sql: bytes) -> bytes:
    """With its semicolon, which must not become a part of a comment at its end."""
    return sql + (b"\n;" if b"--" in sql else b";")


def _own(link: sqlite3.Connection) -> Iterator[bytes]:
    """The rows of SQLite's own tables, which it makes itself: AUTOINCREMENT's counters, the planner's statistics."""
    there = {name for (name,) in link.execute("SELECT name FROM sqlite_master")}
    for table, made in _OWN:
        if table.encode() in there:
            if made:
                yield made
            yield f"DELETE FROM {table};".encode()  # noqa: S608 - a constant
            yield from _rows(link, table)


def _literal(value: object, *, encoding: str) -> bytes:
    if value is None:
        return b"NULL"
    if isinstance(value, int):
        return str(value).encode()
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, _Text):
        return _text(value, encoding)
    if isinstance(value, bytes):
        return b"X'" + value.hex().encode() + b"'"
    raise AssertionError(f"unreachable: SQLite has no {type(value)}")


def _number(value: float) -> bytes:
    if math.isinf(value):
        return b"9e999" if value > 0 else b"-9e999"
    return repr(value).encode()  # the shortest text that is this very number again


def _text(value: bytes, encoding: str) -> bytes:
    """A text by what SQLite gives us of it, UTF-8; a cast takes bytes as the database holds them, ``encoding``."""
    try:
        said = value.decode()
    except UnicodeDecodeError:
        said = ""
    if said and not any(each in said for each in "\0\n\r"):
        return b"'" + value.replace(b"'", b"''") + b"'"
    if encoding != "UTF-8":
        value = said.encode(encoding)
    return b"CAST(X'" + value.hex().encode() + b"' AS TEXT)"


def _pragma(link: sqlite3.Connection, name: str) -> str:
    found = link.execute(f"PRAGMA {name}").fetchone()[0]
    return found.decode() if isinstance(found, bytes) else str(found)


def _read(source: Path) -> Iterator[str]:
    """The statements of a dump, one at a time. Raises streams.Broken when its end is missing."""
    statement = bytearray()
    for line in streams.lines(source):
        statement += line
        if line.endswith(b";\n") and sqlite3.complete_statement(said := statement.decode()):
            yield said
            statement.clear()
    if statement != COMPLETE + b"\n":
        raise streams.Broken("the dump's last line is missing")


def _read_only(path: Path) -> sqlite3.Connection:
    link = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
    link.text_factory = _Text
    return link


@contextmanager
def _written(target: Path, level: int) -> Iterator[Callable[[bytes], int]]:
    with sealed.open_private(target) as file:
        if target.suffix != ".gz":
            yield file.write
            return
        with gzip.GzipFile("", "wb", level, file, mtime=0) as packed:
            yield packed.write
