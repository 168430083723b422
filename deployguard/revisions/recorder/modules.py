"""Load revision files so that none of them can stop the others: stubs for what cannot, or need not, be imported."""

from __future__ import annotations

import os
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .channel import Limit, describe, failure_line
from .static import Header, docstring, read_header

if TYPE_CHECKING:
    from collections.abc import Callable


class Unimportable(Exception):
    """The revision's file could not be imported; says why."""


def load_lazily(
    original: Callable[..., ModuleType],
    wanted: frozenset[str] | None,
    known: dict[str, list[Any]],
) -> Callable[..., ModuleType]:
    """A replacement for Alembic's `load_python_file`.

    Revisions that are not `wanted` (None: all are) are not run: the map of revisions needs only their identifiers,
    and `known` has those of the files that need not even be read, by path.
    """

    def load(dir_: Any, filename: Any) -> ModuleType:
        path = os.path.join(str(dir_), str(filename))
        if os.path.basename(path) == "env.py" or not path.endswith(".py"):
            return original(dir_, filename)
        told = known.get(path) if wanted is not None else None
        if told is not None:
            revision, *names = told
            return _stub(path, "", Header(revision, *map(tuple, names)), None)
        with open(path, "rb") as file:
            text = file.read().decode("utf-8", errors="replace")
        header = read_header(text)
        if header is None or not header.revision:
            return original(dir_, filename)
        if wanted is not None and not header.unknown and header.revision not in wanted:
            return _stub(path, text, header, None)
        try:
            return original(dir_, filename)
        except (Exception, SystemExit, Limit) as error:
            return _stub(path, text, header, error)

    return load


def _stub(path: str, text: str, header: Header, error: BaseException | None) -> ModuleType:
    module = ModuleType(os.path.basename(path)[:-3])
    module.__file__ = path
    module.__doc__ = docstring(text)
    parents = header.parents
    values: dict[str, Any] = {
        "revision": header.revision,
        "down_revision": parents[0] if len(parents) == 1 else (parents or None),
        "branch_labels": header.labels or None,
        "depends_on": header.depends_on or None,
    }

    def raises(*_args: object, **_kwargs: object) -> None:
        failure = Unimportable(describe(error) if error else "not loaded")
        failure.line = failure_line(error, path) if error else 0  # type: ignore[attr-defined]  # read by steps
        raise failure

    values.update(upgrade=raises, downgrade=raises)
    module.__dict__.update(values)
    return module
