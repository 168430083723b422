"""What the text of a revision shows, function by function, whether or not it could be run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from deployguard.model import Body

_WRITING_TEXT = ("insert ", "update ", "delete ", "merge ", "copy ", "truncate ", "replace into ")
_CONSTRUCTS = {"insert": "insert", "update": "update", "delete": "delete", "bulk_insert": "insert"}
_SESSION = {
    "add",
    "add_all",
    "merge",
    "bulk_save_objects",
    "bulk_insert_mappings",
    "bulk_update_mappings",
}
_INSPECTOR = {
    "inspect",
    "has_table",
    "get_columns",
    "get_table_names",
    "get_indexes",
    "reflect",
    "from_engine",
}
_RESULTS = {
    "fetchall",
    "fetchone",
    "fetchmany",
    "scalar",
    "scalars",
    "scalar_one",
    "scalar_one_or_none",
    "mappings",
}
_CLOCK = {"now", "utcnow", "today", "time"}
_OUTSIDE_MODULES = {
    "requests",
    "httpx",
    "urllib",
    "urllib3",
    "socket",
    "subprocess",
    "boto3",
    "aiohttp",
    "smtplib",
    "redis",
    "getpass",
}
_OUTSIDE_CALLS = {
    "open",
    "input",
    "getenv",
    "read_text",
    "read_bytes",
    "system",
    "popen",
    "get_x_argument",
    "read_csv",
}
_QUIET = {"print", "info", "debug", "warning", "warn", "log"}


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the source, first to last line, and what is there."""

    line: int
    end: int
    what: str


@dataclass(frozen=True, slots=True)
class FunctionFeatures:
    """One direction of a revision as its source shows it.

    `writes` are places that change rows (`what` is the verb; "session" where an ORM session decides it later).
    `helper` names the one function that the body only calls, when it is not defined in the file.
    """

    body: Body = Body.MISSING
    line: int = 0
    writes: tuple[Site, ...] = ()
    reads: tuple[Site, ...] = ()
    inspects: tuple[Site, ...] = ()
    loops: tuple[Site, ...] = ()  # over the result of a query
    external: tuple[Site, ...] = ()
    helper: str = ""


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


def read_features(source: str, standard: frozenset[str]) -> Features:
    """The features of one file. `standard` are the names of modules that are no part of the application."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        return Features(error=str(error), error_line=getattr(error, "lineno", 0) or 0)
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
    module = _Module()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                module.imported[alias.asname or alias.name.split(".")[0]] = alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module.imported[alias.asname or alias.name] = "." * node.level + (node.module or "")
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            module.functions[statement.name] = statement
    return module


def _function(module: _Module, name: str, application: set[str]) -> FunctionFeatures:
    node = module.functions.get(name)
    if node is None:
        if name in module.imported:
            return FunctionFeatures(Body.PRESENT, 0, helper=f"{module.imported[name]}.{name}")
        return FunctionFeatures()
    body = _body(node)
    reached = _reached(module, node)
    found = _Finder(module)
    for function in reached:
        found.look(function)
    return FunctionFeatures(
        body,
        node.lineno,
        tuple(found.writes),
        tuple(found.reads),
        tuple(found.inspects),
        tuple(found.loops),
        tuple(found.external),
        _helper(module, node, application) if body is Body.PRESENT else "",
    )


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
            isinstance(call, ast.Call) and _called(call) in _QUIET
        )
    return False


def _helper(
    module: _Module, node: ast.FunctionDef | ast.AsyncFunctionDef, application: set[str]
) -> str:
    statements = [statement for statement in node.body if not _does_nothing(statement)]
    calls = [
        statement.value
        for statement in statements
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    ]
    if not calls or len(calls) != len(statements):
        return ""
    roots = [_root(call.func) for call in calls]
    if all(module.imported.get(root, "") in application for root in roots):
        return ast.unparse(calls[0].func)
    return ""


def _reached(
    module: _Module, start: ast.FunctionDef | ast.AsyncFunctionDef
) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The function and those of the same file that it mentions, directly or not."""
    found = [start]
    for function in found:
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and node.id in module.functions:
                other = module.functions[node.id]
                if other not in found and other.name not in {"upgrade", "downgrade"}:
                    found.append(other)
    return found


