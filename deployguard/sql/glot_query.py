"""SELECT, INSERT, UPDATE, DELETE and MERGE, lowered from sqlglot's trees."""

from collections.abc import Iterator

from sqlglot import exp

from deployguard.operations import CreateTable, Operation, ReadRows, WriteRows
from deployguard.sql.functions import called, reads_only
from deployguard.sql.glot_names import (
    Operations,
    Unknown,
    child,
    children,
    identifier,
    identifiers,
    need,
    only,
    table,
)
from deployguard.sql.source import Source

_WRITES = (exp.Insert, exp.Update, exp.Delete, exp.Merge)
# Trees that sqlglot counts as functions and SQL writes without calling one.
_NO_CALL = (
    exp.And, exp.Or, exp.Xor, exp.Case, exp.Cast, exp.TryCast, exp.If, exp.Exists, exp.Coalesce, exp.Nullif,
    exp.Extract, exp.Array, exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.CurrentUser,
    exp.Unnest, exp.Localtimestamp, exp.Localtime,
)  # fmt: skip


def query(node: exp.Expression, source: Source) -> Operations:
    """What one data statement reads and writes; Unknown where a CTE writes or a locking clause is odd."""
    inner = [item for item in node.find_all(*_WRITES) if item is not node and not _in_merge(item)]
    need(not inner)
    effects = _effects(node, source)
    match node:
        case exp.Insert():
            return (_insert(node, source), *effects)
        case exp.Update():
            return (_update(node, source), *effects)
        case exp.Delete():
            only(node, "this", "using", "where", "returning", "with_", "order", "limit")
            target = table(child(node, "this"), source, "alias", "only")
            return (WriteRows(target, "delete", where=_restricts(node)), *effects)
        case exp.Merge():
            return (WriteRows(table(child(node, "this"), source, "alias"), "merge"), *effects)
        case _:
            return _select(node, source, effects)


def _in_merge(node: exp.Expression) -> bool:
    return isinstance(node.parent, exp.When)


def _select(node: exp.Expression, source: Source, effects: Operations) -> Operations:
    into = node.args.get("into")
    if isinstance(into, exp.Into):
        only(into, "this")
        return (CreateTable(table(into.this, source), from_query=True), *effects)
    need(not any(item.args.get("into") for item in node.find_all(exp.Select)))
    tables = tables_read(node, source)
    if effects and not tables:
        return effects
    return (ReadRows(tables), *effects)


def tables_read(node: exp.Expression, source: Source) -> tuple[str, ...]:
    """Every table that the tree names, without its common table expressions."""
    inner = {
        identifier(item.args["alias"].this, source)
        for item in node.find_all(exp.CTE)
        if isinstance(item.args.get("alias"), exp.TableAlias)
    }
    names = set()
    for item in node.find_all(exp.Table):
        if isinstance(item.this, exp.Identifier):
            names.add(table(item, source, "alias", "only", "joins", "sample", "laterals", "hints"))
        elif not isinstance(item.this, exp.Func):
            raise Unknown("an odd table")
    return tuple(sorted(names - inner))


def _effects(node: exp.Expression, source: Source) -> Operations:
    return tuple(_calls(node, source))


def _calls(node: exp.Expression, source: Source) -> Iterator[Operation]:
    for item in node.find_all(exp.Func):
        if isinstance(item, _NO_CALL):
            continue
        name = _function_name(item, source)
        if source.dialect == "postgresql":
            # A function that may act, or one that is named with its schema: PostgreSQL's own grammar says exactly.
            need(reads_only(name) and not isinstance(item.parent, exp.Dot))
        else:
            operation = called(name, ())
            if operation is not None:
                yield operation


def _function_name(node: exp.Func, source: Source) -> str:
    if isinstance(node, exp.Anonymous):
        return str(node.name).lower()
    start, end = node.meta.get("start"), node.meta.get("end")
    if isinstance(start, int) and isinstance(end, int):
        return source.masked[start : end + 1].strip('"').lower()
    names = {str(name).lower() for name in type(node).sql_names()}
    if all(reads_only(name) for name in names):
        return names.pop()
    raise Unknown(f"function {type(node).__name__}")


