"""MySQL's and MariaDB's statements but for SELECT and rows, read word by word: exact shapes, or not at all.

sqlglot keeps much of what people write for MySQL as a Command, so that this reader goes first; the data statements
are left to sqlglot, and to my_rows where that gives up.
Source: https://dev.mysql.com/doc/refman/8.4/en/sql-statements.html
"""

from collections.abc import Callable

from deployguard.operations import (
    AlterObject,
    ChangeAccess,
    ChangeTrigger,
    CreateIndex,
    CreateObject,
    DropConstraint,
    DropIndex,
    DropObject,
    DropTable,
    Operation,
    Procedural,
    RenameTable,
    RewriteTable,
    Truncate,
)
from deployguard.sql import my_rows
from deployguard.sql.my_admin import SERVER
from deployguard.sql.my_alter import alter_table
from deployguard.sql.my_column import index_options, key_name
from deployguard.sql.my_demand import demands, explicit, guarded
from deployguard.sql.my_reader import Operations, Reader, Unknown
from deployguard.sql.my_table import create_table
from deployguard.sql.source import Source, dotted

_ROUTINES = ("procedure", "function", "trigger", "event")


def lower(source: Source) -> Operations | None:
    """The operations of one statement; None for what sqlglot is to read, Unknown for what nobody knows."""
    reader = Reader(source)
    first = reader.word
    if first in _STATEMENTS:
        reader.next()
        return _STATEMENTS[first](reader)
    return my_rows.rows(source)


def _create(reader: Reader) -> Operations:
    replaces = reader.take("or", "replace")
    temporary = bool(reader.take_one("temporary"))
    if reader.take("table"):
        return create_table(reader, temporary=temporary, replaces=replaces)
    if temporary:
        raise Unknown("TEMPORARY without TABLE")
    kind = reader.take_one("unique", "fulltext", "spatial")
    if reader.take("index"):
        return _create_index(reader, kind, replaces=replaces)
    if reader.take_one("database", "schema"):
        exists = reader.if_not_exists()
        return (CreateObject("schema", reader.name(), replace=replaces, if_not_exists=exists),)
    if reader.take("sequence"):
        exists = reader.if_not_exists()
        return (CreateObject("sequence", reader.table(), replace=replaces, if_not_exists=exists),)
    if reader.take_one("user", "role"):
        return (ChangeAccess("role", _account(reader)),)
    if reader.take_one("server", "tablespace", "resource") or reader.sees("logfile"):
        return (CreateObject("server object", reader.name()),)
    return _create_code(reader, replaces=replaces)


def _create_code(reader: Reader, *, replaces: bool) -> Operations:
    """Views and stored programs, behind ALGORITHM, DEFINER and SQL SECURITY."""
    while True:
        if reader.take("algorithm", "="):
            reader.one_of("undefined", "merge", "temptable")
        elif reader.take("definer", "="):
            _account(reader)
        elif reader.take("sql", "security"):
            reader.one_of("definer", "invoker")
        elif not reader.take("aggregate"):
            break
    kind = reader.one_of("view", *_ROUTINES)
    exists = reader.if_not_exists()
    name = reader.table()
    if kind == "view":
        return (CreateObject("view", name, replace=replaces, if_not_exists=exists),)
    if kind == "trigger":
        reader.one_of("before", "after")
        reader.one_of("insert", "update", "delete")
        reader.expect("on")
        return (ChangeTrigger(reader.table(), "create", name),)
    verb = "replace" if replaces else "create"
    return (Procedural(f"{verb} {kind}", name),)


def _account(reader: Reader) -> str:
    """'user'@'host', user@host, CURRENT_USER()."""
    reader.take("if", "not", "exists") or reader.take("if", "exists")
    name = reader.next().text.strip("'\"`")
    if reader.token.text == "@":
        reader.next()
        reader.next()
    elif reader.token.text == "(":
        reader.group()
    return name


