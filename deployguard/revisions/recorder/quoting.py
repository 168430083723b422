"""psycopg2's functions in C that insist on a connection of its own: here they are given the recorder's."""

from __future__ import annotations

import sys
from typing import Any

_done: set[str] = set()


def follow() -> None:
    """Replace them as soon as the project has imported psycopg2; until then there is nothing to do."""
    extensions = sys.modules.get("psycopg2.extensions")
    if extensions is not None and "extensions" not in _done:
        _done.add("extensions")
        _replace(extensions)
    composed = sys.modules.get("psycopg2.sql")
    if composed is not None and "sql" not in _done:
        _done.add("sql")
        # Values are not told; see Cursor.mogrify.
        composed.Literal.as_string = lambda _self, _context: "$1"


def _replace(extensions: Any) -> None:
    register = extensions.register_type

    def register_type(kind: Any, connection: Any = None) -> None:
        if connection is None or isinstance(connection, (extensions.connection, extensions.cursor)):
            register(kind, connection)

    def quote_ident(name: str, _connection: Any = None) -> str:
        return '"' + name.replace('"', '""') + '"'

    extensions.quote_ident = quote_ident
    for name in ("psycopg2.extensions", "psycopg2._json", "psycopg2._range"):
        if name in sys.modules:
            sys.modules[name].register_type = register_type  # type: ignore[attr-defined]  # imported by name there
