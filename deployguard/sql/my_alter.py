"""MySQL's ALTER TABLE, one or more of our operations for each action.

Source: https://dev.mysql.com/doc/refman/8.4/en/alter-table.html,
https://dev.mysql.com/doc/refman/8.4/en/innodb-online-ddl-operations.html and https://mariadb.com/kb/en/alter-table/
"""

from collections.abc import Iterator

from deployguard.operations import (
    AddConstraint,
    AlterTable,
    AlterType,
    Constraint,
    DropColumn,
    DropConstraint,
    DropDefault,
    DropIndex,
    DropNotNull,
    Operation,
    RenameColumn,
    RenameIndex,
    RenameTable,
    RewriteTable,
    SetDefault,
    SetNotNull,
    Truncate,
    WriteRows,
)
from deployguard.sql.my_column import POSITION, Definition, default, definition, key_or_constraint
from deployguard.sql.my_demand import Demand, demanded, explicit, guarded, impossible
from deployguard.sql.my_partition import partition_action
from deployguard.sql.my_reader import Operations, Reader, Unknown
from deployguard.sql.my_table import REWRITING, option
from deployguard.sql.source import dotted


def alter_table(reader: Reader, *, ignore: bool = False) -> Operations:
    """Everything behind ALTER TABLE. ``ignore``: rows that break a new unique key are deleted."""
    reader.if_exists()
    table = reader.table()
    if reader.take("wait"):
        reader.value()
    reader.take("nowait")
    demand = Demand()
    found: list[Operation] = []
    while not reader.done:
        if not demanded(reader, demand):
            found += _action(reader, table)
        if not reader.take(",") and not reader.sees("partition", "by") and not _option_next(reader):
            break
    reader.end()
    lost = [WriteRows(table, "delete", where=True)] if ignore else []
    kept = (one for one in found if not impossible(one, demand))
    return (*(guarded(one, demand) for one in kept), *lost, *explicit(table, demand))


def _option_next(reader: Reader) -> bool:
    """Whether a table option comes next: no comma is needed between them."""
    at = reader.at
    try:
        return bool(option(reader))
    except Unknown:
        return False
    finally:
        reader.at = at


def _action(reader: Reader, table: str) -> Iterator[Operation]:
    word = reader.word
    if (partitioned := partition_action(reader, table)) is not None:
        yield from partitioned
    elif word in _ACTIONS:
        reader.next()
        yield from _ACTIONS[word](reader, table)
    elif name := option(reader):
        yield RewriteTable(table, name) if name in REWRITING else AlterTable(table, name)
    else:
        raise Unknown(f"ALTER TABLE … {reader.token.text}")


def _added(reader: Reader, table: str, column: Definition, *, exists: bool) -> Iterator[Operation]:
    dialect = reader.source.dialect
    yield column.added(table, dialect, if_not_exists=exists)
    yield from column.remarks(table, dialect)
    if column.places:
        yield AlterTable(table, POSITION)


def _add(reader: Reader, table: str) -> Iterator[Operation]:
    if reader.take("system", "versioning"):
        yield RewriteTable(table, "add system versioning")
        return
    if reader.take("period", "for"):
        reader.name()
        reader.group()
        yield AlterTable(table, "add period")
        return
    constraint = key_or_constraint(reader, table)
    if constraint is not None:
        yield constraint
        return
    reader.take("column")
    exists = reader.if_not_exists()
    if not reader.take("("):
        yield from _added(reader, table, definition(reader), exists=exists)
        return
    while True:
        inner = key_or_constraint(reader, table)
        if inner is not None:
            yield inner
        else:
            yield from _added(reader, table, definition(reader), exists=exists)
        if not reader.take(","):
            break
    reader.expect(")")


def _restated(table: str, old: str, column: Definition) -> Iterator[Operation]:
    """MODIFY and CHANGE state the whole column anew: what is left out (NOT NULL, the default) is gone."""
    yield AlterType(table, old, column.type)
    yield DropNotNull(table, old) if column.nullable else SetNotNull(table, old)
    if column.generated == "stored":
        yield RewriteTable(table, "a stored, computed column")
    for kind in column.kinds:
        if kind is not Constraint.FOREIGN_KEY:
            yield AddConstraint(table, kind, columns=(old,))
    if old.lower() != column.name.lower():
        yield RenameColumn(table, old, column.name)
    if column.places:
        yield AlterTable(table, POSITION)