def _create_index(reader: Reader, kind: str, *, replaces: bool) -> Operations:
    exists = reader.if_not_exists()
    name = key_name(reader)
    reader.expect("on")
    table = reader.table()
    columns = reader.columns()
    index_options(reader)
    demand = demands(reader)
    index_options(reader)
    reader.end()
    index = CreateIndex(
        table, name, columns, unique=kind == "unique", if_not_exists=exists,
        kind="" if kind == "unique" else kind,
    )  # fmt: skip
    gone = (DropIndex(dotted(table, name)),) if replaces else ()
    return (*gone, guarded(index, demand), *explicit(table, demand))


def _drop(reader: Reader) -> Operations:
    reader.take("temporary")
    if reader.take_one("table", "tables"):
        exists = reader.if_exists()
        names = reader.tables()
        cascade = reader.take_one("restrict", "cascade") == "cascade"
        reader.end()
        return tuple(DropTable(name, cascade=cascade, if_exists=exists) for name in names)
    if reader.take("index"):
        return _drop_index(reader)
    if reader.take_one("database", "schema"):
        exists = reader.if_exists()
        return reader.last(DropObject("schema", reader.name(), if_exists=exists))
    if reader.take_one("user", "role"):
        return (ChangeAccess("role", _account(reader)),)
    kind = reader.one_of("view", "sequence", "server", "tablespace", *_ROUTINES)
    exists = reader.if_exists()
    names = reader.tables()
    reader.take_one("restrict", "cascade")
    if kind == "tablespace":
        return tuple(DropObject(kind, name) for name in names)
    reader.end()
    return tuple(DropObject(kind, name, if_exists=exists) for name in names)


def _drop_index(reader: Reader) -> Operations:
    exists = reader.if_exists()
    name = reader.name()
    reader.expect("on")
    table = reader.table()
    demand = demands(reader)
    reader.end()
    if name.lower() == "primary":
        return (DropConstraint(table, "PRIMARY"), RewriteTable(table, "drop primary key"))
    dropped = DropIndex(dotted(table, name), if_exists=exists)
    return (guarded(dropped, demand), *explicit(table, demand))


def _alter(reader: Reader) -> Operations:
    reader.take("online")
    ignore = reader.take("ignore")
    if reader.take("table"):
        return alter_table(reader, ignore=ignore)
    if reader.take_one("database", "schema"):
        name = (
            "" if reader.word in {"character", "charset", "collate", "default"} else reader.name()
        )
        return (AlterObject("schema", name, "set"),)
    if reader.take_one("user", "role"):
        return (ChangeAccess("role", _account(reader)),)
    if reader.take_one("event", "procedure", "function"):
        return (AlterObject("function", reader.table(), "set"),)
    if reader.take("sequence"):
        reader.if_exists()
        name = reader.table()
        restarts = any(token.word == "restart" for token in reader.source.tokens[reader.at :])
        return (AlterObject("sequence", name, "restart" if restarts else "set"),)
    found = _create_code(reader, replaces=True)
    return found if isinstance(found[0], CreateObject) else _refuse("ALTER")


def _refuse(what: str) -> Operations:
    raise Unknown(what)


def _rename(reader: Reader) -> Operations:
    if reader.take_one("user"):
        return (ChangeAccess("role", _account(reader)),)
    reader.one_of("table", "tables")
    reader.if_exists()
    found: list[Operation] = []
    while True:
        old = reader.table()
        if reader.take("wait"):
            reader.value()
        reader.take("nowait")
        reader.expect("to")
        found.append(RenameTable(old, reader.table()))
        if not reader.take(","):
            break
    reader.end()
    return tuple(found)


def _truncate(reader: Reader) -> Operations:
    reader.take("table")
    table = reader.table()
    if reader.take("wait"):
        reader.value()
    reader.take("nowait")
    return reader.last(Truncate(table))


_STATEMENTS: dict[str, Callable[[Reader], Operations]] = {
    **SERVER,
    "create": _create,
    "drop": _drop,
    "alter": _alter,
    "rename": _rename,
    "truncate": _truncate,
}
