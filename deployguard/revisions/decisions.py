"""What decides whether a statement of a revision runs: literals and the dialect, the schema, or anything else."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from deployguard.revisions.blocks import (
    Condition,
    Conditions,
    autoloads,
    given,
    inline,
    own_nodes,
    walk,
)
from deployguard.revisions.places import Function, called, root, text_of
from deployguard.revisions.recorder.answers import asks_the_system

_INSPECTS = {"inspect", "from_engine", "reflect", "has_table", "has_column", "has_index"}
_KNOWN = {"get_bind", "get_context", "is_offline_mode", "get_x_argument", "f", "get_main_option"}
_QUIET = {"print", "info", "debug", "warning", "warn", "log", "getLogger", "error", "exception"}
_PURE = set(
    """set list tuple dict frozenset len any all sorted str int bool isinstance getattr hasattr zip enumerate
    range next iter filter map min max sum abs reversed repr type lower upper strip startswith endswith
    split join format replace get items keys values union intersection difference index count issubset
    first scalar fetchone fetchall scalar_one scalar_one_or_none scalars all mappings one one_or_none
    rowcount copy update insert delete where values bindparams label in_ is_ isnot is_not asc desc""".split()  # noqa: SIM905 - a list of words
)
_BUILDS = {"update", "insert", "delete"}  # or do it, when an ORM's query is asked
_RUNS = {"execute", "scalar", "scalars", "exec_driver_sql"}
_ASKS = re.compile(r"^_*(get|has|is|check)_(?!.*create)|(^|_)(exists?|present|missing)$")
_HELPS = re.compile(r"_*(create|add|drop|rename|alter|ensure|safe)_(?!all$)")
_SERVER = re.compile(r"\s*(show\s|select\s+(version|current_\w+)\b)", re.IGNORECASE)


class Level(IntEnum):
    """Who decides: nobody but the file and the dialect, the schema too, or something that is not known here."""

    FIXED = 0
    SCHEMA = 1
    OPEN = 2


# What a recording has in the place of the target's own; its version is known with its schema.
_BY_TARGET = {
    "environ": Level.OPEN,
    "url": Level.OPEN,
    "server_version_info": Level.SCHEMA,
    "default_schema_name": Level.SCHEMA,
}


@dataclass(frozen=True, slots=True)
class Guarded:
    """A statement that does something, and under which conditions. `level` None: under none."""

    line: int
    end: int
    level: Level | None
    looped: bool = False  # once for each thing that something unknown has
    acts: bool = True  # it may change the database
    chosen: bool = False  # a condition decides it, not only a loop
    over: Level | None = None  # of a loop: who decides what it goes through
    asks: bool = False  # it looks at the schema, and that is all that its looking does
    helps: bool = False  # a helper that says in its name what it does unless that is done
    fed: bool = False  # what it does is made of something unknown


class Decisions:
    """The conditions in the functions of one file that are reached from `start`."""

    def __init__(
        self, functions: Mapping[str, Function], imported: Mapping[str, str], start: str
    ) -> None:
        self.functions = functions
        self.imported = imported
        self.start = start
        # A level is the greatest of all that is reached, so within one question each name is followed once; the
        # answer to the outermost is kept.
        self._visited: set[tuple[str, str]] = set()
        self._known: dict[tuple[str, str], Level] = {}
        self._tests: dict[Condition, Level] = {}
        self._placed = {name: tuple(walk(node.body, (), name)) for name, node in functions.items()}
        self._own = {
            statement: own_nodes(statement)
            for placed in self._placed.values()
            for statement, _ in placed
        }
        self._given: dict[tuple[str, str], list[tuple[ast.expr, Conditions]]] = {}
        self._calls: dict[str, list[tuple[ast.Call, str, Conditions]]] = {}
        for scope, placed in self._placed.items():
            for statement, conditions in placed:
                self._collect(statement, conditions, scope)

    def _collect(self, statement: ast.stmt, conditions: Conditions, scope: str) -> None:
        for node in (statement, *self._own[statement]):
            if isinstance(node, ast.Call) and called(node) in self.functions:
                self._calls.setdefault(called(node), []).append((node, scope, conditions))
            for name, value in given(node):
                self._given.setdefault((scope, name), []).append((value, conditions))

    def statements(self, names: list[str]) -> tuple[Guarded, ...]:
        """Every statement of these functions."""
        return tuple(
            self._guarded(statement, (*conditions, *above), name)
            for name in names
            for above in [self._above(name)]
            for statement, conditions in self._placed[name]
        )

    def _guarded(self, statement: ast.stmt, conditions: Conditions, scope: str) -> Guarded:
        levels = [self._of(condition) for condition in conditions]
        nodes = self._own[statement]
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        loops = [one.loop for one in conditions]
        stops = isinstance(statement, ast.Raise)
        acting = [node for node in calls if not stops and self._acts(node, scope)]
        within = [part for node in nodes for part in inline(node, acting)]
        levels += [self.level(part, scope) for part, _ in within]
        last = max((getattr(node, "end_lineno", 0) or 0 for node in nodes), default=0)
        return Guarded(
            statement.lineno,
            max(last, statement.lineno),
            max(levels, default=None),
            looped=any(
                loop and level is not Level.FIXED
                for loop, level in zip((*loops, *(loop for _, loop in within)), levels, strict=True)
            ),
            chosen=not all(loops) or not all(loop for _, loop in within),
            over=self.level(statement.iter, scope)
            if isinstance(statement, ast.For | ast.AsyncFor)
            else None,
            acts=_is_bare_call(statement) or _sets(statement) or bool(acting),
            helps=any(_HELPS.match(called(node)) is not None for node in acting),
            fed=any(self._fed(node, scope) for node in acting),
            asks=any(self._looks(node, scope) for node in calls),
        )

    def _above(self, name: str) -> Conditions:
        """The conditions under which a function is called, and those under which its callers are."""
        found: dict[Condition, None] = {}
        seen, todo = {self.start}, [name]
        while todo:
            function = todo.pop()
            if function in seen:
                continue
            seen.add(function)
            for _, scope, conditions in self._calls.get(function, ()):
                found.update(dict.fromkeys(conditions))
                todo.append(scope)
        return tuple(found)

    def _of(self, condition: Condition) -> Level:
        if condition.test is None:
            return Level.OPEN
        if condition not in self._tests:
            level = self.level(condition.test, condition.scope)
            if self._visited:
                return level  # a part of another question, and perhaps not all of the answer
            self._tests[condition] = level
        return self._tests[condition]

    def level(self, node: ast.AST, scope: str) -> Level:
        """Who decides the value of an expression in a function."""
        match node:
            case ast.Constant():
                return Level.FIXED
            case ast.Name(name):
                return self._name(name, scope)
            case ast.Attribute(value, attribute):
                return max(_BY_TARGET.get(attribute, Level.FIXED), self.level(value, scope))
            case ast.Call():
                return self._call(node, scope)
            case ast.Lambda() | ast.Await() | ast.Yield() | ast.NamedExpr():
                return Level.OPEN
        inner = [self.level(child, scope) for child in ast.iter_child_nodes(node)]
        return max(inner, default=Level.FIXED)

    def _name(self, name: str, scope: str) -> Level:
        return self._followed((scope, name), lambda: self._levels(name, scope))

    def _followed(self, key: tuple[str, str], levels: Callable[[], Iterator[Level]]) -> Level:
        if key in self._known:
            return self._known[key]
        if key in self._visited:
            return Level.FIXED  # its part of the answer is given elsewhere
        outermost = not self._visited
        self._visited.add(key)
        found = max(levels(), default=Level.FIXED)
        if outermost:
            self._visited.clear()
            self._known[key] = found
        return found

    def _levels(self, name: str, scope: str) -> Iterator[Level]:
        """Of what a name is given inside its function, and of what callers give for it."""
        for value, conditions in self._given.get((scope, name), ()):
            yield self.level(value, scope)
            yield from map(self._of, conditions)
        yield from self._passed(name, scope)

    def _passed(self, name: str, scope: str) -> Iterator[Level]:
        """What callers give for a parameter."""
        function = self.functions.get(scope)
        names = [argument.arg for argument in function.args.args] if function else []
        for call, other, _ in self._calls.get(scope, ()) if name in names else ():
            at = names.index(name)
            keyed = [one.value for one in call.keywords if one.arg in (name, None)]
            for value in [call.args[at]] if at < len(call.args) else keyed:
                yield self.level(value, other)

    def _call(self, node: ast.Call, scope: str) -> Level:
        name, owner = called(node), root(node.func)
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        if name in _RUNS and node.args:
            return Level.SCHEMA if self._asks(node, scope) else Level.OPEN
        if _inspects(name):
            own = Level.SCHEMA
        elif isinstance(node.func, ast.Name) and name in self.functions:
            own = self._returned(name)
        elif name in _KNOWN | _PURE | _QUIET or self._of_sqlalchemy(owner, name):
            own = Level.SCHEMA if autoloads(node) else Level.FIXED
        else:
            return Level.OPEN
        if isinstance(node.func, ast.Attribute):
            arguments.append(node.func.value)
        return max([own, *(self.level(argument, scope) for argument in arguments)])

    def _of_sqlalchemy(self, owner: str, name: str) -> bool:
        module = self.imported.get(owner, "")
        return module.startswith("sqlalchemy") and name not in ("Session", "create_engine", "func")

    def _asks(self, node: ast.Call, scope: str) -> bool:
        texts = [text_of(part) for argument in node.args for part in ast.walk(argument)]
        for argument in node.args:
            for part in ast.walk(argument):
                if isinstance(part, ast.Name):
                    texts += [
                        text_of(inner)
                        for value, _ in self._given.get((scope, part.id), ())
                        for inner in ast.walk(value)
                    ]
        found = [text for text in texts if text]
        return bool(found) and (asks_the_system(found[0]) or bool(_SERVER.match(found[0])))

    def _looks(self, node: ast.Call, scope: str) -> bool:
        """Inspector and catalogue; and what creates something unless it is there."""
        name = called(node)
        if name in _RUNS and node.args:
            return self._asks(node, scope)
        return _inspects(name) or name in ("create", "create_all") or autoloads(node)

    def _returned(self, name: str) -> Level:
        return self._followed((name, "return"), lambda: self._returns(name))

    def _returns(self, name: str) -> Iterator[Level]:
        for statement, conditions in self._placed[name]:
            if isinstance(statement, ast.Return) and statement.value is not None:
                yield self.level(statement.value, name)
                yield from map(self._of, conditions)

    def _fed(self, node: ast.Call, scope: str) -> bool:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(self.level(one, scope) is Level.OPEN for one in arguments)

    def _acts(self, node: ast.Call, scope: str) -> bool:
        name = called(node)
        if name in _QUIET | _KNOWN | (_PURE - _BUILDS):
            return False
        match node.func:
            case ast.Attribute(ast.Name(module)) if self.imported.get(module, "") == "alembic":
                return True
        if name in _RUNS and node.args:
            return not self._asks(node, scope)
        if isinstance(node.func, ast.Name) and name in self.functions:
            return False  # what it does is looked at by itself
        return self.level(node, scope) is Level.OPEN


def _inspects(name: str) -> bool:
    """By its name: an inspector's question, or a function of the application's that asks one."""
    return name not in _KNOWN and (name in _INSPECTS or _ASKS.search(name) is not None)


def _sets(statement: ast.stmt) -> bool:
    """An attribute is given a value: a session may write that at its end."""
    targets = statement.targets if isinstance(statement, ast.Assign) else ()
    return any(isinstance(target, ast.Attribute) for target in targets)


def _is_bare_call(statement: ast.stmt) -> bool:
    """A function that is called for what it does, whatever its name says."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and isinstance(statement.value.func, ast.Name)
        and _ASKS.search(called(statement.value)) is not None
    )
