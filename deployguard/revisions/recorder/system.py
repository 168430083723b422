"""Questions of PostgreSQL's own catalogue in SQL, answered from the recorder's: an SQLite database plays the part.

Only tables and columns that can be filled in truly are there. A query that wants more fails, and is not answered.
"""

from __future__ import annotations

import re
import sqlite3
from typing import TYPE_CHECKING, Any

from .answers import select_list
from .parts import TABLES, fill

if TYPE_CHECKING:
    from .catalogue import Catalogue

_QUOTED = re.compile(r"'(?:[^']|'')*'")
_CAST = re.compile(
    r"::\s*\"?[a-z_]+\"?(?:\s+varying)?(?:\s*\(\s*\d+\s*\))?(?:\[\])?", re.IGNORECASE
)
_REGCLASS = re.compile(r"('(?:[^']|'')*'|\$\d+|:\w+)::\s*regclass\b", re.IGNORECASE)
_WORDS = (
    (re.compile(r"\bselect\s+from\b", re.IGNORECASE), "SELECT 1 FROM"),
    (
        re.compile(r"(?:=|\bin)\s*(?:any\s*)?\(\s*current_schemas\s*\(\s*\w+\s*\)\s*\)", re.IGNORECASE),
        "= current_schema()",
    ),
    (re.compile(r"\bcurrent_schema\b(?!\s*\()", re.IGNORECASE), "current_schema()"),
    (re.compile(r"=\s*any\s*\(\s*array\s*\[([^\]]*)\]\s*\)", re.IGNORECASE), r"IN (\1)"),
    (re.compile(r"\bilike\b", re.IGNORECASE), "LIKE"),
    (re.compile(r'"([^"]+)"'), r"[\1]"),
)  # fmt: skip
# Extensions that bring no types.
_PLAIN = frozenset(
    ("plpgsql", "uuid-ossp", "pgcrypto", "pg_trgm", "unaccent", "btree_gin", "btree_gist")
)
_MOST = 500  # rows of an answer


def ask(
    catalogue: Catalogue, text: str, parameters: dict[str, Any]
) -> tuple[list[str], list[tuple[Any, ...]]] | None:
    """(names of the columns, rows) that the server would give; None when that cannot be said."""
    if not catalogue.sure or _beyond(catalogue, _QUOTED.sub("''", text)):
        return None
    database = sqlite3.connect(":memory:")
    try:
        _prepare(database, catalogue, text)
        cursor = database.execute(_translated(text), _bound(parameters))
        names = [column[0] for column in cursor.description]
        return names, _truths(text, cursor.fetchmany(_MOST))
    except (sqlite3.Error, _Unknown):
        return None
    finally:
        database.close()


def _beyond(catalogue: Catalogue, text: str) -> bool:
    """Whether the query wants something that is not here."""
    if re.search(r"[^<>!]~|\bfor\s+update\b", text, re.IGNORECASE):
        return True
    if re.search(r"\bpg_type\b", text, re.IGNORECASE) and not catalogue.extensions <= _PLAIN:
        return True
    # The server's own relations: without a condition they would be in the answer.
    whole = re.search(r"\bfrom\b", text, re.IGNORECASE) is not None
    return whole and not re.search(r"\bwhere\b|\bpg_extension\b", text, re.IGNORECASE)


def _truths(text: str, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """EXISTS is a boolean there, and a number here."""
    items = [item.strip(" (").lower() for item in select_list(text) or ()]
    exists = [item.startswith(("exists", "not exists")) for item in items]
    return [
        tuple(
            bool(value) if at < len(exists) and exists[at] else value
            for at, value in enumerate(row)
        )
        for row in rows
    ]


class _Unknown(Exception):
    """Something about the schema that is not known exactly."""


def _prepare(database: sqlite3.Connection, catalogue: Catalogue, text: str) -> None:
    wanted = {
        name for name in TABLES if re.search(rf"\b{name.partition('.')[2]}\b", text, re.IGNORECASE)
    }
    for schema in ("information_schema", "pg_catalog"):
        database.execute(f"ATTACH ':memory:' AS {schema}")
    database.execute(
        f"PRAGMA case_sensitive_like = {'OFF' if re.search('ilike', text, re.IGNORECASE) else 'ON'}"
    )
    database.create_function("current_schema", 0, lambda: catalogue.default_schema)
    oids = fill(database, catalogue, wanted, text)
    if oids is None:
        raise _Unknown

    def regclass(name: str | None) -> int | None:
        return oids.get(catalogue.qualified(name)) if name else None

    def to_regclass(name: str | None) -> str | None:
        return name if regclass(name) is not None else None

    database.create_function("regclass", 1, regclass)
    database.create_function("to_regclass", 1, to_regclass)


def _translated(text: str) -> str:
    """The query as SQLite reads it; quoted text is left alone."""
    text = _REGCLASS.sub(r"regclass(\1)", text.strip().rstrip(";"))
    pieces, at = [], 0
    for match in _QUOTED.finditer(text):
        pieces += [text[at : match.start()], match.group(0)]
        at = match.end()
    pieces.append(text[at:])
    # What is between quotes is every second piece; the rest is one text with places for them.
    kept = pieces[1::2]
    plain = "\0".join(pieces[0::2])
    plain = _CAST.sub("", plain)
    for pattern, replacement in _WORDS:
        plain = pattern.sub(replacement, plain)
    parts = plain.split("\0")
    return "".join(
        part + (kept[number] if number < len(kept) else "") for number, part in enumerate(parts)
    )


def _bound(parameters: dict[str, Any]) -> dict[str, Any]:
    simple = (str, int, float, bool, type(None))
    if not all(isinstance(value, simple) for value in parameters.values()):
        raise _Unknown
    return parameters
