"""Keys and constraints in DDL text, with the names that PostgreSQL gives them when they have none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .names import IDENTIFIER, NAME, split, unquoted

if TYPE_CHECKING:
    from .catalogue import Table

_CONSTRAINT = re.compile(
    r"\s*(?:constraint\s+" + IDENTIFIER + r"\s+)?(primary|unique|foreign|check)\b(?:\s+key)?\s*"
    r"(?:\(([^()]*)\))?(?:\s*references\s+" + NAME + r"\s*(?:\(([^()]*)\))?)?",
    re.IGNORECASE,
)
_NOT_VALID = re.compile(r"\bnot\s+valid\s*;?\s*$", re.IGNORECASE)
_ON_COLUMN = re.compile(
    r"\b(primary\s+key|unique|references)\b(?:\s+" + NAME + r"\s*(?:\(([^()]*)\))?)?",
    re.IGNORECASE,
)


def constrain(table: Table, part: str) -> bool:
    """Apply `[CONSTRAINT name] PRIMARY KEY …` and the like; False when it is none of them."""
    match = _CONSTRAINT.match(part)
    if match:
        _text_constraint(table, match)
    return match is not None


def key_of_column(table: Table, column: str, rest: str) -> None:
    """Apply what stands behind a column's type."""
    for key in _ON_COLUMN.finditer(rest):
        _key(table, key.group(1).lower(), [column], "", (key.group(2), key.group(3)))


def _listed(text: str | None) -> list[str]:
    return [unquoted(part.strip()) for part in (text or "").split(",") if part.strip()]


def _text_constraint(table: Table, match: re.Match[str]) -> None:
    kind, columns = match.group(2).lower(), _listed(match.group(3))
    named = unquoted(match.group(1)) if match.group(1) else ""
    if kind == "check":
        name = named or f"{table.name}_check"
        later = _NOT_VALID.search(match.string) is not None
        table.checks.append(
            {
                "name": name,
                "sqltext": match.group(3) or "",
                "dialect_options": {"not_valid": True} if later else {},
            }
        )
    elif kind == "foreign":
        _key(table, "references", columns, named, (match.group(4), match.group(5)))
    else:
        _key(table, kind, columns, named, (None, None))


def _key(
    table: Table, kind: str, columns: list[str], named: str, target: tuple[str | None, str | None]
) -> None:
    """A key with the name that PostgreSQL gives it when it has none."""
    stem = "_".join([table.name, *columns])
    if kind.startswith("primary"):
        table.primary_key = {"name": named or f"{table.name}_pkey", "columns": columns}
    elif kind == "unique":
        table.uniques.append({"name": named or f"{stem}_key", "columns": columns})
    elif target[0]:
        schema, other = split(target[0])
        entry = {
            "name": named or f"{stem}_fkey",
            "columns": columns,
            "schema": schema,
            "table": other,
        }
        table.foreign_keys.append({**entry, "referred": _listed(target[1]), "options": {}})