def _modify(reader: Reader, table: str) -> Iterator[Operation]:
    reader.take("column")
    reader.if_exists()
    column = definition(reader)
    yield from _restated(table, column.name, column)


def _change(reader: Reader, table: str) -> Iterator[Operation]:
    reader.take("column")
    reader.if_exists()
    old = reader.name()
    yield from _restated(table, old, definition(reader))


def _drop(reader: Reader, table: str) -> Iterator[Operation]:
    if reader.take("primary", "key"):
        yield DropConstraint(table, "PRIMARY")
        yield RewriteTable(table, "drop primary key")
    elif reader.take("foreign", "key") or reader.take("constraint") or reader.take("check"):
        exists = reader.if_exists()
        name = "PRIMARY" if reader.take("primary") else reader.name()
        yield DropConstraint(table, name, if_exists=exists)
    elif reader.take_one("index", "key"):
        exists = reader.if_exists()
        yield DropIndex(dotted(table, reader.name()), if_exists=exists)
    elif reader.take("system", "versioning"):
        yield DropColumn(table, "the history of its rows")
    elif reader.take("period", "for"):
        reader.name()
        yield AlterTable(table, "drop period")
    elif reader.word != "partition":
        reader.take("column")
        exists = reader.if_exists()
        column = reader.name()
        cascade = reader.take_one("restrict", "cascade") == "cascade"
        yield DropColumn(table, column, cascade=cascade, if_exists=exists)


def _rename(reader: Reader, table: str) -> Iterator[Operation]:
    if reader.take("column"):
        reader.if_exists()
        old = reader.name()
        reader.expect("to")
        yield RenameColumn(table, old, reader.name())
    elif reader.take_one("index", "key"):
        reader.if_exists()
        old = reader.name()
        reader.expect("to")
        yield RenameIndex(dotted(table, old), reader.name())
    else:
        reader.take_one("to", "as", "=")
        yield RenameTable(table, reader.table())


def _alter(reader: Reader, table: str) -> Iterator[Operation]:
    if reader.take_one("index", "key"):
        reader.if_exists()
        reader.name()
        if not reader.take("not", "ignored"):
            reader.one_of("visible", "invisible", "ignored")
        yield AlterTable(table, "index visibility")
    elif reader.take_one("check", "constraint"):
        name = reader.name()
        if reader.take("not", "enforced"):
            yield DropConstraint(table, name)
        else:
            reader.expect("enforced")
            yield AddConstraint(table, Constraint.CHECK, name)
    else:
        reader.take("column")
        reader.if_exists()
        column = reader.name()
        if reader.take("drop", "default"):
            yield DropDefault(table, column)
        elif reader.take("set", "default"):
            yield SetDefault(table, column, default(reader))
        else:
            reader.expect("set")
            reader.one_of("visible", "invisible")
            yield AlterTable(table, f"visibility of {column}")


def _convert(reader: Reader, table: str) -> Iterator[Operation]:
    reader.expect("to")
    if not reader.take("charset"):
        reader.expect("character", "set")
    reader.value()
    if reader.take("collate"):
        reader.take("=")
        reader.value()
    yield RewriteTable(table, "convert to character set")


def _keys(reader: Reader, table: str) -> Iterator[Operation]:
    reader.expect("keys")
    yield AlterTable(table, "keys of MyISAM")


def _discard(reader: Reader, table: str) -> Iterator[Operation]:
    reader.expect("tablespace")
    yield Truncate(table)


def _import(reader: Reader, table: str) -> Iterator[Operation]:
    reader.expect("tablespace")
    yield WriteRows(table, "copy")


def _force(reader: Reader, table: str) -> Iterator[Operation]:
    del reader
    yield RewriteTable(table, "force")


def _order(reader: Reader, table: str) -> Iterator[Operation]:
    reader.expect("by")
    while True:
        reader.name()
        reader.take_one("asc", "desc")
        if not reader.take(","):
            break
    yield RewriteTable(table, "order by")


_ACTIONS = {
    "add": _add,
    "modify": _modify,
    "change": _change,
    "drop": _drop,
    "rename": _rename,
    "alter": _alter,
    "convert": _convert,
    "enable": _keys,
    "disable": _keys,
    "discard": _discard,
    "import": _import,
    "force": _force,
    "order": _order,
}
