"""What the text of a revision shows, function by function, whether or not it could be run."""

import ast
from dataclasses import dataclass, field

from deployguard.model import Body
from deployguard.revisions.blocks import given
from deployguard.revisions.clocks import steering
from deployguard.revisions.decisions import Decisions, Guarded
from deployguard.revisions.dialects import prune
from deployguard.revisions.hints import Hint, hints
from deployguard.revisions.levels import outside
from deployguard.revisions.places import Finder, Site, called, root

_QUIET = {"print", "info", "debug", "warning", "warn", "log"}


@dataclass(frozen=True, slots=True)
class FunctionFeatures:
    """One direction of a revision as its source shows it.

    `writes` are places that change rows (`what` is the verb; "session" where an ORM session decides it later).
    `helper` names the one function that the body only calls, when it is not defined in the file. `statements` are
    all of them, with what decides whether they run; `hints` are what the source says that it does.
    """

    body: Body = Body.MISSING
    line: int = 0
    writes: tuple[Site, ...] = ()
    inspects: tuple[Site, ...] = ()
    loops: tuple[Site, ...] = ()  # over the result of a query
    external: tuple[Site, ...] = ()
    helper: str = ""
    helper_line: int = 0
    statements: tuple[Guarded, ...] = ()
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class Features:
    """Both directions, and what the file imports that is neither standard nor SQLAlchemy's or Alembic's."""

    upgrade: FunctionFeatures = FunctionFeatures()
    downgrade: FunctionFeatures = FunctionFeatures()
    application: tuple[str, ...] = ()
    error: str = ""  # a syntax error: nothing else is known then
    error_line: int = 0


@dataclass(slots=True)
class _Module:
    functions: dict[str, ast.FunctionDef | ast.AsyncFunctionDef] = field(default_factory=dict)
    imported: dict[str, str] = field(default_factory=dict)  # local name → module
    taken: dict[str, tuple[str, str]] = field(default_factory=dict)  # … → (module, name there)
    body: list[ast.stmt] = field(default_factory=list)
    constants: dict[str, ast.expr] = field(default_factory=dict)
    classes: list[ast.stmt] = field(default_factory=list)


def read_features(source: str, standard: frozenset[str], dialect: str = "") -> Features:
    """The features of one file on one dialect ("": on any).

    `standard` are the names of modules that are no part of the application.
    """
    try:
        tree = ast.parse(source.removeprefix("\ufeff"))
        tree = prune(tree, dialect) if dialect else tree
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Features(
            error=getattr(error, "msg", "") or str(error) or "it is too deeply nested to be read",
            error_line=getattr(error, "lineno", 0) or 0,
        )
    module = _module(tree)
    application = {
        name
        for name in module.imported.values()
        if name.startswith(".") or name.split(".")[0] not in standard
    }
    return Features(
        _function(module, "upgrade", application),
        _function(module, "downgrade", application),
        tuple(sorted(application)),
    )


def _module(tree: ast.Module) -> _Module:
    module = _Module(body=tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module.imported[alias.asname or alias.name.split(".")[0]] = alias.name
                module.taken[alias.asname or alias.name.split(".")[0]] = (alias.name, "")
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                path = "." * node.level + (node.module or "")
                module.imported[alias.asname or alias.name] = path
                module.taken[alias.asname or alias.name] = (path, alias.name)
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            module.functions[statement.name] = statement
        if isinstance(statement, ast.ClassDef):
            module.classes.append(statement)
        for name, value in given(statement):
            module.constants[name] = value
    return module


def _function(module: _Module, name: str, application: set[str]) -> FunctionFeatures:
    node = module.functions.get(name) or _given(module, name)
    if node is None:
        if name in module.imported:
            return FunctionFeatures(Body.PRESENT, 0, helper=f"{module.imported[name]}.{name}")
        return FunctionFeatures()
    body = _body(node)
    found = Finder(module.imported)
    reached = _reached(module, node)
    for function in reached:
        found.look(function)
    clocks = {line for one in reached for line in steering(one, module.imported)}
    decisions = Decisions(
        {one.name: one for one in reached},
        module.imported,
        name,
        module.body,
        outside(module.taken, application),
    )
    helper, helper_line = _helper(module, node, application) if body is Body.PRESENT else ("", 0)
    return FunctionFeatures(
        body,
        node.lineno,
        writes=found.sites("writes"),
        inspects=found.sites("inspects"),
        loops=found.sites("loops"),
        external=(
            *found.sites("external"),
            *(Site(line, line, "the clock") for line in sorted(clocks)),
        ),
        helper=helper,
        helper_line=helper_line,
        statements=decisions.statements([one.name for one in reached]),
        hints=hints(reached, module.constants),
    )


def _given(module: _Module, name: str) -> ast.FunctionDef | None:
    """`upgrade = other`, `upgrade = lambda: …`, `upgrade = Migration().up`, as the function that it stands for."""
    value = module.constants.get(name)
    if value is None or isinstance(value, ast.Constant):
        return None
    does = value.body if isinstance(value, ast.Lambda) else ast.Call(value, [], [])
    body: list[ast.stmt] = [ast.Expr(does)]
    if not isinstance(value, ast.Lambda | ast.Name):
        body += module.classes  # a method of one of them, whichever
    empty = ast.arguments([], [], None, [], [], None, [])
    made = ast.FunctionDef(name, empty, body, [], None, None)
    return ast.fix_missing_locations(ast.copy_location(made, value))


def _body(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Body:
    statements = [statement for statement in node.body if not _does_nothing(statement)]
    if not statements:
        return Body.EMPTY
    if isinstance(statements[0], ast.Raise):
        return Body.RAISES
    return Body.PRESENT


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Pass | ast.Import | ast.ImportFrom):
        return True
    if isinstance(statement, ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Expr):
        call = statement.value
        return isinstance(call, ast.Constant) or (
            isinstance(call, ast.Call) and called(call) in _QUIET
        )
    return False


def _helper(
    module: _Module, node: ast.FunctionDef | ast.AsyncFunctionDef, application: set[str]
) -> tuple[str, int]:
    """The function that the body does nothing but call, and where; ("", 0) when it does more."""
    statements = [statement for statement in node.body if not _does_nothing(statement)]
    calls = [
        statement.value
        for statement in statements
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    ]
    if not calls or len(calls) != len(statements):
        return "", 0
    if all(module.imported.get(root(call.func), "") in application for call in calls):
        return ast.unparse(calls[0].func), calls[0].lineno
    return "", 0


def _reached(
    module: _Module, start: ast.FunctionDef | ast.AsyncFunctionDef
) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The function and those of the same file that it mentions, directly or not."""
    found = [start]
    away = "upgrade" if start.name == "downgrade" else "downgrade"
    for function in found:
        for node in ast.walk(function):
            if not isinstance(node, ast.Name):
                continue
            # `globals()["upgrade_" + name]()` may be any of them.
            names = module.functions if node.id == "globals" else {node.id}
            found += [
                other
                for other in map(module.functions.get, names)
                if other is not None
                and other not in found
                and other.name not in {"upgrade", "downgrade"}
                and (other.name == node.id or not other.name.startswith(away))
            ]
    return found
