"""MySQL's own ways to write rows that sqlglot does not read: joins in UPDATE and DELETE, LOAD DATA, REPLACE.

Source: https://dev.mysql.com/doc/refman/8.4/en/sql-data-manipulation-statements.html
"""

from deployguard.operations import Operation, Procedural, ReadRows, WriteRows
from deployguard.sql.functions import called
from deployguard.sql.my_reader import Operations, Reader, Unknown
from deployguard.sql.source import Source
from deployguard.sql.tokens import Token

_SPEED = ("low_priority", "high_priority", "delayed", "quick", "ignore", "concurrent", "local")
# Words that a parenthesis may follow without being called.
_NO_CALL = {
    "in", "values", "value", "and", "or", "not", "exists", "on", "using", "as", "where", "set", "from", "join",
    "select", "when", "then", "else", "between", "like", "any", "all", "some", "union", "over", "by", "is", "xor",
    "index", "key", "force", "use", "ignore", "into", "limit", "having", "distinct", "case", "interval", "div",
    "mod", "partition", "row", "regexp", "rlike", "with", "except", "intersect", "columns", "fields", "lines",
}  # fmt: skip


def rows(source: Source) -> Operations | None:
    """The operations of a statement about rows; None where sqlglot is to read it."""
    reader = Reader(source)
    first = reader.word
    if first not in _READERS:
        return None
    reader.next()
    return _READERS[first](reader)


def _load(reader: Reader) -> Operations:
    reader.one_of("data", "xml", "index")
    at = reader.source.find("into", "table", start=reader.at)
    if at < 0:
        raise Unknown("LOAD without INTO TABLE")
    return (WriteRows(Reader(reader.source, at).table(), "copy"),)


def _replace(reader: Reader) -> Operations:
    while reader.take_one(*_SPEED):
        pass
    reader.take("into")
    table = reader.table()
    if reader.take("partition"):
        reader.group()
    rest = [token.word for token in reader.source.tokens[reader.at :]]
    return (WriteRows(table, "merge", from_query="select" in rest), *effects(reader))


def _insert(reader: Reader) -> Operations | None:
    """Only with the words that sqlglot doesn't know; they change nothing about what is written."""
    while reader.take_one("low_priority", "high_priority", "delayed"):
        reader.take("ignore")
        reader.take("into")
        table = reader.table()
        rest = {token.word for token in reader.source.tokens[reader.at :]}
        verb = "merge" if "duplicate" in rest else "insert"
        return (WriteRows(table, verb, from_query="select" in rest), *effects(reader))
    return None


def _update(reader: Reader) -> Operations | None:
    special = False
    while reader.take_one(*_SPEED):
        special = True
    end = _clause(reader, "set")
    names = _sources(Reader(reader.source, reader.at), end)
    before = reader.source.tokens[reader.at : end]
    if not special and not any(_separates(token) for token in before):
        return None
    columns = _set_columns(Reader(reader.source, end + 1))
    where = _clause(reader, "where", start=end) < len(reader.source.tokens)
    owners = {names.get(owner, "") for owner, _ in columns} or {""}
    # A column without its table may belong to any of them.
    targets = sorted(set(names.values())) if "" in owners else sorted(owners)
    found = tuple(
        WriteRows(table, "update", where=where, columns=_own(columns, names, table))
        for table in targets
    )
    return (*found, *effects(reader))


def _own(columns: list[tuple[str, str]], names: dict[str, str], table: str) -> tuple[str, ...]:
    return tuple(column for owner, column in columns if names.get(owner, table) == table)


def _delete(reader: Reader) -> Operations | None:
    special = False
    while reader.take_one("low_priority", "quick", "ignore"):
        special = True
    where = _clause(reader, "where") < len(reader.source.tokens)
    if reader.take("from"):
        using = _clause(reader, "using")
        if using == len(reader.source.tokens):
            if not special:
                return None
            return (WriteRows(reader.table(), "delete", where=where), *effects(reader))
        targets = _targets(reader, using)
        names = _sources(Reader(reader.source, using + 1), _clause(reader, "where"))
    else:
        start = _clause(reader, "from")
        targets = _targets(reader, start)
        names = _sources(Reader(reader.source, start + 1), _clause(reader, "where"))
    # An inner join restricts, too, but nobody can tell how much.
    found = tuple(WriteRows(names.get(target, target), "delete", where=where) for target in targets)
    return (*found, *effects(reader))