class _Finder:
    """Collects the places that matter in a function."""

    def __init__(self, module: _Module) -> None:
        self.module = module
        self.writes: list[Site] = []
        self.reads: list[Site] = []
        self.inspects: list[Site] = []
        self.loops: list[Site] = []
        self.external: list[Site] = []

    def look(self, function: ast.AST) -> None:
        """Go through one function."""
        values = {id(node) for node in _row_values(function)}
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                self._call(node, is_value=id(node) in values)
            elif isinstance(node, ast.For | ast.AsyncFor):
                if _queries(node.iter):
                    self.loops.append(_site(node, "for"))
            elif isinstance(node, ast.Attribute) and node.attr == "environ":
                self.external.append(_site(node, "the environment"))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                self._text(node, node.value)

    def _text(self, node: ast.AST, text: str) -> None:
        for part in text.split(";"):
            start = part.strip().lower()
            verb = next((verb for verb in _WRITING_TEXT if start.startswith(verb)), "")
            if verb and len(start.split()) > 2:
                self.writes.append(_site(node, verb.split()[0]))
            elif start.startswith("with ") and any(
                f" {verb}" in start for verb in ("insert ", "update ", "delete ")
            ):
                self.writes.append(_site(node, "insert"))
            elif start.startswith("select "):
                self.reads.append(_site(node, "select"))

    def _call(self, node: ast.Call, *, is_value: bool) -> None:
        name, root = _called(node), _root(node.func)
        origin = self.module.imported.get(root, "").split(".")[0]
        if name in _CONSTRUCTS and self._builds_statement(node, name):
            self.writes.append(_site(node, _CONSTRUCTS[name]))
        elif (
            isinstance(node.func, ast.Attribute) and name in _SESSION and "session" in root.lower()
        ) or (
            isinstance(node.func, ast.Attribute) and name == "commit" and "session" in root.lower()
        ):
            self.writes.append(_site(node, "session"))
        elif name in {"select", "query"}:
            self.reads.append(_site(node, "select"))
        if name in _INSPECTOR:
            self.inspects.append(_site(node, name))
        if origin in _OUTSIDE_MODULES:
            self.external.append(_site(node, origin))
        elif name in _OUTSIDE_CALLS:
            self.external.append(_site(node, name))
        elif (
            name in _CLOCK
            and not is_value
            and origin in {"datetime", "time", "pendulum", "arrow", "date"}
        ):
            self.external.append(_site(node, "the clock"))

    def _builds_statement(self, node: ast.Call, name: str) -> bool:
        """`users.insert()`, `sa.update(users)`: not `items.insert(0, x)`, `values.update(…)` or `path.delete()`."""
        if name == "bulk_insert":
            return True
        if isinstance(node.func, ast.Name):
            return self.module.imported.get(name, "").startswith("sqlalchemy")
        if _root(node.func) in {"sa", "sqlalchemy", "sql", "postgresql"}:
            return True
        if name == "insert":
            return not node.args or not isinstance(node.args[0], ast.Constant)
        if name == "update":
            return not node.args and not node.keywords
        return not node.args


def _row_values(function: ast.AST) -> Iterator[ast.AST]:
    """Calls that only give a value of a row: in a dict, a list, or a keyword argument."""
    for node in ast.walk(function):
        if isinstance(node, ast.Dict):
            yield from (value for value in node.values)
        elif isinstance(node, ast.keyword):
            yield node.value
        elif isinstance(node, ast.List | ast.Tuple):
            yield from node.elts


def _queries(node: ast.expr) -> bool:
    names = {_called(call) for call in ast.walk(node) if isinstance(call, ast.Call)}
    if names & (_RESULTS | {"execute", "query"}):
        return True
    return isinstance(node, ast.Name) and any(
        word in node.id.lower() for word in ("rows", "result", "records")
    )


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""


def _site(node: ast.AST, what: str) -> Site:
    line = getattr(node, "lineno", 0)
    return Site(line, getattr(node, "end_lineno", None) or line, what)
