"""Columns, keys and constraints as MySQL and MariaDB write them, in CREATE TABLE and in ALTER TABLE.

Source: https://dev.mysql.com/doc/refman/8.4/en/create-table.html and https://mariadb.com/kb/en/create-table/
"""

from dataclasses import dataclass, field, replace

from deployguard.operations import (
    AddColumn,
    AddConstraint,
    AlterTable,
    Constraint,
    CreateIndex,
    Operation,
    Volatility,
)
from deployguard.sql.functions import volatility
from deployguard.sql.my_reader import Reader, Unknown

INLINE = "inline references"
POSITION = "column position"
_TWO_WORDS = {
    ("double", "precision"), ("character", "varying"), ("char", "varying"), ("long", "varchar"),
    ("long", "varbinary"), ("national", "varchar"), ("national", "char"), ("national", "character"),
}  # fmt: skip
_SAID = (
    "charset", "collate", "comment", "column_format", "storage", "srid", "engine_attribute",
    "secondary_engine_attribute",
)  # fmt: skip
_TYPE_TAIL = ("unsigned", "signed", "zerofill", "binary", "ascii", "unicode", "byte")
_ACTIONS = (("cascade",), ("restrict",), ("set", "null"), ("no", "action"), ("set", "default"))


@dataclass(slots=True)
class Definition:
    """One column as it is defined, and whether it names its place or points at another table."""

    name: str
    type: str
    nullable: bool = True
    default_sql: str = ""
    generated: str = ""
    kinds: list[Constraint] = field(default_factory=list)
    references: str | None = None
    places: bool = False

    def added(self, table: str, dialect: str, *, if_not_exists: bool = False) -> AddColumn:
        # MySQL reads REFERENCES behind a column and makes no foreign key of it; MariaDB makes one.
        kinds = tuple(
            kind
            for kind in self.kinds
            if kind is not Constraint.FOREIGN_KEY or dialect == "mariadb"
        )
        default = volatility(self.default_sql, dialect) if self.default_sql else Volatility.NONE
        return AddColumn(
            table,
            self.name,
            self.type,
            nullable=self.nullable,
            default=default,
            default_sql=self.default_sql,
            generated=self.generated,
            constraints=kinds,
            references=self.references if dialect == "mariadb" else None,
            if_not_exists=if_not_exists,
        )

    def remarks(self, table: str, dialect: str) -> tuple[Operation, ...]:
        """What a rule has to know beside the column itself."""
        if self.references and dialect != "mariadb":
            return (AlterTable(table, f"{INLINE}: {self.name} to {self.references}"),)
        return ()


def definition(reader: Reader, name: str | None = None) -> Definition:
    """A column's name, type and attributes, FIRST or AFTER included."""
    own = reader.name() if name is None else name
    found = Definition(own, type_text(reader))
    if found.type.lower() == "serial":
        found.nullable, found.generated = False, "identity"
        found.kinds.append(Constraint.UNIQUE)
    while _attribute(reader, found):
        pass
    if Constraint.PRIMARY_KEY in found.kinds:
        found.nullable = False
    if reader.take("first"):
        found.places = True
    elif reader.take("after"):
        reader.name()
        found.places = True
    return found


def type_text(reader: Reader) -> str:
    """The type that comes next, as written, without its character set."""
    first = reader.at
    words = (reader.word, reader.peek(1).word)
    if not words[0] or reader.token.kind != "word":
        raise Unknown(f"a type was expected, not {reader.token.text!r}")
    reader.at += 2 if words in _TWO_WORDS else 1
    reader.take("varying")
    if reader.token.text == "(":
        reader.group()
    while reader.take_one(*_TYPE_TAIL):
        pass
    return reader.source.between(first, reader.at)


def _attribute(reader: Reader, found: Definition) -> bool:
    """One attribute of a column; False where none comes next."""
    at = reader.at
    word = reader.word
    if word in {"constraint", "check"}:
        _inline_check(reader, found)
        return True
    reader.at += 1
    if word in {"unique", "primary", "key", "references"}:
        return _key(reader, found, word)
    match word:
        case "not" if reader.take("null"):
            found.nullable = False
        case "null":
            found.nullable = True
        case "default":
            found.default_sql = default(reader)
        case "auto_increment":
            found.generated = "identity"
        case "generated" | "as":
            if word == "generated":
                reader.expect("always", "as")
            reader.group()
            kept = reader.take_one("virtual", "stored", "persistent")
            found.generated = "stored" if kept in {"stored", "persistent"} else "virtual"
        case "on" if reader.take("update"):
            reader.value()
        case _:
            reader.at = at
            return _trifle(reader)
    return True


