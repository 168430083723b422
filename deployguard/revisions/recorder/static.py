"""Read a revision's identifiers out of its text, without running it: regular expression first, then the tree."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

_ASSIGNMENT = re.compile(
    r"^(revision|down_revision|branch_labels|depends_on)[ \t]*(?::[^=\n]+)?=(?!=)[ \t]*(.*)$",
    re.MULTILINE,
)
_STRING = re.compile(r"""^[rbu]?(?:'([^'\\]*)'|"([^"\\]*)")[ \t]*(?:\#.*)?$""")
_NAMES = {"revision", "down_revision", "branch_labels", "depends_on"}
_DOCSTRING = re.compile(r'''\A\s*(?:#.*\n\s*)*[rRuU]?("""|\'\'\'|"|')(.*?)\1''', re.DOTALL)


class Header(NamedTuple):
    """What Alembic's revision map is built from; ``unknown`` names the values that could not be read."""

    revision: str
    parents: tuple[str, ...]
    labels: tuple[str, ...]
    depends_on: tuple[str, ...]
    unknown: tuple[str, ...] = ()


class _Unknown(Exception):
    """The value is not a literal."""


def read_header(text: str) -> Header | None:
    """The identifiers of one revision file, or None when the file declares no ``revision``.

    A syntax error further down does not matter. A value that is computed is named in ``unknown``;
    when it is the identifier itself, ``revision`` is "".
    """
    text = text.removeprefix("\ufeff")
    found = _ASSIGNMENT.findall(text)
    names = [name for name, _ in found]
    if "revision" in names and len(set(names)) == len(names):
        try:
            return _header({name: _simple(value) for name, value in found}, set())
        except _Unknown:
            pass
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return _first_guess(found)
    return _from_tree(tree)


def docstring(text: str) -> str:
    """The first line of the module's docstring, which is the revision's message."""
    match = _DOCSTRING.match(text.removeprefix("\ufeff"))
    lines = match.group(2).strip().splitlines() if match else []
    return lines[0].strip() if lines else ""


def _simple(value: str) -> object:
    match = _STRING.match(value)
    if match:
        return match.group(1) if match.group(1) is not None else match.group(2)
    if value.rstrip() == "None":
        return None
    try:
        return ast.literal_eval(value.strip())
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError) as error:
        raise _Unknown from error


def _first_guess(found: list[tuple[str, str]]) -> Header | None:
    values: dict[str, object] = {}
    unknown = set()
    for name, value in found:
        if name not in values:
            try:
                values[name] = _simple(value)
            except _Unknown:
                unknown.add(name)
    return _header(values, unknown)


def _from_tree(tree: ast.Module) -> Header | None:
    values: dict[str, object] = {}
    unknown: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        for name, given in _pairs(targets, value):
            try:
                values[name] = _value(given, values)
                unknown.discard(name)
            except _Unknown:
                values.pop(name, None)
                unknown.add(name)
    return _header(values, unknown & _NAMES)


def _pairs(targets: list[ast.expr], value: ast.expr) -> list[tuple[str, ast.expr]]:
    """What each name is given, also in `revision, down_revision = "b", "a"`."""
    found: list[tuple[str, ast.expr]] = []
    for target in targets:
        if isinstance(target, ast.Name):
            found.append((target.id, value))
        elif isinstance(target, (ast.Tuple, ast.List)):
            alike = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
            for at, inner in enumerate(target.elts):
                found += _pairs([inner], value.elts[at] if alike else value)  # type: ignore[attr-defined]  # alike
    return found


def _value(node: ast.expr, names: dict[str, object]) -> object:
    """A literal, a name that was given a literal above, or a sequence or sum of those."""
    if isinstance(node, ast.Name) and node.id in names:
        return names[node.id]
    if isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        return tuple(_value(item, names) for item in node.elts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _value(node.left, names), _value(node.right, names)
        if isinstance(left, str) and isinstance(right, str):
            return left + right
        if isinstance(left, tuple) and isinstance(right, tuple):
            return left + right
        raise _Unknown
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, names) for part in node.values)
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError) as error:
        raise _Unknown from error


def _text(part: ast.expr, names: dict[str, object]) -> str:
    """A piece of an f-string."""
    if isinstance(part, ast.FormattedValue):
        found = _value(part.value, names)
        if part.conversion != -1 or part.format_spec is not None or not isinstance(found, str):
            raise _Unknown
        return found
    return str(_value(part, names))


def _header(values: dict[str, object], unknown: set[str]) -> Header | None:
    revision = values.get("revision", "")
    if not isinstance(revision, str) or (not revision and "revision" not in unknown):
        return None
    known: dict[str, tuple[str, ...]] = {}
    for name in ("down_revision", "branch_labels", "depends_on"):
        try:
            known[name] = _names(values.get(name))
        except _Unknown:
            known[name] = ()
            unknown.add(name)
    return Header(
        revision,
        known["down_revision"],
        known["branch_labels"],
        known["depends_on"],
        tuple(sorted(unknown)),
    )


def _names(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, (tuple, list, set, frozenset)) and all(
        isinstance(item, str) for item in value
    ):
        return tuple(
            str(item) for item in (value if isinstance(value, (tuple, list)) else sorted(value))
        )
    raise _Unknown
