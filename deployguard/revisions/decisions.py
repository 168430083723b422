"""What decides whether a statement of a revision runs: literals and the dialect, the schema, or anything else."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from deployguard.revisions.blocks import (
    Condition,
    Conditions,
    autoloads,
    given,
    is_batch,
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
    rowcount copy""".split()  # noqa: SIM905 - a list of words
)
_RUNS = {"execute", "scalar", "scalars", "exec_driver_sql"}
_SERVER = re.compile(r"\s*(show\s|select\s+(version|current_\w+)\b)", re.IGNORECASE)


class Level(IntEnum):
    """Who decides: nobody but the file and the dialect, the schema too, or something that is not known here."""

    FIXED = 0
    SCHEMA = 1
    OPEN = 2


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


class Decisions:
    """The conditions in the functions of one file that are reached from `start`."""

    def __init__(
        self, functions: Mapping[str, Function], imported: Mapping[str, str], start: str
    ) -> None:
        self.functions = functions
        self.imported = imported
        self.start = start
        self._busy: set[tuple[str, str]] = set()
        self._placed = {name: tuple(walk(node.body, (), name)) for name, node in functions.items()}
        # What stands directly in a batch runs at the end of the batch.
        self._carried = {
            inner
            for node in functions.values()
            for batch in ast.walk(node)
            if isinstance(batch, ast.With) and is_batch(batch)
            for inner in batch.body
        }
        self._calls: dict[str, list[tuple[ast.Call, str, Conditions]]] = {}
        for scope, placed in self._placed.items():
            for statement, conditions in placed:
                for node in own_nodes(statement):
                    if isinstance(node, ast.Call) and called(node) in functions:
                        self._calls.setdefault(called(node), []).append((node, scope, conditions))

    def statements(self, names: list[str]) -> tuple[Guarded, ...]:
        """Every statement of these functions."""
        return tuple(
            self._guarded(statement, self._above(name, conditions), name)
            for name in names
            for statement, conditions in self._placed[name]
        )

    def _guarded(self, statement: ast.stmt, conditions: Conditions, scope: str) -> Guarded:
        levels = [self._of(condition) for condition in conditions]
        nodes = own_nodes(statement)
        last = max((getattr(node, "end_lineno", 0) or 0 for node in nodes), default=0)
        return Guarded(
            statement.lineno,
            max(last, statement.lineno),
            max(levels, default=None),
            looped=any(
                one.loop and level is not Level.FIXED
                for one, level in zip(conditions, levels, strict=True)
            ),
            chosen=any(not one.loop for one in conditions),
            over=self.level(statement.iter, scope)
            if isinstance(statement, ast.For | ast.AsyncFor)
            else None,
            acts=statement not in self._carried
            and any(isinstance(node, ast.Call) and self._acts(node, scope) for node in nodes),
            asks=any(isinstance(node, ast.Call) and self._looks(node, scope) for node in nodes),
        )

    def _above(self, name: str, conditions: Conditions) -> Conditions:
        """With those under which the function itself is called."""
        if name == self.start or (name, "()") in self._busy:
            return conditions
        self._busy.add((name, "()"))
        found = conditions
        for _, scope, outer in self._calls.get(name, ()):
            found += self._above(scope, outer)
        self._busy.discard((name, "()"))
        return found

    def _of(self, condition: Condition) -> Level:
        return Level.OPEN if condition.test is None else self.level(condition.test, condition.scope)

    def level(self, node: ast.AST, scope: str) -> Level:
        """Who decides the value of an expression in a function."""
        match node:
            case ast.Constant():
                return Level.FIXED
            case ast.Name(name):
                return self._name(name, scope)
            case ast.Attribute(value, attribute):
                return Level.OPEN if attribute == "environ" else self.level(value, scope)
            case ast.Call():
                return self._call(node, scope)
            case ast.Lambda() | ast.Await() | ast.Yield() | ast.NamedExpr():
                return Level.OPEN
        inner = [self.level(child, scope) for child in ast.iter_child_nodes(node)]
        return max(inner, default=Level.FIXED)

    def _name(self, name: str, scope: str) -> Level:
        if (scope, name) in self._busy:
            return Level.FIXED  # it has no part in itself
        self._busy.add((scope, name))
        levels = [
            max([self.level(value, scope), *map(self._of, conditions)])
            for value, conditions in self._values(name, scope)
        ]
        levels += self._passed(name, scope)
        self._busy.discard((scope, name))
        return max(levels, default=Level.FIXED)

    def _values(self, name: str, scope: str) -> Iterator[tuple[ast.expr, Conditions]]:
        """What a name is given inside its function."""
        for statement, conditions in self._placed.get(scope, ()):
            for node in (statement, *own_nodes(statement)):
                value = given(node, name)
                if value is not None:
                    yield value, conditions

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
                        for value, _ in self._values(part.id, scope)
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
        if (name, "return") in self._busy:
            return Level.FIXED
        self._busy.add((name, "return"))
        levels = [
            max([self.level(statement.value, name), *map(self._of, conditions)])
            for statement, conditions in self._placed[name]
            if isinstance(statement, ast.Return) and statement.value is not None
        ]
        self._busy.discard((name, "return"))
        return max(levels, default=Level.FIXED)

    def _acts(self, node: ast.Call, scope: str) -> bool:
        name = called(node)
        if name in _QUIET | _KNOWN:
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
    return name in _INSPECTS or (name.startswith(("get_", "has_")) and name not in _KNOWN)
