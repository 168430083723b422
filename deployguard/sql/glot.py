"""The first reader, for every dialect: sqlglot's tree of one statement, lowered by an allowlist of exact shapes."""

import logging

import sqlglot
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError

from deployguard.operations import ControlTransaction, Maintain, Truncate
from deployguard.sql import glot_alter, glot_create, glot_query
from deployguard.sql.glot_names import Operations, Unknown, children, need, only, table
from deployguard.sql.phrases import phrase
from deployguard.sql.source import Source

# It warns on stderr about each statement that it keeps as a Command; we say so ourselves, as a finding.
logging.getLogger("sqlglot").setLevel(logging.CRITICAL)

_DIALECTS = {
    "postgresql": "postgres",
    "sqlite": "sqlite",
    "mysql": "mysql",
    "mariadb": "mysql",
    "mssql": "tsql",
    "oracle": "oracle",
}


def lower(source: Source) -> Operations | None:
    """The operations of one statement, None when the tree is not exactly one that we know."""
    dialect = _DIALECTS.get(source.dialect)
    if dialect is None:
        return None
    if source.dialect != "postgresql" and (known := phrase(source)):
        return known
    try:
        trees = sqlglot.parse(_text(source), dialect=dialect, error_level=ErrorLevel.IMMEDIATE)
        if len(trees) != 1 or not isinstance(trees[0], exp.Expression):
            return None
        return _lower(trees[0], source)
    except (SqlglotError, Unknown, RecursionError):
        return None
    except (ValueError, TypeError, AttributeError, KeyError, IndexError, AssertionError):
        # sqlglot's own mistakes on odd input; the statement then counts as not understood.
        return None


def _text(source: Source) -> str:
    """What sqlglot is given: without SQLite's table options, which it does not know."""
    tokens = source.tokens
    if source.dialect != "sqlite" or not source.words("create", "table"):
        return source.masked
    end = len(tokens)
    while end > 2 and tokens[end - 1].word in {"rowid", "without", "strict"}:
        end -= 1
        if tokens[end - 1].text == ",":
            end -= 1
    return source.masked[: tokens[end - 1].end]


def _lower(tree: exp.Expression, source: Source) -> Operations | None:
    match tree:
        case exp.Create():
            return glot_create.create(tree, source)
        case exp.Drop():
            return glot_create.drop(tree, source)
        case exp.Alter():
            return glot_alter.alter(tree, source)
        case exp.Insert() | exp.Update() | exp.Delete() | exp.Merge():
            return glot_query.query(tree, source)
        case exp.Select() | exp.SetOperation() | exp.Values() | exp.Subquery():
            return glot_query.query(tree, source)
        case exp.TruncateTable():
            return _truncate(tree, source)
        case exp.Comment():
            return _comment(tree, source)
        case exp.Transaction() | exp.Commit() | exp.Rollback():
            only(tree)
            need(len(source.tokens) == 1)
            words = {exp.Transaction: "begin", exp.Commit: "commit", exp.Rollback: "rollback"}
            return (ControlTransaction(words[type(tree)]),)
        case _:
            return None


def _truncate(tree: exp.TruncateTable, source: Source) -> Operations:
    only(tree, "expressions", "identity", "option")
    cascade = str(tree.args.get("option") or "").upper() == "CASCADE"
    return tuple(
        Truncate(table(target, source, "only"), cascade=cascade)
        for target in children(tree, "expressions")
    )


def _comment(tree: exp.Comment, source: Source) -> Operations:
    only(tree, "this", "kind", "expression")
    kind = str(tree.args.get("kind")).lower()
    need(kind in {"table", "column"})
    target = tree.this
    if kind == "column":
        need(isinstance(target, exp.Column))
        parts = [str(part.this) for part in target.parts]
        quoted = [bool(part.args.get("quoted")) for part in target.parts]
        name = ".".join(
            part if is_quoted else part.lower()
            for part, is_quoted in zip(parts, quoted, strict=True)
        )
    else:
        name = table(target, source)
    return (Maintain(f"comment on {kind} {name}"),)