def _key(reader: Reader, found: Definition, word: str) -> bool:
    if word == "unique":
        reader.take_one("key", "index")
        found.kinds.append(Constraint.UNIQUE)
    elif word == "references":
        found.references = reference(reader)
        found.kinds.append(Constraint.FOREIGN_KEY)
    else:
        if word == "primary":
            reader.expect("key")
        found.kinds.append(Constraint.PRIMARY_KEY)
    return True


def default(reader: Reader) -> str:
    """The expression behind DEFAULT, as written."""
    first = reader.at
    if reader.take("next", "value", "for"):
        reader.table()
        return reader.source.between(first, reader.at)
    return reader.value()


def _inline_check(reader: Reader, found: Definition) -> None:
    if reader.take("constraint") and reader.word not in {"check", "unique", "primary", "not"}:
        reader.name()
    if reader.take("check"):
        reader.group()
        if reader.take("not", "enforced"):
            return
        reader.take("enforced")
        found.kinds.append(Constraint.CHECK)
    elif reader.word not in {"unique", "primary", "not", "references"}:
        raise Unknown("CONSTRAINT in a column")


def _trifle(reader: Reader) -> bool:
    """An attribute that no rule asks about."""
    if reader.take("character", "set") or reader.take_one(*_SAID):
        reader.take("=")
        reader.value()
    elif reader.take("without", "system", "versioning") or reader.take(
        "with", "system", "versioning"
    ):
        pass
    elif reader.take("ref_system_id", "="):
        reader.value()
    else:
        return bool(reader.take_one("visible", "invisible", "compressed"))
    return True


def reference(reader: Reader) -> str:
    """The table behind REFERENCES; its columns and actions are passed."""
    target = reader.table()
    if reader.token.text == "(":
        reader.columns()
    if reader.take("match"):
        reader.one_of("full", "partial", "simple")
    while reader.take("on"):
        reader.one_of("delete", "update")
        if not any(reader.take(*words) for words in _ACTIONS):
            raise Unknown("an odd action of a foreign key")
    return target


def key_or_constraint(reader: Reader, table: str) -> AddConstraint | CreateIndex | None:
    """A key or a constraint of a table; None where a column comes next."""
    if reader.word in {"index", "key"}:
        reader.next()
        return _index(reader, table)
    if reader.word in {"fulltext", "spatial"} and reader.peek(1).kind in {"word", "quoted"}:
        kind = reader.next().word
        reader.take_one("index", "key")
        return replace(_index(reader, table), kind=kind)
    named = ""
    if reader.take("constraint"):
        reader.if_not_exists()
        if reader.word not in {"primary", "unique", "foreign", "check"}:
            named = reader.name()
        if reader.word not in {"primary", "unique", "foreign", "check"}:
            raise Unknown("an odd constraint")
    return _constraint(reader, table, named)


def _constraint(reader: Reader, table: str, named: str) -> AddConstraint | None:
    if reader.take("primary", "key"):
        _key_name(reader)
        columns = reader.columns()
        _index_options(reader)
        return AddConstraint(table, Constraint.PRIMARY_KEY, named, columns)
    if reader.take("unique"):
        reader.take_one("index", "key")
        reader.if_not_exists()
        named = _key_name(reader) or named
        columns = reader.columns()
        _index_options(reader)
        return AddConstraint(table, Constraint.UNIQUE, named, columns)
    if reader.take("foreign", "key"):
        reader.if_not_exists()
        named = named or _key_name(reader)
        columns = reader.columns()
        reader.expect("references")
        return AddConstraint(
            table, Constraint.FOREIGN_KEY, named, columns, references=reference(reader)
        )
    if reader.sees("check", "(") and reader.take("check"):
        expression = reader.group()
        ignored = reader.take("not", "enforced")
        reader.take("enforced")
        return AddConstraint(
            table, Constraint.CHECK, named, expression=expression, not_valid=ignored
        )
    return None


def _key_name(reader: Reader) -> str:
    """An index's name and type, both may be left out."""
    named = ""
    if reader.token.text != "(" and reader.word != "using":
        named = reader.name()
    if reader.take("using"):
        reader.one_of("btree", "hash", "rtree")
    return named


def _index(reader: Reader, table: str) -> CreateIndex:
    exists = reader.if_not_exists()
    named = _key_name(reader)
    columns = reader.columns()
    _index_options(reader)
    return CreateIndex(table, named, columns, if_not_exists=exists)


def _index_options(reader: Reader) -> None:
    while True:
        if reader.take_one("key_block_size", "comment", "engine_attribute", "clustering"):
            reader.take("=")
            reader.value()
        elif reader.take("using"):
            reader.one_of("btree", "hash", "rtree")
        elif reader.take("with", "parser"):
            reader.name()
        elif not (
            reader.take_one("visible", "invisible", "ignored") or reader.take("not", "ignored")
        ):
            return


index_options = _index_options
key_name = _key_name
