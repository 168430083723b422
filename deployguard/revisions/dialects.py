"""What of a revision's source can run on one dialect: branches that its name decides are taken or left out."""

import ast
from collections.abc import Mapping, Sequence

_UNKNOWN = object()
_OWNERS = {"dialect", "engine"}  # bind.dialect.name, bind.engine.name
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def prune(tree: ast.Module, dialect: str) -> ast.Module:
    """`tree` without the branches of its functions that never run on `dialect`; the tree itself is changed."""
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    for function in functions.values():
        pruner = _Pruner(dialect, functions, _names(function))
        function.body = pruner.block(function.body) or [ast.Pass(lineno=function.lineno)]
    return tree


class _Pruner:
    """Decides the conditions of one function."""

    def __init__(
        self, dialect: str, functions: Mapping[str, _Function], names: Mapping[str, ast.expr]
    ) -> None:
        self.dialect = dialect
        self.functions = functions
        self.names = names

    def block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        """The statements that can run, up to the first that ends the block."""
        kept: list[ast.stmt] = []
        for statement in body:
            kept += self._statement(statement)
            if kept and isinstance(kept[-1], ast.Return | ast.Raise):
                break
        return kept

    def _statement(self, statement: ast.stmt) -> list[ast.stmt]:
        if isinstance(statement, ast.If):
            decided = self.value(statement.test)
            if isinstance(decided, bool):
                return self.block(statement.body if decided else statement.orelse)
        for field in ("body", "orelse", "finalbody"):
            inner = getattr(statement, field, None)
            if isinstance(inner, list) and inner and not isinstance(statement, ast.ClassDef):
                pruned = self.block(inner)
                # A compound statement needs a body, the other two may be empty.
                empty = [ast.Pass(lineno=statement.lineno)] if field == "body" else []
                setattr(statement, field, pruned or empty)
        return [statement]

    def value(self, node: ast.expr) -> object:
        """What an expression of constants and the dialect's name is, else _UNKNOWN."""
        match node:
            case ast.Constant(value):
                return value
            case ast.Tuple(items) | ast.List(items) | ast.Set(items):
                values = tuple(self.value(item) for item in items)
                return _UNKNOWN if _UNKNOWN in values else values
            case ast.Attribute(owner, "name") if self.is_dialect(owner):
                return self.dialect
            case ast.Name(name) if name in self.names:
                return self._without(name).value(self.names[name])
            case ast.UnaryOp(ast.Not(), operand):
                decided = self.value(operand)
                return not decided if isinstance(decided, bool) else _UNKNOWN
            case ast.BoolOp(operator, parts):
                return self._both_or_one(operator, [self.value(part) for part in parts])
            case ast.Compare(left, [operator], [right]):
                return _compared(self.value(left), operator, self.value(right))
            case ast.Call():
                return self._called(node)
        return _UNKNOWN

    def _both_or_one(self, operator: ast.boolop, values: list[object]) -> object:
        decisive = isinstance(operator, ast.Or)
        if any(value is decisive for value in values):
            return decisive
        return (not decisive) if all(value is (not decisive) for value in values) else _UNKNOWN

    def _called(self, node: ast.Call) -> object:
        match node:
            case ast.Call(ast.Attribute(owner, "startswith"), [start], []):
                text, begin = self.value(owner), self.value(start)
                if isinstance(text, str) and isinstance(begin, str):
                    return text.startswith(begin)
            case ast.Call(ast.Name(name), [], []) if name in self.functions:
                last = self.functions[name].body[-1]
                names = _names(self.functions[name])
                if isinstance(last, ast.Return) and last.value is not None:
                    # Its own helpers are not followed: a function that calls itself has no end.
                    return _Pruner(self.dialect, {}, names).value(last.value)
        return _UNKNOWN

    def _without(self, name: str) -> "_Pruner":
        """For the value of a name: it has no part in itself, also not by way of another."""
        others = {key: value for key, value in self.names.items() if key != name}
        return _Pruner(self.dialect, self.functions, others)

    def is_dialect(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name) and node.id in self.names:
            return self._without(node.id).is_dialect(self.names[node.id])
        return isinstance(node, ast.Attribute) and node.attr in _OWNERS


def _compared(left: object, operator: ast.cmpop, right: object) -> object:
    if _UNKNOWN in (left, right):
        return _UNKNOWN
    match operator:
        case ast.Eq():
            return left == right
        case ast.NotEq():
            return left != right
        case ast.In() if isinstance(right, tuple):
            return left in right
        case ast.NotIn() if isinstance(right, tuple):
            return left not in right
    return _UNKNOWN


def _names(function: _Function) -> dict[str, ast.expr]:
    """Local names that are given a value once, and that value."""
    stored: dict[str, int] = {}
    values: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            stored[node.id] = stored.get(node.id, 0) + 1
    for statement in function.body:
        match statement:
            case ast.Assign([ast.Name(name)], value) if stored[name] == 1:
                values[name] = value
    return values