def _insert(node: exp.Insert, source: Source) -> WriteRows:
    only(
        node, "this", "expression", "conflict", "returning", "with_", "default", "alternative", "ignore"
    )  # fmt: skip
    target, columns = _target(child(node, "this"), source)
    values = node.args.get("expression")
    from_query = values is not None and not isinstance(values, exp.Values)
    sources: tuple[str, ...] = ()
    if from_query and source.dialect != "postgresql" and isinstance(values, exp.Select):
        sources = tuple(_plain_column(item, source) for item in values.expressions)
    copies = ""
    if source.dialect == "sqlite" and sources and not _adds_words(node):
        copies = _copied_whole(values, source)
    verb = "merge" if _replaces_rows(node) else "insert"
    return WriteRows(
        target, verb, from_query=from_query, columns=columns, sources=sources, copies=copies
    )


def _adds_words(node: exp.Insert) -> bool:
    """OR IGNORE, ON CONFLICT, WITH: not every row arrives then."""
    return any(node.args.get(key) for key in ("alternative", "ignore", "conflict", "with_"))


def _copied_whole(query: object, source: Source) -> str:
    """The table that ``SELECT columns FROM table`` takes every row from; "" for every other query."""
    if not isinstance(query, exp.Select):
        return ""
    if any(value and key not in {"expressions", "from_"} for key, value in query.args.items()):
        return ""
    origin = query.args.get("from_")
    if not isinstance(origin, exp.From) or not isinstance(origin.this, exp.Table):
        return ""
    return table(origin.this, source, "alias")


def _target(node: exp.Expression, source: Source) -> tuple[str, tuple[str, ...]]:
    if isinstance(node, exp.Schema):
        return table(node.this, source, "alias"), identifiers(node.expressions, source)
    return table(node, source, "alias"), ()


def _replaces_rows(node: exp.Insert) -> bool:
    alternative = str(node.args.get("alternative") or "").upper()
    need(alternative in {"", "REPLACE", "IGNORE"})
    conflict = node.args.get("conflict")
    if not isinstance(conflict, exp.OnConflict):
        return alternative == "REPLACE"
    action = str(conflict.args.get("action") or "").upper()
    need(action in {"DO NOTHING", "DO UPDATE", "UPDATE"})
    return action != "DO NOTHING"


def _plain_column(node: exp.Expression, source: Source) -> str:
    """The column that a SELECT's item copies, also below CAST and AS; "" for anything else."""
    if isinstance(node, exp.Star):
        return "*"
    while isinstance(node, exp.Alias | exp.Cast):
        node = child(node, "this")
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Identifier):
        return identifier(node.this, source)
    return ""


def _update(node: exp.Update, source: Source) -> WriteRows:
    only(node, "this", "expressions", "from_", "where", "returning", "with_", "order", "limit")
    columns: list[str] = []
    for item in children(node, "expressions"):
        need(isinstance(item, exp.EQ))
        targets = item.this.expressions if isinstance(item.this, exp.Tuple) else [item.this]
        if source.dialect == "postgresql":  # SET a.b writes into a composite column
            need(not any(column.args.get("table") for column in targets))
        columns += [identifier(column.this, source) for column in targets]
    return WriteRows(
        table(child(node, "this"), source, "alias", "only"),
        "update",
        where=_restricts(node),
        columns=tuple(columns),
    )


def _restricts(node: exp.Expression) -> bool:
    """Whether a WHERE is there and is not one that is always true."""
    where = node.args.get("where")
    if not isinstance(where, exp.Where):
        return False
    condition = where.this
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.Boolean):
        return not condition.this
    if isinstance(condition, exp.EQ):
        left, right = condition.this, condition.expression
        return not (isinstance(left, exp.Literal | exp.Boolean) and left == right)
    return True
