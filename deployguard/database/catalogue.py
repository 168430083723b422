"""A snapshot of a database's schema as JSON, for the recording child that answers reflection from it.

SQLite: ``{"format": 1, "dialect": "sqlite", "sql": [CREATE statements: tables, indexes, views, triggers]}``.

PostgreSQL::

    {"format": 1, "dialect": "postgresql", "server_version": [15, 4], "default_schema": "public",
     "schemas": ["public", …],
     "tables": [TABLE, …],                       # also partitioned, foreign and those of extensions
     "views": [{"schema", "name", "materialized": bool, "definition": text | null, "columns": [COLUMN, …],
                "indexes": [INDEX, …]}],
     "enums": [{"schema", "name", "labels": [text, …]}],
     "domains": [{"schema", "name", "type", "nullable", "default", "checks": [{"name", "sqltext"}]}],
     "sequences": [{"schema", "name"}],
     "extensions": [name, …]}

    TABLE   {"schema", "name", "comment": text | null, "columns": [COLUMN, …],
             "primary_key": {"name", "columns": […]} | null, "foreign_keys": […], "uniques": […],
             "checks": […], "indexes": [INDEX, …], "partitioned": bool}
    COLUMN  {"name", "type": DDL text as format_type() gives it, "nullable", "default": SQL text | null,
             "autoincrement", "comment", "identity"?: {…}, "computed"?: {"sqltext", "persisted"},
             "not_validated"?: true}              # NOT NULL … NOT VALID, from PostgreSQL 18 on

Keys, constraints and INDEX are what SQLAlchemy 2's Inspector returns (get_foreign_keys, get_unique_constraints,
get_check_constraints, get_indexes), with tuples as lists and without what JSON cannot hold.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import psycopg
from psycopg import Connection

from deployguard.database.session import Row
from deployguard.model import Json

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import TableKey
    from sqlalchemy.engine.reflection import Inspector

_TYPES: Final = b"""
SELECT n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
  EXISTS (SELECT FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype = 'n' AND NOT k.convalidated
          AND k.conkey = ARRAY[a.attnum])
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"""
_VIEWS: Final = b"""
SELECT n.nspname, c.relname, c.relkind = 'm', pg_get_viewdef(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
ORDER BY 1, 2"""
_EXTENSIONS: Final = b"SELECT extname FROM pg_extension ORDER BY 1"
_Keyed = Mapping["TableKey", Any]


_PARTITIONED: Final = b"""
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'p'"""


class _Type(NamedTuple):
    text: str
    not_validated: bool  # it must not be NULL, but not every row was looked at


_Types = Mapping[tuple[str, str, str], _Type]


def postgresql(connect: Callable[[], Connection[Row]], version: tuple[int, ...]) -> Json:
    """The catalogue of the database that ``connect`` leads to. Nothing is written. Raises psycopg's errors."""
    import sqlalchemy

    try:
        return _read(connect, version)
    except sqlalchemy.exc.DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise error.orig from None
        raise


def _read(connect: Callable[[], Connection[Row]], version: tuple[int, ...]) -> Json:
    import sqlalchemy

    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=connect, poolclass=sqlalchemy.NullPool
    )
    with engine.connect() as link, warnings.catch_warnings():
        # Types that SQLAlchemy has no class for: their text comes from the server, below.
        warnings.simplefilter("ignore", sqlalchemy.exc.SAWarning)
        rows = link.exec_driver_sql(_TYPES.decode())
        types = {(str(r[0]), str(r[1]), str(r[2])): _Type(str(r[3]), bool(r[4])) for r in rows}
        rows = link.exec_driver_sql(_PARTITIONED.decode())
        partitioned = {(str(row[0]), str(row[1])) for row in rows}
        found = link.exec_driver_sql(_VIEWS.decode())
        views = {(str(r[0]), str(r[1])): (bool(r[2]), str(r[3])) for r in found}
        inspector: Inspector = sqlalchemy.inspect(link)
        schemas = [name for name in inspector.get_schema_names() if _ours(name)]
        return {
            "format": 1,
            "dialect": "postgresql",
            "server_version": [*version],
            "default_schema": inspector.default_schema_name,
            "schemas": [*schemas],
            "tables": [
                {**t, "partitioned": (t["schema"], t["name"]) in partitioned}
                for name in schemas
                for t in _tables(inspector, name, types)
            ],
            "views": [v for name in schemas for v in _views(inspector, name, types, views)],
            "enums": [e for name in schemas for e in _enums(inspector, name)],
            "domains": [d for name in schemas for d in _domains(inspector, name)],
            "sequences": [
                {"schema": schema, "name": sequence}
                for schema in schemas
                for sequence in inspector.get_sequence_names(schema)
            ],
            "extensions": [str(row[0]) for row in link.exec_driver_sql(_EXTENSIONS.decode())],
        }


