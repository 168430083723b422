"""SQLite's statements that sqlglot does not read: any type, conflict clauses, schema-qualified indexes, ATTACH.

Source: https://www.sqlite.org/lang.html
"""

from collections.abc import Callable

from deployguard.operations import (
    CreateIndex,
    CreateObject,
    DropColumn,
    Maintain,
    Procedural,
    ReadRows,
    RewriteTable,
    WriteRows,
)
from deployguard.sql.lite_table import CONFLICTS, column, create_table, indexed
from deployguard.sql.my_reader import Operations, Reader, Unknown
from deployguard.sql.my_rows import effects
from deployguard.sql.source import Source


def lower(source: Source) -> Operations | None:
    """The operations of one statement, None where this reader does not know it either."""
    reader = Reader(source)
    read = _STATEMENTS.get(reader.word)
    if read is None:
        return None
    reader.next()
    try:
        return read(reader)
    except Unknown:
        return None


def _create(reader: Reader) -> Operations:
    temporary = bool(reader.take_one("temp", "temporary"))
    if reader.take("table"):
        return create_table(reader, temporary=temporary)
    if reader.take("view"):
        exists = reader.if_not_exists()
        return (CreateObject("view", reader.table(), if_not_exists=exists),)
    unique = reader.take("unique")
    reader.expect("index")
    exists = reader.if_not_exists()
    name = reader.table().rpartition(".")[2]
    reader.expect("on")
    table = reader.table()
    columns = indexed(reader)
    if reader.take("where"):
        while not reader.done:
            reader.next()
    reader.end()
    return (CreateIndex(table, name, columns, unique=unique, if_not_exists=exists),)


def _alter(reader: Reader) -> Operations:
    reader.expect("table")
    table = reader.table()
    if reader.take("drop"):
        reader.take("column")
        return reader.last(DropColumn(table, reader.name()))
    reader.expect("add")
    reader.take("column")
    return reader.last(column(reader).added(table, reader.source.dialect))


def _vacuum(reader: Reader) -> Operations:
    if not reader.sees("into") and not reader.done:
        reader.name()
    if reader.take("into"):
        reader.value()
        return reader.last(Maintain("vacuum into"))  # a copy; the database stays as it is
    return reader.last(RewriteTable("*", "vacuum"))


def _attach(reader: Reader) -> Operations:
    reader.take("database")
    file = reader.value().strip("'\"")
    reader.expect("as")
    reader.next()
    return reader.last(Procedural("attach", file))


def _detach(reader: Reader) -> Operations:
    reader.take("database")
    reader.name()
    return reader.last(Maintain("detach"))


def _insert(reader: Reader) -> Operations:
    """INSERT OR ABORT, FAIL, ROLLBACK: the words say what happens on a conflict, not what is written."""
    reader.expect("or")
    reader.one_of("abort", "fail", "rollback")
    reader.expect("into")
    table = reader.table()
    rest = {token.word for token in reader.source.tokens[reader.at :]}
    verb = "merge" if {"conflict", "update"} <= rest else "insert"
    return (WriteRows(table, verb, from_query="select" in rest), *effects(reader))


def _update(reader: Reader) -> Operations:
    reader.expect("or")
    reader.one_of(*CONFLICTS)
    table = reader.table()
    where = any(
        token.word == "where" and token.depth == 0 for token in reader.source.tokens[reader.at :]
    )
    return (WriteRows(table, "update", where=where), *effects(reader))


def _explain(reader: Reader) -> Operations:
    reader.next()  # of a statement that is not run
    return (ReadRows(()),)


_STATEMENTS: dict[str, Callable[[Reader], Operations]] = {
    "create": _create,
    "alter": _alter,
    "vacuum": _vacuum,
    "attach": _attach,
    "detach": _detach,
    "insert": _insert,
    "update": _update,
    "explain": _explain,
}
