"""The statements of a function, each with the conditions around it; and who gives a name its value."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

_ENDS = ast.Return | ast.Raise | ast.Continue | ast.Break


@dataclass(frozen=True, slots=True)
class Condition:
    """A test in the function `scope`, or with `loop` what is gone through."""

    test: ast.expr | None  # None: nobody can say
    scope: str
    loop: bool = False


Conditions: TypeAlias = tuple[Condition, ...]
Placed: TypeAlias = tuple[ast.stmt, Conditions]


def walk(body: list[ast.stmt], conditions: Conditions, scope: str) -> Iterator[Placed]:
    """Every statement with the conditions around it, and those that end the block before it."""
    for statement in body:
        yield statement, conditions
        if isinstance(statement, ast.If):
            inner = (*conditions, Condition(statement.test, scope))
            yield from walk(statement.body, inner, scope)
            yield from walk(statement.orelse, inner, scope)
            if any(block and isinstance(block[-1], _ENDS) for block in _branches(statement)):
                conditions = inner
            continue
        for block, inner in _inside(statement, conditions, scope):
            yield from walk(block, inner, scope)


def _branches(statement: ast.If) -> tuple[list[ast.stmt], list[ast.stmt]]:
    return statement.body, statement.orelse


def _inside(
    statement: ast.stmt, conditions: Conditions, scope: str
) -> Iterator[tuple[list[ast.stmt], Conditions]]:
    unknown = (*conditions, Condition(None, scope))
    match statement:
        case ast.For(_, iterated, body, orelse) | ast.AsyncFor(_, iterated, body, orelse):
            looped = (*conditions, Condition(iterated, scope, loop=True))
            yield from ((body, looped), (orelse, looped))
        case ast.With(body=body) | ast.AsyncWith(body=body) | ast.ClassDef(body=body):
            yield body, conditions  # a class is made where it stands
        case ast.Try(body, handlers, orelse, final) | ast.TryStar(body, handlers, orelse, final):
            yield from ((body, conditions), (orelse, conditions), (final, conditions))
            yield from ((handler.body, unknown) for handler in handlers)
        case ast.While(_, body, orelse):
            yield from ((body, unknown), (orelse, unknown))
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
            yield body, unknown
        case ast.Match(_, cases):
            yield from ((case.body, unknown) for case in cases)


def own_nodes(statement: ast.stmt) -> list[ast.AST]:
    """The nodes of a statement without those of the statements inside it."""
    heads = [
        child
        for child in ast.iter_child_nodes(statement)
        if not isinstance(child, ast.stmt | ast.ExceptHandler | ast.match_case)
    ]
    return [node for head in heads for node in ast.walk(head)]


def given(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The names that are given a value, in a statement or a comprehension, and that value."""
    targets: list[ast.expr] = []
    value: ast.expr | None = None
    match node:
        case ast.Assign():
            targets, value = node.targets, node.value
        case ast.AnnAssign() | ast.AugAssign() | ast.NamedExpr():
            targets, value = [node.target], node.value
        case ast.For() | ast.AsyncFor() | ast.comprehension():
            targets, value = [node.target], node.iter
        case ast.withitem() if node.optional_vars is not None:
            targets, value = [node.optional_vars], node.context_expr
    if value is not None:
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name):
                    yield part.id, value


def inline(node: ast.AST, acting: list[ast.Call]) -> Iterator[tuple[ast.expr, bool]]:
    """What decides, inside of an expression, whether one of the calls is made; True for what is gone through."""
    parts: list[tuple[ast.expr, bool]] = []
    match node:
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            parts = [(one.iter, True) for one in node.generators]
            parts += [(test, False) for one in node.generators for test in one.ifs]
        case ast.IfExp(test):
            parts = [(test, False)]
        case ast.BoolOp(_, values):
            parts = [(value, False) for value in values[:-1]]
    if parts:
        deciding = {id(inner) for part, _ in parts for inner in ast.walk(part)}
        inside = {id(inner) for inner in ast.walk(node)} - deciding
        if any(id(call) in inside for call in acting):
            yield from parts


def autoloads(node: ast.Call) -> bool:
    """Whether a table is made from what the database has."""
    return any(keyword.arg in ("autoload_with", "autoload") for keyword in node.keywords)