def _ours(schema: str) -> bool:
    return schema != "information_schema" and not schema.startswith("pg_")


def _tables(inspector: "Inspector", schema: str, types: _Types) -> Iterable[dict[str, Json]]:
    columns = inspector.get_multi_columns(schema)
    keys: _Keyed = inspector.get_multi_pk_constraint(schema)
    foreign: _Keyed = inspector.get_multi_foreign_keys(schema)
    uniques: _Keyed = inspector.get_multi_unique_constraints(schema)
    checks: _Keyed = inspector.get_multi_check_constraints(schema)
    indexes: _Keyed = inspector.get_multi_indexes(schema)
    comments: _Keyed = inspector.get_multi_table_comment(schema)
    for key in sorted(columns, key=str):
        name = key[1]
        primary = keys.get(key) or {}
        yield {
            "schema": schema,
            "name": name,
            "comment": plain((comments.get(key) or {}).get("text")),
            "columns": [_column(c, types.get((schema, name, c["name"]))) for c in columns[key]],
            "primary_key": (
                {"name": primary.get("name"), "columns": [*primary["constrained_columns"]]}
                if primary.get("constrained_columns")
                else None
            ),
            "foreign_keys": plain(foreign.get(key)),
            "uniques": plain(uniques.get(key)),
            "checks": plain(checks.get(key)),
            "indexes": plain(indexes.get(key)),
        }


def _views(
    inspector: "Inspector",
    schema: str,
    types: _Types,
    views: Mapping[tuple[str, str], tuple[bool, str]],
) -> Iterable[Json]:
    from sqlalchemy.engine.reflection import ObjectKind

    columns: _Keyed = inspector.get_multi_columns(schema, kind=ObjectKind.ANY_VIEW)
    indexes: _Keyed = inspector.get_multi_indexes(schema, kind=ObjectKind.MATERIALIZED_VIEW)
    by_name = {key[1]: found for key, found in columns.items()}
    indexed = {key[1]: found for key, found in indexes.items()}
    for (owner, name), (materialized, definition) in views.items():
        if owner == schema:
            yield {
                "schema": schema,
                "name": name,
                "materialized": materialized,
                "definition": definition,
                "columns": [
                    _column(column, types.get((schema, name, column["name"])))
                    for column in by_name.get(name, ())
                ],
                "indexes": plain(indexed.get(name, [])) if materialized else [],
            }


def _enums(inspector: Any, schema: str) -> Iterable[Json]:
    """``inspector`` is the dialect's own Inspector, whose class SQLAlchemy picks at run time."""
    for enum in inspector.get_enums(schema):
        yield {"schema": schema, "name": enum["name"], "labels": [*enum["labels"]]}


def _domains(inspector: Any, schema: str) -> Iterable[Json]:
    for domain in inspector.get_domains(schema):
        yield {
            "schema": schema,
            "name": domain["name"],
            "type": domain["type"],
            "nullable": domain["nullable"],
            "default": plain(domain["default"]),
            "checks": [
                {"name": check["name"], "sqltext": check["check"]}
                for check in domain["constraints"]
            ],
        }


def _column(column: Mapping[str, Any], given: _Type | None) -> Json:
    rest = {key: plain(value) for key, value in column.items() if key != "type"}
    doubt: dict[str, Json] = {"not_validated": True} if given and given.not_validated else {}
    return {**rest, **doubt, "type": given.text if given else str(column["type"])}


def plain(value: object) -> Json:
    """The same value in JSON's terms; what it cannot hold is left out as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner) for inner in value]
    return value if isinstance(value, str | int | float | bool) else None
