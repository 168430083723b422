"""Whether a file asks the clock or chance itself, so that what it says may be otherwise the next time."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_CHANCE: Final = frozenset(
    (
        *("now", "utcnow", "today", "time", "time_ns", "monotonic", "uuid1", "uuid4", "random"),
        *("randint", "choice", "shuffle", "sample", "urandom", "token_hex", "token_bytes"),
        *("token_urlsafe", "getpid", "getppid", "gethostname", "getlogin"),
    )
)
_MENTIONED: Final = re.compile(rb"\b(?:" + "|".join(sorted(_CHANCE)).encode() + rb")\b")
_LATER = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def chancy(path: Path, *, only_import: bool = False) -> bool:
    """Whether the file calls one of them, with ``only_import`` while it is imported; never the database's now()."""
    try:
        text = path.read_bytes()
        if not _MENTIONED.search(text):
            return False
        tree = ast.parse(text)
    except FileNotFoundError:
        return False  # there is only compiled code, which is watched as it is
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return True
    return any(_by_chance(node) for node in _nodes(tree, later=not only_import))


def imported(paths: Iterable[Path]) -> set[str]:
    """The last words of the modules that these files import, and the names that they import from them."""
    found: set[str] = set()
    for path in paths:
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                found.update(name.rpartition(".")[2] for name in names)
    return found - {""}


def words(path: Path) -> set[str]:
    """By which word a file is imported."""
    return {path.parent.name if path.stem == "__init__" else path.stem}


def _nodes(node: ast.AST, *, later: bool) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        if later or not isinstance(child, _LATER):
            yield from _nodes(child, later=later)


def _by_chance(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    said = ast.unparse(node.func).split(".")
    return said[-1] in _CHANCE and "func" not in said[:-1]
