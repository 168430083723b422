"""The project's own modules that revision files import: what a migration runs besides the revisions themselves."""

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path


def imported_files(files: Iterable[Path], roots: Iterable[Path]) -> tuple[Path, ...]:
    """The files below `roots` that `files` import, directly or not, sorted; those given are left out.

    Nothing is executed. An import that is computed is not seen, nor is one of a package that is installed.
    """
    given = {path.resolve() for path in files}
    places = tuple(dict.fromkeys(root.resolve() for root in roots))
    found: set[Path] = set()
    todo = sorted(given)
    while todo:
        path = todo.pop()
        for module in _modules(path, places):
            if module not in found and module not in given:
                found.add(module)
                todo.append(module)
    return tuple(sorted(found))


def helpers(files: Iterable[Path], directory: Path, scripts: Path) -> dict[str, Path]:
    """The same for revision files of the project in `directory`, by their path in it."""
    top = directory.resolve()
    found = imported_files(files, (top, top / "src", scripts.parent))
    return {
        (path.relative_to(top) if path.is_relative_to(top) else path).as_posix(): path
        for path in found
    }


def _modules(path: Path, roots: tuple[Path, ...]) -> Iterator[Path]:
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return  # its own digest stands for it
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _found(alias.name, roots)
        elif isinstance(node, ast.ImportFrom):
            bases = (_above(path, node.level),) if node.level else roots
            module = node.module or ""
            yield from _found(module, bases)
            for alias in node.names:  # which may be modules themselves
                yield from _found(f"{module}.{alias.name}".strip("."), bases)


def _above(path: Path, level: int) -> Path:
    return path.parents[min(level, len(path.parents)) - 1]


def _found(module: str, roots: Iterable[Path]) -> Iterator[Path]:
    """The module's file, and the packages on the way to it, which are run first."""
    parts = module.split(".") if module else []
    for root in roots:
        steps = [root.joinpath(*parts[: at + 1]) for at in range(len(parts))]
        if not steps or not (steps[0].is_dir() or steps[0].with_suffix(".py").is_file()):
            continue
        for step in steps:
            for path in (step / "__init__.py", step.with_name(step.name + ".py")):
                if path.is_file():
                    yield path
        return
