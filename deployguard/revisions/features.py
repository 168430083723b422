"""What the text of a revision shows, function by function, whether or not it could be run."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from deployguard.model import Body
from deployguard.revisions.dialects import prune

# SQL that changes rows, also when the rest of it is put together later.
_WRITING = re.compile(
    r"""^\s*(?:--[^\n]*\n\s*)*
    (?: (insert)\s+(?:into|or|overwrite)\b | (update)\s+(?:only\s+)?[^\s]*\s*(?:(?:as\s+)?\w+\s+)?set\b
      | (update)\s+$ | (delete)\s+from\b | (merge)\s+into\b | (replace)\s+into\b | (truncate)\b
      | (copy)\s+\S+.*\sfrom\b | with\s.*\b(insert|update|delete|merge)\s+(?:into|from|\S+\s+set)\b )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_CONSTRUCTS = {"insert": "insert", "update": "update", "delete": "delete", "bulk_insert": "insert"}
_CLOCK_MODULES = {"datetime", "time", "pendulum", "arrow", "date"}
_SESSION = {
    "commit",
    "flush",
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
    inspects: tuple[Site, ...] = ()
    loops: tuple[Site, ...] = ()  # over the result of a query
    external: tuple[Site, ...] = ()
    helper: str = ""
    helper_line: int = 0


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


def read_features(source: str, standard: frozenset[str], dialect: str = "") -> Features:
    """The features of one file on one dialect ("": on any).

    `standard` are the names of modules that are no part of the application.
    """
    try:
        tree = ast.parse(source)
        tree = prune(tree, dialect) if dialect else tree
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
    found = _Finder(module)
    for function in _reached(module, node):
        found.look(function)
    helper, helper_line = _helper(module, node, application) if body is Body.PRESENT else ("", 0)
    return FunctionFeatures(
        body,
        node.lineno,
        writes=found.sites("writes"),
        inspects=found.sites("inspects"),
        loops=found.sites("loops"),
        external=found.sites("external"),
        helper=helper,
        helper_line=helper_line,
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
    if all(module.imported.get(_root(call.func), "") in application for call in calls):
        return ast.unparse(calls[0].func), calls[0].lineno
    return "", 0


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
    """Collects the places that matter in a function; each is the whole statement around what was found."""

    def __init__(self, module: _Module) -> None:
        self.module = module
        self.found: dict[str, dict[tuple[int, str], Site]] = {}
        self.sessions: set[str] = {"session"}
        self.results: set[str] = set()

    def sites(self, kind: str) -> tuple[Site, ...]:
        """The places of one kind, in order."""
        return tuple(self.found.get(kind, {}).values())

    def look(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Go through one function."""
        self._names(function)
        values = {id(node) for node in _row_values(function)}
        documentation = {
            id(node.value) for node in ast.walk(function) if isinstance(node, ast.Expr)
        }
        for statement, end, nodes in _statements(function.body):
            for node in nodes:
                if id(node) not in documentation or not isinstance(node, ast.Constant):
                    self._node(node, statement.lineno, end, is_value=id(node) in values)
            if isinstance(statement, ast.For | ast.AsyncFor) and self._queries(statement.iter):
                self._add("loops", Site(statement.lineno, end, "for"))

    def _names(self, function: ast.AST) -> None:
        """Which names are sessions, and which hold the result of a query."""
        for node in ast.walk(function):
            targets: list[ast.expr] = []
            value: ast.expr | None = None
            if isinstance(node, ast.Assign):
                targets, value = node.targets, node.value
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                targets, value = [node.optional_vars], node.context_expr
            if value is None:
                continue
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            calls = [_called(call) for call in ast.walk(value) if isinstance(call, ast.Call)]
            if any("session" in call.lower() for call in calls):
                self.sessions |= names
            if {"execute", "query", *_RESULTS} & set(calls):
                self.results |= names

    def _add(self, kind: str, site: Site) -> None:
        self.found.setdefault(kind, {}).setdefault((site.line, site.what), site)

    def _node(self, node: ast.AST, line: int, end: int, *, is_value: bool) -> None:
        if isinstance(node, ast.Call):
            for kind, what in self._call(node, is_value=is_value):
                self._add(kind, Site(line, end, what))
        elif isinstance(node, ast.Attribute) and node.attr == "environ":
            self._add("external", Site(line, end, "the environment"))
        else:
            for verb in _verbs(_text(node)):
                self._add("writes", Site(line, end, verb))

    def _call(self, node: ast.Call, *, is_value: bool) -> Iterator[tuple[str, str]]:
        name, root = _called(node), _root(node.func)
        origin = self.module.imported.get(root, "").split(".")[0]
        if name in _CONSTRUCTS and self._builds_statement(node, name):
            yield "writes", _CONSTRUCTS[name]
        elif name in _SESSION and isinstance(node.func, ast.Attribute) and root in self.sessions:
            yield "writes", "session"
        if name in _INSPECTOR:
            yield "inspects", name
        if origin in _OUTSIDE_MODULES or name in _OUTSIDE_CALLS:
            yield "external", origin if origin in _OUTSIDE_MODULES else name
        elif name in _CLOCK and not is_value and origin in _CLOCK_MODULES:
            yield "external", "the clock"

    def _builds_statement(self, node: ast.Call, name: str) -> bool:
        """`users.insert()`, `sa.update(users)`: not `items.insert(0, x)`, `values.update(…)` or `path.delete()`."""
        if name == "bulk_insert":
            return True
        if isinstance(node.func, ast.Name):
            return self.module.imported.get(name, "").startswith("sqlalchemy")
        if _root(node.func) in {"sa", "sqlalchemy", "sql", "postgresql"}:
            return True
        if "query" in {_called(call) for call in ast.walk(node.func) if isinstance(call, ast.Call)}:
            return True
        return not node.args and not (name == "update" and node.keywords)

    def _queries(self, node: ast.expr) -> bool:
        calls = {_called(call) for call in ast.walk(node) if isinstance(call, ast.Call)}
        names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        return bool(calls & (_RESULTS | {"execute", "query"}) or names & self.results)


def _statements(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, int, list[ast.AST]]]:
    """Every statement with its last line and its own nodes; of a compound one, only its head."""
    for statement in body:
        heads: list[ast.AST] = []
        inner: list[ast.stmt] = []
        for child in ast.iter_child_nodes(statement):
            if isinstance(child, ast.stmt):
                inner.append(child)
            elif isinstance(child, ast.ExceptHandler | ast.match_case):
                inner.extend(child.body)
            else:
                heads.append(child)
        nodes = [node for head in heads for node in ast.walk(head)]
        last = max((getattr(node, "end_lineno", 0) or 0 for node in nodes), default=0)
        yield statement, max(last, statement.lineno), nodes
        if not isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _statements(inner)
        else:
            yield from _statements(statement.body)


def _text(node: ast.AST) -> str:
    """The text of a string; what is filled into it is one word."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(
            part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "x"
            for part in node.values
        )
    return ""


def _verbs(text: str) -> Iterator[str]:
    for part in text.split(";"):
        match = _WRITING.match(part)
        if match:
            verb = next(word for word in match.groups() if word).lower()
            yield "insert" if verb == "replace" else verb


def _row_values(function: ast.AST) -> Iterator[ast.AST]:
    """Calls that only give a value of a row: in a dict, a list, or a keyword argument."""
    for node in ast.walk(function):
        if isinstance(node, ast.Dict):
            yield from (value for value in node.values)
        elif isinstance(node, ast.keyword):
            yield node.value
        elif isinstance(node, ast.List | ast.Tuple):
            yield from node.elts


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""
