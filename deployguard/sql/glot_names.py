"""Names and shapes out of sqlglot's trees; a shape that is not exactly the expected one raises Unknown."""

from collections.abc import Iterable
from typing import TypeAlias

from sqlglot import exp

from deployguard.operations import Operation
from deployguard.sql.source import Source, dotted, fold

Operations: TypeAlias = tuple[Operation, ...]


class Unknown(Exception):  # it is no error: the next reader is asked
    """The tree has a shape that this reader does not know exactly."""


def only(node: exp.Expression, *allowed: str) -> None:
    """Raise Unknown when ``node`` says anything besides ``allowed``; sqlglot drops nothing silently then."""
    for key, value in node.args.items():
        if value and key not in allowed:
            raise Unknown(f"{type(node).__name__} with {key}")


def need(condition: object) -> None:
    """Raise Unknown unless ``condition`` holds."""
    if not condition:
        raise Unknown


def child(node: exp.Expression, key: str) -> exp.Expression:
    """The sub-tree under ``key``; Unknown when there is none."""
    value = node.args.get(key)
    if not isinstance(value, exp.Expression):
        raise Unknown(f"{type(node).__name__} without {key}")
    return value


def children(node: exp.Expression, key: str) -> tuple[exp.Expression, ...]:
    """The sub-trees under ``key``, none when it is absent."""
    value = node.args.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, exp.Expression) for item in value):
        raise Unknown(f"{type(node).__name__} with an odd {key}")
    return tuple(value)


def identifier(node: object, source: Source) -> str:
    """The folded name of an Identifier, or of a Column or Table that is only that."""
    if isinstance(node, exp.Column | exp.Table):
        only(node, "this")
        node = node.this
    if not isinstance(node, exp.Identifier):
        raise Unknown("an identifier was expected")
    return fold(str(node.this), quoted=bool(node.args.get("quoted")), dialect=source.dialect)


def table(node: object, source: Source, *more: str) -> str:
    """``schema.name`` of a Table that has no other part than ``more`` (alias, only)."""
    if not isinstance(node, exp.Table):
        raise Unknown("a table was expected")
    only(node, "this", "db", "catalog", *more)
    parts = (node.args.get(part) for part in ("catalog", "db", "this"))
    return dotted(*(identifier(part, source) if part else "" for part in parts))


def identifiers(nodes: Iterable[object], source: Source) -> tuple[str, ...]:
    """The names of plain columns; Unknown when one is an expression."""
    return tuple(identifier(node, source) for node in nodes)


def token_at(node: exp.Expression, source: Source) -> int:
    """The token of an Identifier (or of the one inside a Column)."""
    if isinstance(node, exp.Column):
        node = child(node, "this")
    start = node.meta.get("start")
    if not isinstance(start, int):
        raise Unknown("sqlglot kept no place")
    at = source.index(start)
    need(at < len(source.tokens) and source.tokens[at].start == start)
    return at