def _targets(reader: Reader, end: int) -> list[str]:
    found: list[str] = []
    while reader.at < end:
        found.append(reader.table())
        if reader.take(".", "*"):
            pass
        if not reader.take(","):
            break
    if reader.at != end:
        raise Unknown("an odd list of tables")
    return found


def _clause(reader: Reader, word: str, *, start: int | None = None) -> int:
    """The token of a word that stands outside of every parenthesis; the end where there is none."""
    tokens = reader.source.tokens
    for at in range(reader.at if start is None else start, len(tokens)):
        if tokens[at].word == word and tokens[at].depth == 0:
            return at
    return len(tokens)


def _sources(reader: Reader, end: int) -> dict[str, str]:
    """The tables of a list of joins before token ``end``, by the names that the statement gives them."""
    found: dict[str, str] = {}
    expected = True
    while reader.at < end:
        if expected and reader.token.text == "(":
            _skip(reader)
            reader.take("as")
            reader.name()  # a derived table is only read
            expected = False
        elif expected:
            table = reader.table()
            found[table] = found[table.rpartition(".")[2]] = table
            if reader.take("as") or (
                reader.at < end
                and reader.token.kind in {"word", "quoted"}
                and reader.word not in _JOIN
            ):
                alias = reader.name()
                del found[table]
                found.pop(table.rpartition(".")[2], None)
                found[alias] = table
            expected = False
        else:
            token = reader.next()
            expected = _separates(token)
    if expected or not found:
        raise Unknown("an odd list of tables")
    return found


def _separates(token: Token) -> bool:
    return (token.text == "," and token.depth == 0) or token.word in {"join", "straight_join"}


_JOIN = {
    "join", "inner", "cross", "left", "right", "natural", "straight_join", "on", "using", "use", "force", "ignore",
    "set", "where", "partition", "outer", "order", "limit",
}  # fmt: skip


def _skip(reader: Reader) -> None:
    reader.group()


def _set_columns(reader: Reader) -> list[tuple[str, str]]:
    """(table or "", column) of each assignment."""
    found: list[tuple[str, str]] = []
    while True:
        owner, column = "", reader.name()
        while reader.take("."):
            owner = column if not owner else f"{owner}.{column}"
            column = reader.name()
        reader.expect("=")
        found.append((owner, column))
        while not reader.done and not (reader.token.text == "," and reader.token.depth == 0):
            if reader.token.depth == 0 and reader.word in {"where", "order", "limit"}:
                return found
            reader.next()
        if not reader.take(","):
            return found


def effects(reader: Reader) -> tuple[Operation, ...]:
    """What the functions do that the statement calls."""
    tokens = reader.source.tokens
    found: list[Operation] = []
    for at, token in enumerate(tokens[:-1]):
        if token.kind not in {"word", "quoted"} or tokens[at + 1].text != "(":
            continue
        if token.word in _NO_CALL or tokens[at + 1].start != token.end:
            continue
        before = tokens[at - 1].word if at else ""
        if before in {"into", "update", "table", "from", "join"}:
            continue  # INSERT INTO t(a)
        name = token.word or token.text.strip("`").lower()
        operation = called(name, ())
        if operation is not None:
            found.append(operation)
    return tuple(found)


def _select(reader: Reader) -> Operations | None:
    """SELECT … INTO: a variable only reads, a file is written by the server."""
    at = _clause(reader, "into")
    tokens = reader.source.tokens
    if at == len(tokens):
        return None
    following = tokens[at + 1] if at + 1 < len(tokens) else tokens[at]
    if following.word in {"outfile", "dumpfile"}:
        return (Procedural("select into file"),)
    if following.text == "@":
        return (ReadRows(()), *effects(reader))
    return None


def _do(reader: Reader) -> Operations:
    return effects(reader) or (ReadRows(()),)


_READERS = {
    "load": _load,
    "replace": _replace,
    "insert": _insert,
    "update": _update,
    "delete": _delete,
    "select": _select,
    "do": _do,
}
