"""The statements of a function, each with the conditions around it; and who gives a name its value."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

_ENDS = ast.Return | ast.Continue | ast.Break
_MAKES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


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
        left: dict[Condition, None] = {}
        for block, inner in _inside(statement, conditions, scope):
            yield from walk(block, inner, scope)
        if not isinstance(statement, _MAKES):
            for block, inner in _inside(statement, (), scope):
                _leaves(block, inner, scope, left)
        conditions = (*conditions, *(one for one in left if one not in conditions))


def _leaves(
    body: list[ast.stmt], conditions: Conditions, scope: str, found: dict[Condition, None]
) -> None:
    """Collect the conditions under which a block is left before its end."""
    for statement in body:
        # One that is raised again ends it all: then nothing of it was done.
        raises = isinstance(statement, ast.Raise) and bool(conditions) and conditions[-1].test
        if raises or isinstance(statement, _ENDS):
            found.update(dict.fromkeys(Condition(one.test, one.scope) for one in conditions))
        if not isinstance(statement, _MAKES):
            for block, inner in _inside(statement, conditions, scope):
                _leaves(block, inner, scope, found)


def _inside(
    statement: ast.stmt, conditions: Conditions, scope: str
) -> Iterator[tuple[list[ast.stmt], Conditions]]:
    unknown = (*conditions, Condition(None, scope))
    match statement:
        case ast.For(_, iterated, body, orelse) | ast.AsyncFor(_, iterated, body, orelse):
            looped = (*conditions, Condition(iterated, scope, loop=True))
            yield from ((body, looped), (orelse, looped))
        case ast.If(test, body, orelse):
            tested = (*conditions, Condition(test, scope))
            yield from ((body, tested), (orelse, tested))
        case ast.With(items, body) | ast.AsyncWith(items, body):
            yield (
                body,
                unknown if any(_suppresses(one.context_expr) for one in items) else conditions,
            )
        case ast.ClassDef(body=body):
            yield body, conditions  # a class is made where it stands
        case ast.Try(body, handlers, orelse, final) | ast.TryStar(body, handlers, orelse, final):
            raised = all(isinstance(handler.body[-1], ast.Raise) for handler in handlers)
            tried = conditions if raised else unknown  # what fails leaves out the rest, silently
            yield from ((body, tried), (orelse, tried), (final, conditions))
            yield from ((handler.body, unknown) for handler in handlers)
        case ast.While(_, body, orelse):
            yield from ((body, unknown), (orelse, unknown))
        case ast.FunctionDef(body=body) | ast.AsyncFunctionDef(body=body):
            yield body, unknown
        case ast.Match(subject, cases):
            tests = (subject, *(case.guard for case in cases if case.guard is not None))
            matched = (*conditions, *(Condition(test, scope) for test in tests))
            yield from ((case.body, matched) for case in cases)


def _suppresses(node: ast.expr) -> bool:
    """`contextlib.suppress(…)`."""
    said = node.func if isinstance(node, ast.Call) else node
    return getattr(said, "attr", getattr(said, "id", "")) == "suppress"


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
        case ast.Match(subject, cases):
            patterns = [part for case in cases for part in ast.walk(case.pattern)]
            yield from ((name, subject) for name in map(_captured, patterns) if name)
    if value is not None:
        for target in targets:
            for part in ast.walk(target):
                if isinstance(part, ast.Name):
                    yield part.id, value


def _captured(node: ast.AST) -> str:
    name = node.rest if isinstance(node, ast.MatchMapping) else getattr(node, "name", None)
    return name or ""


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> dict[str, ast.expr | None]:
    """The names of a function's parameters, in order, each with its default."""
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    pairs = [
        *zip(positional, defaults, strict=True),
        *zip(given.kwonlyargs, given.kw_defaults, strict=True),
    ]
    found = {one.arg: default for one, default in pairs}
    return found | {one.arg: None for one in (given.vararg, given.kwarg) if one is not None}


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
