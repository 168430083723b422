"""The places in a function that change rows, read results, look at the schema, or depend on the outside."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

# SQL that changes rows, also when the rest of it is put together later.
_WRITING = re.compile(
    r"""^\s*(?:--[^\n]*\n\s*)*
    (?: (insert)\s+(?:into|or|overwrite)\b | (update)\s+(?:only\s+)?[^\s]*\s*(?:(?:as\s+)?\w+\s+)?set\b
      | (update)\s+$ | (delete)\s+from\b | (merge)\s+into\b | (replace)\s+into\b | (truncate)\b
      | (copy)\s+\S+.*\sfrom\b | with\s.*\b(insert|update|delete|merge)\s+(?:into|from|\S+\s+set)\b )""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_RUNS = {"execute", "exec_driver_sql", "executemany", "bulk_insert", "scalar", "scalars"}
_CONSTRUCTS = {"insert": "insert", "update": "update", "delete": "delete", "bulk_insert": "insert"}
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
_ENDS = {"commit", "flush"}  # which write what was changed before, and nothing else
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
    "read_csv",
}


Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Site:
    """A place in the source, first to last line, and what is there."""

    line: int
    end: int
    what: str
    runs: bool = False  # it is executed there, not only built
    text: str = field(default="", compare=False)  # the string that says so, where one does


class Finder:
    """Collects the places that matter in a function; each is the whole statement around what was found."""

    def __init__(self, imported: Mapping[str, str]) -> None:
        self.imported = imported
        self.found: dict[str, dict[tuple[int, str, str], Site]] = {}
        self.sessions: set[str] = {"session"}
        self.results: set[str] = set()
        self.changes = (
            False  # an attribute of something is set, which a session may write at its end
        )

    def sites(self, kind: str) -> tuple[Site, ...]:
        """The places of one kind, in order."""
        return tuple(self.found.get(kind, {}).values())

    def look(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        """Go through one function."""
        self._names(function)
        documentation = {
            id(node.value) for node in ast.walk(function) if isinstance(node, ast.Expr)
        }
        for statement, end, nodes in with_heads(function.body):
            runs = any(isinstance(node, ast.Call) and called(node) in _RUNS for node in nodes)
            for node in nodes:
                if id(node) not in documentation or not isinstance(node, ast.Constant):
                    self._node(node, Site(statement.lineno, end, "", runs))
            if isinstance(statement, ast.For | ast.AsyncFor) and self._queries(statement.iter):
                self._add("loops", Site(statement.lineno, end, "for"))

    def _names(self, function: ast.AST) -> None:
        """Which names are sessions, and which hold the result of a query."""
        for node in ast.walk(function):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                self.changes = True
            if isinstance(node, ast.Call) and called(node) in (
                "setattr",
                "append",
                "extend",
                "remove",
            ):
                self.changes = True
            targets: list[ast.expr] = []
            value: ast.expr | None = None
            if isinstance(node, ast.Assign):
                targets, value = node.targets, node.value
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                targets, value = [node.optional_vars], node.context_expr
            if value is None:
                continue
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            calls = [called(call) for call in ast.walk(value) if isinstance(call, ast.Call)]
            if any("session" in call.lower() for call in calls):
                self.sessions |= names
            if {"execute", "query", *_RESULTS} & set(calls):
                self.results |= names

    def _add(self, kind: str, site: Site) -> None:
        self.found.setdefault(kind, {}).setdefault((site.line, site.what, site.text), site)

    def _node(self, node: ast.AST, place: Site) -> None:
        if isinstance(node, ast.Call):
            for kind, what in self._call(node):
                self._add(kind, replace(place, what=what))
        elif isinstance(node, ast.Attribute) and node.attr == "environ":
            self._add("external", replace(place, what="the environment"))
        else:
            text = text_of(node)
            for verb in _verbs(text):
                self._add("writes", replace(place, what=verb, text=text))

    def _call(self, node: ast.Call) -> Iterator[tuple[str, str]]:
        name, owner = called(node), root(node.func)
        origin = self.imported.get(owner, "").split(".")[0]
        if name in _CONSTRUCTS and self._builds_statement(node, name):
            yield "writes", _CONSTRUCTS[name]
        elif self._is_session(node, name, owner):
            yield "writes", "session"
        if name in _INSPECTOR:
            yield "inspects", name
        if origin in _OUTSIDE_MODULES or name in _OUTSIDE_CALLS:
            yield "external", origin if origin in _OUTSIDE_MODULES else name

    def _is_session(self, node: ast.Call, name: str, owner: str) -> bool:
        """Whether an ORM session writes there, sooner or later."""
        if name not in _SESSION or not isinstance(node.func, ast.Attribute):
            return False
        return owner in self.sessions and (name not in _ENDS or self.changes)

    def _builds_statement(self, node: ast.Call, name: str) -> bool:
        """`users.insert()`, `sa.update(users)`: not `items.insert(0, x)`, `values.update(…)` or `path.delete()`."""
        if name == "bulk_insert":
            return not inserts_nothing(node)
        if isinstance(node.func, ast.Name):
            return self.imported.get(name, "").startswith("sqlalchemy")
        if root(node.func) in {"sa", "sqlalchemy", "sql", "postgresql"}:
            return True
        if "query" in {called(call) for call in ast.walk(node.func) if isinstance(call, ast.Call)}:
            return True
        return not node.args and not (name == "update" and node.keywords)

    def _queries(self, node: ast.expr) -> bool:
        calls = {called(call) for call in ast.walk(node) if isinstance(call, ast.Call)}
        names = {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
        return bool(calls & (_RESULTS | {"execute", "query"}) or names & self.results)


def with_heads(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, int, list[ast.AST]]]:
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
            yield from with_heads(inner)
        else:
            yield from with_heads(statement.body)


def text_of(node: ast.AST) -> str:
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


def called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def inserts_nothing(node: ast.Call) -> bool:
    """`op.bulk_insert(table, [])`, which sends no statement."""
    rows = [*node.args[1:2], *(one.value for one in node.keywords if one.arg == "rows")]
    return called(node) == "bulk_insert" and any(
        isinstance(one, ast.List | ast.Tuple) and not one.elts for one in rows
    )


def root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute | ast.Call):
        node = node.value if isinstance(node, ast.Attribute) else node.func
    return node.id if isinstance(node, ast.Name) else ""
