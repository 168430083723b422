"""What ALTER TABLE does to the partitions of a MySQL table.

Source: https://dev.mysql.com/doc/refman/8.4/en/alter-table-partition-operations.html
"""

from deployguard.operations import (
    AlterTable,
    CreateTable,
    Maintain,
    Operation,
    RenameTable,
    RewriteTable,
    Truncate,
    WriteRows,
)
from deployguard.sql.my_reader import Operations, Reader, Unknown
from deployguard.sql.my_table import partitioning


def partition_action(reader: Reader, table: str) -> Operations | None:
    """The action on partitions that comes next; None where it is another one."""
    if reader.take("partition", "by"):
        partitioning(reader)
        return (RewriteTable(table, "partition by"),)
    if reader.take("remove", "partitioning"):
        return (RewriteTable(table, "remove partitioning"),)
    if reader.sees("add", "partition"):
        return (_add(reader, table),)
    for verb in ("discard", "import"):
        if reader.take(verb, "partition"):
            names = _names(reader)
            reader.expect("tablespace")
            lost = verb == "discard"
            return (Truncate(table, partitions=names) if lost else WriteRows(table, "copy"),)
    for verb in ("drop", "truncate"):
        if reader.take(verb, "partition"):
            reader.if_exists()
            return (Truncate(table, partitions=_names(reader)),)
    return _moved(reader, table) or _maintained(reader, table)


def _add(reader: Reader, table: str) -> Operation:
    reader.expect("add", "partition")
    reader.if_not_exists()
    reader.take_one("no_write_to_binlog", "local")
    if reader.take("partitions"):
        reader.value()
        return RewriteTable(table, "add partitions")  # of HASH or KEY: rows move between them
    reader.group()
    return AlterTable(table, "add partition")


def _moved(reader: Reader, table: str) -> Operations | None:
    if reader.take("coalesce", "partition"):
        reader.value()
        return (RewriteTable(table, "coalesce partition"),)
    if reader.take("reorganize", "partition"):
        if not reader.done and reader.token.text != ",":
            _names(reader)
            reader.expect("into")
            reader.group()
        return (RewriteTable(table, "reorganize partition"),)
    if reader.take("rebuild", "partition"):
        _names(reader)
        return (RewriteTable(table, "rebuild partition"),)
    if reader.take("exchange", "partition"):
        reader.name()
        reader.expect("with", "table")
        swapped = (WriteRows(table, "merge"), WriteRows(reader.table(), "merge"))
        _ = reader.take("with", "validation") or reader.take("without", "validation")
        return swapped
    if reader.take("convert", "partition"):
        reader.name()
        reader.expect("to", "table")
        moved = reader.table()
        return (RenameTable(table, moved), CreateTable(moved, from_query=True))
    if reader.sees("convert", "table"):
        raise Unknown("CONVERT TABLE")
    return None


def _maintained(reader: Reader, table: str) -> Operations | None:
    for verb in ("analyze", "check"):
        if reader.take(verb, "partition"):
            _names(reader)
            reader.take_one("quick", "fast", "medium", "extended", "changed")
            return (Maintain(verb),)
    for verb in ("optimize", "repair"):
        if reader.take(verb, "partition"):
            _names(reader)
            reader.take_one("quick", "extended")
            return (RewriteTable(table, f"{verb} partition"),)
    return None


def _names(reader: Reader) -> tuple[str, ...]:
    reader.take_one("no_write_to_binlog", "local")
    if reader.take("all"):
        return ("all",)
    return reader.tables()
