"""How a schema stands, as evidence: whether it changed at all, and what it is made of."""

import hashlib
import json
import re
import sqlite3
from contextlib import closing, suppress

from deployguard.database import Database
from deployguard.deploy.step import Evidence
from deployguard.model import Json


def schema_mark(database: Database, version_table: str) -> Evidence:
    """Where the schema and the writing stand: the catalogue's digest, the invalid indexes, the writes' mark."""
    catalogue = database.catalogue()
    return {
        "catalogue": catalogue_digest(catalogue, version_table),
        "objects": list(objects_of(catalogue, version_table)),
        "invalid": list(database.invalid_indexes()),
        "mark": database.writes_mark(),
    }


def catalogue_digest(catalogue: Json, version_table: str) -> str:
    """A text that is the same as long as the schema is; Alembic's own table does not count."""
    canonical = json.dumps(_without(catalogue, version_table), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def objects_of(catalogue: Json, version_table: str) -> tuple[str, ...]:
    """What a schema is made of, one line for each thing, in whatever order and words it was made; sorted."""
    kept = _without(catalogue, version_table)
    if not isinstance(kept, dict):
        return (str(kept),)
    found: list[str] = []
    for kind, items in kept.items():
        listed = items if isinstance(items, list) else []
        found += _sqlite_parts([str(item) for item in listed]) if kind == "sql" else []
        found += [part for item in listed if kind != "sql" for part in _parts(kind, item)]
    return tuple(sorted(found))


def _parts(kind: str, item: Json) -> list[str]:
    if not isinstance(item, dict):
        return [f"{kind} {item}"]
    name = f"{kind} {item.get('schema')}.{item.get('name')}"
    inside = [
        f"{name} {inner} {part.get('name')}"
        for inner, value in item.items()
        for part in (value if isinstance(value, list) else ())
        if isinstance(part, dict)
    ]
    return [name, *inside]


def _without(catalogue: Json, version_table: str) -> Json:
    """The catalogue without the version table, which the first migration makes even when it fails."""
    if not isinstance(catalogue, dict):
        return catalogue
    made = re.compile(rf"""CREATE TABLE ["`\[]?{re.escape(version_table)}\b""", re.IGNORECASE)
    statements, tables = catalogue.get("sql"), catalogue.get("tables")
    kept: dict[str, Json] = dict(catalogue)
    if isinstance(statements, list):
        kept["sql"] = [text for text in statements if not made.match(str(text))]
    if isinstance(tables, list):
        kept["tables"] = [
            table
            for table in tables
            if not (isinstance(table, dict) and table.get("name") == version_table)
        ]
    return kept


def _sqlite_parts(statements: list[str]) -> list[str]:
    """SQLite's text of a table changes with each ALTER, so an empty copy is asked what it has."""
    with closing(sqlite3.connect(":memory:")) as copy:
        for statement in statements:
            # A virtual table of a module that is not here fails, and what hangs on it.
            with suppress(sqlite3.Error):
                copy.execute(statement)
        found: list[str] = []
        for kind, name in copy.execute("SELECT type, name FROM sqlite_master").fetchall():
            found.append(f"{kind} {name}")
            if kind == "table":
                columns = copy.execute("SELECT name FROM pragma_table_info(?)", (name,))
                found += [f"column {name}.{column}" for (column,) in columns]
    return found
