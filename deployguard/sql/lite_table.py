"""SQLite's CREATE TABLE and its columns, of whatever type, read word by word.

Source: https://www.sqlite.org/lang_createtable.html
"""

from dataclasses import dataclass, field

from deployguard.operations import (
    AddColumn,
    AddConstraint,
    ColumnShape,
    Constraint,
    CreateTable,
    Volatility,
)
from deployguard.sql.functions import volatility
from deployguard.sql.my_reader import Operations, Reader, Unknown

CONFLICTS = ("rollback", "abort", "fail", "ignore", "replace")
_ENDS = {
    "constraint", "primary", "not", "null", "unique", "check", "default", "collate", "references", "generated", "as",
}  # fmt: skip
_ACTIONS = (("cascade",), ("restrict",), ("set", "null"), ("no", "action"), ("set", "default"))


@dataclass(slots=True)
class Column:
    name: str
    type: str
    nullable: bool = True
    default_sql: str = ""
    generated: str = ""
    kinds: list[Constraint] = field(default_factory=list)
    references: str | None = None

    def added(self, table: str, dialect: str) -> AddColumn:
        default = volatility(self.default_sql, dialect) if self.default_sql else Volatility.NONE
        return AddColumn(
            table, self.name, self.type, nullable=self.nullable, default=default, default_sql=self.default_sql,
            generated=self.generated, constraints=tuple(self.kinds), references=self.references,
        )  # fmt: skip


def indexed(reader: Reader) -> tuple[str, ...]:
    """The columns in a key's parenthesis; expressions are left out."""
    found: list[str] = []
    reader.expect("(")
    depth = reader.token.depth
    while True:
        plain = reader.token.kind in {"word", "quoted"} and (
            reader.peek(1).text in {",", ")"} or reader.peek(1).word in {"collate", "asc", "desc"}
        )
        if plain:
            found.append(reader.name())
        while not reader.done and not (reader.token.text == "," and reader.token.depth == depth):
            if reader.token.text == ")" and reader.token.depth < depth:
                break
            reader.next()
        if not reader.take(","):
            break
    reader.expect(")")
    return tuple(found)


def create_table(reader: Reader, *, temporary: bool) -> Operations:
    exists = reader.if_not_exists()
    table = reader.table()
    reader.expect("(")
    columns: list[Column] = []
    references: list[str] = []
    required: set[str] = set()
    while True:
        added = _constraint(reader)
        if added is None:
            columns.append(column(reader))
            references += [columns[-1].references or ""]
        else:
            references += [added.references or ""]
            required |= set(added.columns) if added.kind is Constraint.PRIMARY_KEY else set()
        if not reader.take(","):
            break
    reader.expect(")")
    while reader.take("without", "rowid") or reader.take("strict"):
        reader.take(",")
    reader.end()
    return (
        CreateTable(
            table,
            tuple(one.name for one in columns),
            tuple(dict.fromkeys(name for name in references if name)),
            temporary=temporary,
            if_not_exists=exists,
            shapes=tuple(
                ColumnShape(one.name, one.type, one.nullable and one.name not in required)
                for one in columns
            ),
        ),
    )


def _constraint(reader: Reader) -> AddConstraint | None:
    """A constraint of the table; None where a column comes next."""
    name = ""
    if reader.word == "constraint":
        reader.next()
        name = reader.name()
    columns: tuple[str, ...] = ()
    if reader.take("primary", "key"):
        columns = indexed(reader)
        kind = Constraint.PRIMARY_KEY
    elif reader.sees("unique", "(") and reader.take("unique"):
        columns = indexed(reader)
        kind = Constraint.UNIQUE
    elif reader.sees("check", "(") and reader.take("check"):
        found = AddConstraint("", Constraint.CHECK, name, expression=reader.group())
        _on_conflict(reader)
        return found
    elif reader.take("foreign", "key"):
        columns = indexed(reader)
        reader.expect("references")
        return AddConstraint(
            "", Constraint.FOREIGN_KEY, name, columns, references=_reference(reader)
        )
    elif name:
        raise Unknown("an odd constraint")
    else:
        return None
    _on_conflict(reader)
    return AddConstraint("", kind, name, columns)


def column(reader: Reader) -> Column:
    """A column definition, of CREATE TABLE or of ADD COLUMN."""
    found = Column(reader.name(), "")
    first = reader.at
    while reader.token.kind in {"word", "quoted"} and reader.word not in _ENDS:
        reader.next()
    if reader.at > first and reader.token.text == "(":
        reader.group()
    found.type = reader.source.between(first, reader.at)
    while _attribute(reader, found):
        pass
    return found


def _attribute(reader: Reader, found: Column) -> bool:
    if reader.take("constraint"):
        reader.name()
    if reader.take("primary", "key"):
        reader.take_one("asc", "desc")
        _on_conflict(reader)
        reader.take("autoincrement")
        found.kinds.append(Constraint.PRIMARY_KEY)
        found.nullable = False
    elif reader.take("not", "null") or reader.take("null"):
        found.nullable = found.nullable and reader.peek(-2).word != "not"
        _on_conflict(reader)
    elif reader.take("unique"):
        _on_conflict(reader)
        found.kinds.append(Constraint.UNIQUE)
    elif reader.take("check"):
        reader.group()
        found.kinds.append(Constraint.CHECK)
    elif reader.take("default"):
        found.default_sql = reader.value()
    elif reader.take("collate"):
        reader.name()
    elif reader.take("references"):
        found.references = _reference(reader)
        found.kinds.append(Constraint.FOREIGN_KEY)
    elif reader.take("generated", "always", "as") or reader.take("as"):
        reader.group()
        found.generated = reader.take_one("stored", "virtual") or "virtual"
    else:
        return False
    return True


def _on_conflict(reader: Reader) -> None:
    if reader.take("on", "conflict"):
        reader.one_of(*CONFLICTS)


def _reference(reader: Reader) -> str:
    target = reader.table()
    if reader.token.text == "(":
        indexed(reader)
    while True:
        if reader.take("on"):
            reader.one_of("delete", "update")
            if not any(reader.take(*words) for words in _ACTIONS):
                raise Unknown("an odd action of a foreign key")
        elif reader.take("match"):
            reader.name()
        elif not (reader.take("not", "deferrable") or reader.take("deferrable")):
            break
        if reader.take("initially"):
            reader.one_of("deferred", "immediate")
    return target
