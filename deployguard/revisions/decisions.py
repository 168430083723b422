"""What decides whether a statement of a revision runs: literals and the dialect, the schema, or anything else."""

import ast
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from deployguard.revisions.blocks import (
    Condition,
    Conditions,
    autoloads,
    inline,
    parameters,
)
from deployguard.revisions.levels import (
    ASKS,
    BUILDS,
    BY_TARGET,
    HELPS,
    KNOWN,
    PURE,
    QUIET,
    RUNS,
    SERVER,
    Level,
    inspects,
    of_schema,
    operates,
)
from deployguard.revisions.places import Function, called, inserts_nothing, root, text_of
from deployguard.revisions.recorder.answers import asks_the_system
from deployguard.revisions.sources import MODULE, Sources, is_later, is_partial


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
    operates: bool = False  # it changes the database, as far as its words tell
    helps: bool = False  # a helper that says in its name what it does unless that is done
    fed: bool = False  # what it does is made of something unknown


class Decisions:
    """The conditions in the functions of one file that are reached from `start`."""

    def __init__(
        self,
        functions: Mapping[str, Function],
        imported: Mapping[str, str],
        start: str,
        module: Sequence[ast.stmt] = (),
        outside: frozenset[str] = frozenset(),
    ) -> None:
        self.functions = functions
        self.imported = imported
        self.start = start
        self.outside = outside
        self.sources = Sources(functions, imported, start, module)
        # A level is the greatest of all that is reached, so within one question each name is followed once; the
        # answer to the outermost is kept.
        self._visited: set[tuple[str, str]] = set()
        self._known: dict[tuple[str, str], Level] = {}
        self._tests: dict[Condition, Level] = {}

    def statements(self, names: list[str]) -> tuple[Guarded, ...]:
        """Every statement of these functions."""
        return tuple(
            self._guarded(statement, (*conditions, *above), name)
            for name in names
            for above in [self.sources.above(name)]
            for statement, conditions in self.sources.placed[name]
        )

    def _guarded(self, statement: ast.stmt, conditions: Conditions, scope: str) -> Guarded:
        levels = [self._of(condition) for condition in conditions]
        nodes = self.sources.own[statement]
        calls = [node for node in nodes if isinstance(node, ast.Call)]
        loops = [one.loop for one in conditions]
        stops = isinstance(statement, ast.Raise)
        acting = [node for node in calls if not stops and self._acts(node, scope)]
        within = [part for node in nodes for part in inline(node, acting)]
        levels += [self.level(part, scope) for part, _ in within]
        levels += [
            self.level(node.func, scope)
            for node in acting
            if not isinstance(node.func, ast.Name | ast.Attribute)
        ]
        later = any(is_later(node, acting, self.imported) for node in nodes)
        # Called in a way that is not seen, or perhaps never.
        levels += [Level.GIVEN] if later or (acting and self.sources.is_handed(scope)) else []
        last = max((getattr(node, "end_lineno", 0) or 0 for node in nodes), default=0)
        return Guarded(
            statement.lineno,
            max(last, statement.lineno),
            max(levels, default=None),
            looped=any(
                loop and level in (Level.SCHEMA, Level.OPEN)
                for loop, level in zip(
                    (*loops, *(loop for _, loop in within)), levels, strict=False
                )
            ),
            chosen=not all(loops) or not all(loop for _, loop in within),
            over=self.level(statement.iter, scope)
            if isinstance(statement, ast.For | ast.AsyncFor)
            else None,
            acts=_is_bare_call(statement) or _sets(statement) or bool(acting),
            operates=any(self._operates(node, scope) for node in acting),
            helps=any(HELPS.match(called(node)) is not None for node in acting),
            fed=any(self._fed(node, scope) for node in acting),
            asks=any(self._looks(node, scope) for node in calls),
        )

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
            case ast.Attribute(_, "dialect"):
                return Level.FIXED  # a revision is read for one, whoever says so
            case ast.Attribute(value, attribute):
                return max(BY_TARGET.get(attribute, Level.FIXED), self.level(value, scope))
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
        function = self.functions.get(scope)
        own = parameters(function) if function is not None else {}
        found = self.sources.given.get((scope, name), ())
        # What the module gives cannot rest on rows, only on what is around it.
        most = Level.GIVEN if scope == MODULE else Level.OPEN
        for value, conditions in found:
            yield min(most, self.level(value, scope))
            yield from (min(most, self._of(one)) for one in conditions)
        if function is not None and name in own:
            yield from self._passed(name, scope, own)
        elif not found and scope != MODULE:
            yield self._name(name, MODULE)
        elif not found and name in self.outside:
            yield Level.GIVEN

    def _passed(
        self, name: str, scope: str, names: Mapping[str, ast.expr | None]
    ) -> Iterator[Level]:
        """What callers give for a parameter; those of the migration itself are env.py's."""
        if scope in self.sources.handed:
            yield Level.GIVEN
        default = names[name]
        if default is not None:
            yield self.level(default, MODULE)
        positional = [
            one.arg
            for one in (*self.functions[scope].args.posonlyargs, *self.functions[scope].args.args)
        ]
        at = positional.index(name) if name in positional else len(names)
        rest = name not in positional and names[name] is None
        for call, other, _ in self.sources.calls.get(scope, ()):
            keyed = [one.value for one in call.keywords if one.arg in (name, None)]
            unclear = rest or any(isinstance(one, ast.Starred) for one in call.args)
            every = [*call.args, *(one.value for one in call.keywords)]
            for value in every if unclear else [call.args[at]] if at < len(call.args) else keyed:
                yield self.level(value, other)

    def _call(self, node: ast.Call, scope: str) -> Level:
        name, owner = called(node), root(node.func)
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        if name in RUNS and node.args:
            return Level.SCHEMA if self._asks(node, scope) else Level.OPEN
        if name in ("inspect", "from_engine"):
            return Level.SCHEMA  # whatever hands over the connection
        if inspects(name):
            own = Level.SCHEMA if name not in self.outside or of_schema(name) else Level.GIVEN
        elif isinstance(node.func, ast.Name) and name in self.functions:
            own = self._returned(name)
        elif name in KNOWN | PURE | QUIET or self._of_sqlalchemy(owner, name):
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
                        for value, _ in self.sources.given.get((scope, part.id), ())
                        for inner in ast.walk(value)
                    ]
        found = [text for text in texts if text]
        return bool(found) and (asks_the_system(found[0]) or bool(SERVER.match(found[0])))

    def _looks(self, node: ast.Call, scope: str) -> bool:
        """Inspector and catalogue; and what creates something unless it is there."""
        name = called(node)
        if name in RUNS and node.args:
            return self._asks(node, scope)
        return inspects(name) or name in ("create", "create_all") or autoloads(node)

    def _returned(self, name: str) -> Level:
        return self._followed((name, "return"), lambda: self._returns(name))

    def _returns(self, name: str) -> Iterator[Level]:
        for statement, conditions in self.sources.placed[name]:
            if isinstance(statement, ast.Return) and statement.value is not None:
                yield self.level(statement.value, name)
                yield from map(self._of, conditions)

    def _fed(self, node: ast.Call, scope: str) -> bool:
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(self.level(one, scope) is Level.OPEN for one in arguments)

    def _operates(self, node: ast.Call, scope: str) -> bool:
        """Whether it is one of Alembic's operations that may hurt, or is handed what it takes for one."""
        name = called(node)
        made = [value for value, _ in self.sources.given.get((scope, name), ())]
        if any(isinstance(one, ast.Lambda) for one in made) or is_partial(node, self.imported):
            return False  # what a lambda does runs where it stands, what a partial does where that is called
        return operates(name) or (name != "create_table" and self.sources.holds(node, scope))

    def _acts(self, node: ast.Call, scope: str) -> bool:
        name = called(node)
        if name in QUIET | KNOWN | (PURE - BUILDS) or inserts_nothing(node):
            return False
        match node.func:
            case ast.Attribute(ast.Name(module)) if self.imported.get(module, "") == "alembic":
                return True
        if name in RUNS and node.args:
            return not self._asks(node, scope)
        if isinstance(node.func, ast.Name) and name in self.functions:
            return False  # what it does is looked at by itself
        return self.level(node, scope) is Level.OPEN


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
        and ASKS.search(called(statement.value)) is not None
    )
