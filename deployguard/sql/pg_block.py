"""What a DO block in PL/pgSQL does, where its statements are written out; what it builds while it runs is not read.

Source: https://www.postgresql.org/docs/current/plpgsql-statements.html
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeAlias

import postgast
from postgast import pg_query_pb2 as pb

from deployguard.model import Json
from deployguard.operations import (
    AddColumn,
    CreateIndex,
    CreateObject,
    CreateTable,
    Operation,
    Procedural,
    ReadRows,
)
from deployguard.sql.pg_names import Operations, literal
from deployguard.sql.source import Source

Lower: TypeAlias = Callable[[Source], Operations]
_UNREAD = Procedural("do")
# Control flow, and what only moves values: their own statements and expressions are all that they do.
_CONTROL = frozenset(
    [
        "block",
        "if",
        "case",
        "loop",
        "while",
        "fori",
        "fors",
        "forc",
        "foreach_a",
        "exit",
        "return",
        "raise",
        "assert",
        "assign",
        "getdiag",
        "perform",
        "execsql",
        "call",
        "fetch",
        "close",
    ]
)
# How PL/pgSQL marks an expression that is no whole statement: a plain one, and three kinds of assignment.
_EXPRESSION, _ASSIGNMENTS = 2, frozenset((3, 4, 5))


def do_block(node: pb.Node, source: Source, lower: Lower) -> Operations:
    """The operations of every statement in the block, whatever the conditions around them.

    ``lower`` reads one statement. A block of another language, dynamic SQL, and what ends the transaction stay
    unread: then ``Procedural("do")`` is among the operations.
    """
    languages = {
        item.def_elem.arg.string.sval.lower()
        for item in node.do_stmt.args
        if item.def_elem.defname == "language"
    }
    if languages - {"plpgsql"}:
        return (_UNREAD,)
    try:
        functions = postgast.parse_plpgsql(source.masked)
    except (postgast.PgQueryError, ValueError):
        return (_UNREAD,)
    if not functions or not all(one.get("PLpgSQL_function", {}).get("action") for one in functions):
        return (_UNREAD,)
    found = tuple(dict.fromkeys(_operations([*functions], lower)))
    done = tuple(one for one in found if not isinstance(one, ReadRows))
    return done or found or (ReadRows(()),)


def _operations(tree: Json, lower: Lower) -> Iterator[Operation]:
    if isinstance(tree, list):
        for item in tree:
            yield from _operations(item, lower)
    elif isinstance(tree, dict):
        for name, inner in tree.items():
            yield from _node(str(name), inner, lower)


def _node(name: str, inner: Json, lower: Lower) -> Iterator[Operation]:
    if name == "PLpgSQL_expr":
        yield from map(_conditional, _expression(inner, lower))
        return
    statement = name.removeprefix("PLpgSQL_stmt_")
    if statement == "dynexecute":
        yield from _dynamic(inner, lower)
    elif statement != name and statement not in _CONTROL:
        yield _UNREAD
    else:
        yield from _operations(inner, lower)


def _expression(inner: Json, lower: Lower) -> Operations:
    text, mode = _text(inner), inner.get("parseMode") if isinstance(inner, dict) else None
    if mode == _EXPRESSION:
        text = f"SELECT {text}"
    elif mode in _ASSIGNMENTS:
        _, sign, value = text.partition("=")
        text = f"SELECT {value}" if sign else text
    return lower(Source.of(text, "postgresql"))


def _text(expression: Json) -> str:
    return str(expression.get("query", "")) if isinstance(expression, dict) else ""


def _dynamic(inner: Json, lower: Lower) -> Iterator[Operation]:
    """EXECUTE of a string that is written out is a statement like any other."""
    query = inner.get("query") if isinstance(inner, dict) else None
    text = _text(query.get("PLpgSQL_expr")) if isinstance(query, dict) else ""
    written = _literal(text)
    if written is None:
        yield _UNREAD
    else:
        yield from map(_conditional, lower(Source.of(written, "postgresql")))


def _literal(expression: str) -> str | None:
    """The value of a string constant; None for every other expression."""
    try:
        statements = postgast.parse(f"SELECT {expression}").stmts
    except postgast.PgQueryError:
        return None
    targets = statements[0].stmt.select_stmt.target_list
    return literal(targets[0].res_target.val) if len(targets) == 1 else None


def _conditional(operation: Operation) -> Operation:
    """What a condition or a handler may skip was perhaps there before: nothing old is taken for new."""
    if isinstance(operation, CreateTable | CreateObject | AddColumn | CreateIndex):
        return replace(operation, if_not_exists=True)
    return operation
