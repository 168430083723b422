"""SQLAlchemy types for the type names of a catalogue."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalogue import Catalogue

_TYPE = re.compile(
    r"^\s*(?P<name>[^(\[]+?)\s*(?:\((?P<arguments>[^)]*)\))?"
    r"\s*(?P<zone>with(?:out)? time zone)?\s*(?P<array>(\[\d*\])*)\s*$"
)
ALIASES = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "serial": "integer",
    "bigserial": "bigint",
    "smallserial": "smallint",
    "bool": "boolean",
    "varchar": "character varying",
    "char": "character",
    "decimal": "numeric",
    "float4": "real",
    "float8": "double precision",
    "float": "double precision",
    "timestamptz": "timestamp with time zone",
    "timetz": "time with time zone",
}


def resolve(text: Any, dialect: Any, catalogue: Catalogue) -> Any:
    """A type object for the text; a type object is returned as it is, and what is unknown becomes NullType."""
    from sqlalchemy import types

    if text is None:
        return types.NullType()
    if not isinstance(text, str):
        return text
    match = _TYPE.match(text)
    if match is None:
        return types.NullType()
    name = match.group("name").strip().strip('"').lower()
    name = ALIASES.get(name, name)
    known = _named(
        name, match.group("arguments") or "", match.group("zone") or "", dialect, catalogue
    )
    if match.group("array"):
        from sqlalchemy.dialects.postgresql import ARRAY

        return ARRAY(known)
    return known


def _named(name: str, arguments: str, zone: str, dialect: Any, catalogue: Catalogue) -> Any:
    from sqlalchemy import types

    enum = _enum(name, catalogue)
    if enum is not None:
        return enum
    if (zone or name.endswith("time zone")) and dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import TIME, TIMESTAMP

        kind = TIMESTAMP if name.startswith("timestamp") else TIME
        return kind(timezone="without" not in name + zone)
    found = dialect.ischema_names.get(name)
    if found is None:
        return types.NullType()
    numbers = [int(part) for part in arguments.split(",") if part.strip().isdigit()]
    if name == "interval":
        numbers = []
    try:
        return found(*numbers)
    except TypeError:
        return found()


def _enum(name: str, catalogue: Catalogue) -> Any:
    schema, _, bare = name.rpartition(".")
    for (owner, known), values in catalogue.enums.items():
        if known.lower() == bare and (not schema or owner == schema):
            from sqlalchemy.dialects.postgresql import ENUM

            return ENUM(*values, name=known, schema=owner if schema else None, create_type=False)
    return None
