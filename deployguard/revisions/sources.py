"""Where in one file the names of its functions get their values, and by whom the functions are called."""

import ast
from collections.abc import Iterator, Mapping, Sequence

from deployguard.revisions.blocks import Condition, Conditions, Placed, given, own_nodes, walk
from deployguard.revisions.levels import operates
from deployguard.revisions.places import Function, called, root

MODULE = ""  # the scope of what is outside of all functions


class Sources:
    """The statements of the functions that are reached from `start`, by scope, and of the module around them.

    `given` has the values of a name in a scope, `calls` where a function is called, each with the conditions
    there; `handed` are the functions that are called in a way that is not seen.
    """

    def __init__(
        self,
        functions: Mapping[str, Function],
        imported: Mapping[str, str],
        start: str,
        module: Sequence[ast.stmt],
    ) -> None:
        self.functions = functions
        self.imported = imported
        self.start = start
        self.placed: dict[str, tuple[Placed, ...]] = {
            name: tuple(walk(node.body, (), name)) for name, node in functions.items()
        }
        self.given: dict[tuple[str, str], list[tuple[ast.expr, Conditions]]] = {}
        self.calls: dict[str, list[tuple[ast.Call, str, Conditions]]] = {}
        # What is called otherwise than by its name in this file, or by way of a decorator.
        self.handed = {start, *(name for name, one in functions.items() if one.decorator_list)}
        top = [one for one in module if not isinstance(one, Function)]
        self.placed[MODULE] = tuple(walk(top, (), MODULE))
        self.own: dict[ast.stmt, list[ast.AST]] = {}
        for scope, placed in self.placed.items():
            shared = {
                name for one, _ in placed if isinstance(one, ast.Global) for name in one.names
            }
            for statement, conditions in placed:
                self.own[statement] = own_nodes(statement)
                for name, value in self._collect(statement, conditions, scope):
                    at = MODULE if name in shared else scope
                    self.given.setdefault((at, name), []).append((value, conditions))
        self.handed |= set(functions) - set(self.calls)

    def _collect(
        self, statement: ast.stmt, conditions: Conditions, scope: str
    ) -> Iterator[tuple[str, ast.expr]]:
        """Note the calls of a statement; the names that it gives a value."""
        nodes = (statement, *self.own[statement])
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        for call in calls:
            if called(call) in self.functions:
                self.calls.setdefault(called(call), []).append((call, scope, conditions))
        names = {id(call.func) for call in calls}
        self.handed |= {
            node.id
            for node in nodes
            if isinstance(node, ast.Name) and node.id in self.functions and id(node) not in names
        }
        for node in nodes:
            yield from given(node)
        if isinstance(statement, ast.ClassDef):
            for node in ast.walk(statement):
                yield from ((statement.name, value) for _, value in given(node))
                if isinstance(node, ast.Return) and node.value is not None:
                    yield statement.name, node.value

    def above(self, name: str) -> Conditions:
        """The conditions under which a function is called, and those under which its callers are."""
        found: dict[Condition, None] = {}
        seen, todo = {self.start}, [name]
        while todo:
            function = todo.pop()
            if function in seen:
                continue
            seen.add(function)
            for _, scope, conditions in self.calls.get(function, ()):
                found.update(dict.fromkeys(conditions))
                todo.append(scope)
        return tuple(found)

    def holds(self, node: ast.AST, scope: str) -> bool:
        """Whether Alembic is mentioned, here or in what a name was given."""
        names = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
        values = [
            value
            for name in names
            for at in (scope, MODULE)
            for value, _ in self.given.get((at, name), ())
        ]
        names |= {
            one.id for value in values for one in ast.walk(value) if isinstance(one, ast.Name)
        }
        return any(self.imported.get(name) == "alembic" for name in names)

    def is_handed(self, name: str) -> bool:
        """Whether a function is called in a way that is not seen here, or those that call it are."""
        seen, todo = {self.start}, [name]
        while todo:
            function = todo.pop()
            if function in self.handed and (
                function != self.start or self.functions[function].decorator_list
            ):
                return True
            callers = {scope for _, scope, _ in self.calls.get(function, ())} - seen
            seen |= callers
            todo += callers
        return False


def is_later(node: ast.AST, acting: list[ast.Call], imported: Mapping[str, str]) -> bool:
    """Whether it makes something that acts when it is called, which may be never."""
    if isinstance(node, ast.Lambda):
        inner = {id(one) for one in ast.walk(node)}
        return any(id(one) in inner for one in acting)
    return isinstance(node, ast.Call) and is_partial(node, imported)


def is_partial(node: ast.Call, imported: Mapping[str, str]) -> bool:
    """Whether one of Alembic's operations is handed to something: `partial(op.drop_table, "t")`."""
    return any(
        isinstance(one, ast.Attribute)
        and imported.get(root(one)) == "alembic"
        and operates(one.attr)
        for one in (*node.args, *(keyword.value for keyword in node.keywords))
    )
