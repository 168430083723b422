"""Where the clock steers a revision: a condition, a name. A moment that is written down is a value like any other."""

import ast
from collections.abc import Iterator, Mapping

from deployguard.revisions.places import Function, called, root, text_of

_MODULES = {"datetime", "time", "pendulum", "arrow", "date"}
_ASKS = {"now", "utcnow", "today", "time"}
# Text in which a moment is a value; in any other it may be part of a name.
_ROWS = ("insert", "update", "delete", "select", "with", "merge", "comment")


def steering(function: Function, imported: Mapping[str, str]) -> Iterator[int]:
    """The lines in which a moment decides something."""
    names = {
        part.id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and _moment(node.value, imported, frozenset())
        for target in node.targets
        for part in ast.walk(target)
        if isinstance(part, ast.Name)
    }
    for node in ast.walk(function):
        for part in _decisive(node):
            if _moment(part, imported, frozenset(names)):
                yield part.lineno


def _moment(node: ast.AST, imported: Mapping[str, str], names: frozenset[str]) -> bool:
    return any(
        (isinstance(part, ast.Name) and part.id in names)
        or (isinstance(part, ast.Call) and called(part) in _ASKS and _clock(part, imported))
        for part in ast.walk(node)
    )


def _clock(node: ast.Call, imported: Mapping[str, str]) -> bool:
    return imported.get(root(node.func), "").split(".")[0] in _MODULES


def _decisive(node: ast.AST) -> Iterator[ast.expr]:
    match node:
        case ast.If(test) | ast.While(test) | ast.IfExp(test) | ast.Assert(test):
            yield test
        case ast.comprehension(ifs=tests):
            yield from tests
        case ast.Compare() | ast.Slice():
            yield node
        case ast.JoinedStr() if not _of_rows(text_of(node)):
            yield node
        case ast.BinOp(left, ast.Mod() | ast.Add()) if text_of(left) and not _of_rows(
            text_of(left)
        ):
            yield node
        case ast.Call(ast.Attribute(ast.Constant(str(text)), "format")) if not _of_rows(text):
            yield node


def _of_rows(text: str) -> bool:
    return text.lstrip("( \n\t").lower().startswith(_ROWS)
