"""MySQL's CREATE TABLE, its options and its partitions.

Source: https://dev.mysql.com/doc/refman/8.4/en/create-table.html
"""

from deployguard.operations import (
    AddConstraint,
    ColumnShape,
    Constraint,
    CreateTable,
    Operation,
    ReadRows,
)
from deployguard.sql.my_column import Definition, definition, key_or_constraint
from deployguard.sql.my_reader import Operations, Reader, Unknown

# What another value of makes InnoDB copy the table, and what only changes the dictionary.
REWRITING = {
    "engine", "type", "row_format", "key_block_size", "encryption", "compression", "tablespace", "page_compressed",
    "page_compression_level", "encrypted", "encryption_key_id", "transactional", "page_checksum", "data directory",
    "index directory", "storage",
}  # fmt: skip
_LIGHT = {
    "auto_increment", "avg_row_length", "checksum", "comment", "connection", "delay_key_write", "insert_method",
    "max_rows", "min_rows", "pack_keys", "password", "stats_auto_recalc", "stats_persistent", "stats_sample_pages",
    "autoextend_size", "engine_attribute", "secondary_engine_attribute", "secondary_engine", "sequence",
    "ietf_quotes",
    "character set", "charset", "collate", "union", "start transaction", "with system versioning",
}  # fmt: skip


def option(reader: Reader) -> str:
    """One table option: its name; "" where none comes next."""
    at = reader.at
    reader.take("default")
    for words in (("character", "set"), ("data", "directory"), ("index", "directory")):
        if reader.take(*words):
            name = " ".join(words)
            break
    else:
        if reader.take("start", "transaction"):
            return "start transaction"
        if reader.take("with", "system", "versioning"):
            return "with system versioning"
        name = reader.next().word if reader.word else ""
    if name not in REWRITING | _LIGHT:
        reader.at = at
        return ""
    reader.take("=")
    if name == "union":
        reader.group()
    else:
        reader.value()
        if name == "tablespace" and reader.take("storage"):
            reader.one_of("disk", "memory")
    return name


def create_table(reader: Reader, *, temporary: bool, replaces: bool) -> Operations:
    """Everything behind CREATE TABLE."""
    exists = reader.if_not_exists()
    table = reader.table()
    if replaces:
        raise Unknown("OR REPLACE drops the table that is there")
    if _like(reader):
        reader.end()
        return (CreateTable(table, temporary=temporary, if_not_exists=exists),)
    made = CreateTable(table, temporary=temporary, if_not_exists=exists)
    after: tuple[Operation, ...] = ()
    if reader.token.text == "(" and reader.peek(1).word not in {"select", "with"}:
        made, after = _body(reader, made)
    while option(reader):
        reader.take(",")
    if reader.take("partition"):
        reader.expect("by")
        partitioning(reader)
    return _with_query(reader, made, after)


def _like(reader: Reader) -> bool:
    if reader.take("like"):
        reader.table()
        return True
    if reader.sees("(", "like"):
        reader.group()
        return True
    return False


def _body(reader: Reader, made: CreateTable) -> tuple[CreateTable, tuple[Operation, ...]]:
    dialect = reader.source.dialect
    columns: list[Definition] = []
    references: list[str] = []
    required: set[str] = set()
    remarks: list[Operation] = []
    reader.expect("(")
    while True:
        if reader.take("period", "for"):
            reader.name()
            reader.group()
        elif (item := key_or_constraint(reader, made.table)) is None:
            columns.append(definition(reader))
            remarks += columns[-1].remarks(made.table, dialect)
            if dialect == "mariadb" and columns[-1].references:
                references.append(columns[-1].references)
        elif isinstance(item, AddConstraint):
            references += [item.references] if item.references else []
            required |= set(item.columns) if item.kind is Constraint.PRIMARY_KEY else set()
        if not reader.take(","):
            break
    reader.expect(")")
    shapes = tuple(
        ColumnShape(item.name, item.type, item.nullable and item.name not in required)
        for item in columns
    )
    table = CreateTable(
        made.table,
        tuple(item.name for item in columns),
        tuple(dict.fromkeys(references)),
        temporary=made.temporary,
        if_not_exists=made.if_not_exists,
        shapes=shapes,
    )
    return table, tuple(remarks)


def _with_query(reader: Reader, made: CreateTable, after: tuple[Operation, ...]) -> Operations:
    """The query that fills the new table, read by sqlglot."""
    if reader.done:
        if not made.columns:
            raise Unknown("a table without columns")
        return (made, *after)
    from deployguard.sql import glot
    from deployguard.sql.source import Source

    reader.take_one("ignore", "replace")
    reader.take("as")
    if reader.word not in {"select", "with", "values", "table"} and reader.token.text != "(":
        raise Unknown(f"after the table: {reader.token.text!r}")
    text = reader.source.text[reader.token.start :]
    read = glot.lower(Source.of(text, reader.source.dialect))
    if read is None:
        raise Unknown("the query is not understood")
    rest = tuple(item for item in read if not isinstance(item, ReadRows))
    filled = CreateTable(
        made.table,
        made.columns,
        made.references,
        from_query=True,
        temporary=made.temporary,
        if_not_exists=made.if_not_exists,
        shapes=made.shapes,
    )
    return (filled, *after, *rest)


def partitioning(reader: Reader) -> None:
    """What stands behind PARTITION BY."""
    _partition_kind(reader)
    if reader.take("interval"):
        reader.value()
        reader.next()
    if reader.take("partitions"):
        reader.value()
    if reader.take("subpartition", "by"):
        _partition_kind(reader)
        if reader.take("subpartitions"):
            reader.value()
    if reader.token.text == "(" and reader.peek(1).word == "partition":
        reader.group()


def _partition_kind(reader: Reader) -> None:
    reader.take("linear")
    kind = reader.one_of("range", "list", "hash", "key", "system_time")
    if kind == "key" and reader.take("algorithm"):
        reader.expect("=")
        reader.value()
    reader.take("columns")
    if kind != "system_time" or reader.token.text == "(":
        reader.group()
