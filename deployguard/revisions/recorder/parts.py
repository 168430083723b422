"""The recorder's catalogue as rows of information_schema and pg_catalog, as far as they are known exactly."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from .types import ALIASES

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from .catalogue import Catalogue, Table

TABLES = {
    "information_schema.schemata": "schema_name",
    "information_schema.tables": "table_schema, table_name, table_type",
    "information_schema.views": "table_schema, table_name",
    "information_schema.sequences": "sequence_schema, sequence_name",
    "information_schema.columns": "table_schema, table_name, column_name, ordinal_position, is_nullable, data_type,"
    " character_maximum_length, udt_name",
    "information_schema.table_constraints": "constraint_schema, constraint_name, table_schema, table_name,"
    " constraint_type",
    "information_schema.key_column_usage": "constraint_schema, constraint_name, table_schema, table_name,"
    " column_name, ordinal_position",
    "information_schema.constraint_column_usage": "constraint_schema, constraint_name, table_schema, table_name,"
    " column_name",
    "pg_catalog.pg_namespace": "oid, nspname",
    "pg_catalog.pg_class": "oid, relname, relnamespace, relkind",
    "pg_catalog.pg_attribute": "attrelid, attname, attnum, attnotnull, attisdropped",
    "pg_catalog.pg_type": "oid, typname, typnamespace, typtype",
    "pg_catalog.pg_enum": "oid, enumtypid, enumlabel, enumsortorder",
    "pg_catalog.pg_constraint": "oid, conname, connamespace, conrelid, contype, confrelid",
    "pg_catalog.pg_index": "indexrelid, indrelid, indisunique, indisprimary",
    "pg_catalog.pg_indexes": "schemaname, tablename, indexname",
    "pg_catalog.pg_tables": "schemaname, tablename",
    "pg_catalog.pg_views": "schemaname, viewname",
    "pg_catalog.pg_matviews": "schemaname, matviewname",
    "pg_catalog.pg_sequences": "schemaname, sequencename",
    "pg_catalog.pg_extension": "oid, extname",
}
_KINDS = {"table": "r", "view": "v", "materialized view": "m"}
_WRITTEN = re.compile(r'"?([a-z][\w ]*?)"?\s*(?:\((\d+)(?:,\s*\d+)?\))?( with(?:out)? time zone)?')
_TYPED = re.compile(r"\b(data_type|udt_name|character_maximum_length)\b", re.IGNORECASE)
_BUILTIN = """bool bytea char int8 int2 int4 text oid json jsonb xml point line box path polygon circle float4 float8
money cidr inet macaddr bpchar varchar date time timestamp timestamptz interval timetz bit varbit numeric uuid name
tsvector tsquery int4range int8range numrange tsrange tstzrange daterange regclass record void""".split()  # noqa: SIM905 - a list of a hundred strings reads worse
_UDT = {
    "integer": "int4", "smallint": "int2", "bigint": "int8", "boolean": "bool", "character varying": "varchar",
    "character": "bpchar", "real": "float4", "double precision": "float8", "timestamp": "timestamp",
    "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
}  # fmt: skip
_WORDED = {"timestamp": "timestamp without time zone", "time": "time without time zone"}


def fill(
    database: sqlite3.Connection, catalogue: Catalogue, wanted: set[str], text: str
) -> dict[Any, int] | None:
    """Make the `wanted` tables; returns the identifiers of relations. None: a type that is asked for is not known."""
    rows = _Rows(catalogue)
    for name in wanted:
        columns = TABLES[name].split(", ")
        database.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
        method = "every_table" if name == "information_schema.tables" else name.partition(".")[2]
        found = list(getattr(rows, method)())
        if (
            name.endswith(".columns")
            and _TYPED.search(text)
            and any(row[5] is None for row in found)
        ):
            return None
        marks = ", ".join("?" * len(columns))
        database.executemany(f"INSERT INTO {name} VALUES ({marks})", found)  # noqa: S608 - names of TABLES
    return rows.relations


class _Rows:
    """One method for each table of TABLES."""

    def __init__(self, catalogue: Catalogue) -> None:
        self.catalogue = catalogue
        self.schemas = {
            name: 1 + at for at, name in enumerate(sorted(catalogue.schemas | {"pg_catalog"}))
        }
        self.tables = [catalogue.tables[key] for key in sorted(catalogue.tables)]
        self.kinds: dict[Any, str] = {
            (one.schema, one.name): _KINDS.get(one.kind, "r") for one in self.tables
        }
        self.kinds.update(
            {(one.schema, name): "i" for one in self.tables for name, *_ in _indexes(one)}
        )
        self.kinds.update(dict.fromkeys(sorted(catalogue.sequences), "S"))
        self.relations = {key: 16384 + at for at, key in enumerate(self.kinds)}
        self.types = {
            key: 65536 + at for at, key in enumerate([*catalogue.enums, *catalogue.domains])
        }

    def _space(self, schema: str) -> int:
        return self.schemas.setdefault(schema, 1000 + len(self.schemas))

    def schemata(self) -> Iterator[Any]:
        yield from ((name,) for name in self.schemas)

    def _of_kind(self, *kinds: str) -> Iterator[tuple[str, str]]:
        yield from ((one.schema, one.name) for one in self.tables if one.kind in kinds)

    def every_table(self) -> Iterator[Any]:
        yield from ((*key, "BASE TABLE") for key in self._of_kind("table"))
        yield from ((*key, "VIEW") for key in self._of_kind("view"))

    def views(self) -> Iterator[Any]:
        return self._of_kind("view")

    pg_views = views

    def pg_tables(self) -> Iterator[Any]:
        return self._of_kind("table")

    def pg_matviews(self) -> Iterator[Any]:
        return self._of_kind("materialized view")

    def sequences(self) -> Iterator[Any]:
        yield from sorted(self.catalogue.sequences)

    pg_sequences = sequences

    def columns(self) -> Iterator[Any]:
        return self._columns("table", "view")

    def _columns(self, *kinds: str) -> Iterator[Any]:
        for one in self.tables:
            if one.kind not in kinds:
                continue
            for at, (name, column) in enumerate(one.columns.items(), 1):
                nullable = column.get("nullable", True) and name not in one.primary_key["columns"]
                kind = self._typed(column.get("type"))
                yield (one.schema, one.name, name, at, "YES" if nullable else "NO", *kind)

    def _typed(self, kind: Any) -> tuple[str | None, int | None, str | None]:
        """(data_type, character_maximum_length, udt_name), or (None, None, None)."""
        try:
            text = kind if isinstance(kind, str) else str(kind.compile(dialect=_postgresql()))
        except Exception:  # a type of the project's own
            return None, None, None
        match = re.fullmatch(
            r'"?([a-z][\w ]*?)"?\s*(?:\((\d+)(?:,\s*\d+)?\))?( with(?:out)? time zone)?',
            text.lower(),
        )
        if match is None:
            return None, None, None
        name = ALIASES.get(match.group(1), match.group(1)) + (match.group(3) or "")
        name = _WORDED.get(name, name)
        if any(known == name for _, known in self.types):
            return "USER-DEFINED", None, name
        udt = _UDT.get(name, name)
        length = int(match.group(2)) if match.group(2) and name.startswith("character") else None
        return (name, length, udt) if udt in _BUILTIN else (None, None, None)

    def _constraints(self) -> Iterator[tuple[Table, str, str, list[str], dict[str, Any]]]:
        for one in self.tables:
            if one.primary_key["columns"]:
                yield one, one.primary_key["name"], "p", one.primary_key["columns"], {}
            for entry in one.foreign_keys:
                yield one, entry["name"], "f", entry["columns"], entry
            for entry in one.uniques:
                yield one, entry["name"], "u", entry["columns"], entry
            for entry in one.checks:
                yield one, entry["name"], "c", [], entry

    def table_constraints(self) -> Iterator[Any]:
        words = {"p": "PRIMARY KEY", "f": "FOREIGN KEY", "u": "UNIQUE", "c": "CHECK"}
        for one, name, kind, _, _ in self._constraints():
            yield one.schema, name, one.schema, one.name, words[kind]

    def key_column_usage(self) -> Iterator[Any]:
        for one, name, kind, columns, _ in self._constraints():
            for at, column in enumerate(columns if kind != "c" else (), 1):
                yield one.schema, name, one.schema, one.name, column, at

    def constraint_column_usage(self) -> Iterator[Any]:
        for one, name, kind, columns, entry in self._constraints():
            schema, table = (one.schema, one.name) if kind != "f" else self._target(entry)
            for column in columns if kind != "f" else entry["referred"]:
                yield one.schema, name, schema, table, column

    def _target(self, entry: dict[str, Any]) -> tuple[str, str]:
        return entry.get("schema") or self.catalogue.default_schema, entry["table"]

    def pg_namespace(self) -> Iterator[Any]:
        yield from ((oid, name) for name, oid in self.schemas.items())

    def pg_class(self) -> Iterator[Any]:
        for key, kind in self.kinds.items():
            yield self.relations[key], key[1], self._space(key[0]), kind

    def pg_attribute(self) -> Iterator[Any]:
        for schema, table, name, at, nullable, *_ in self._columns(*_KINDS):
            yield self.relations[schema, table], name, at, nullable == "NO", 0

    def pg_type(self) -> Iterator[Any]:
        for key, oid in self.types.items():
            yield oid, key[1], self._space(key[0]), "e" if key in self.catalogue.enums else "d"
        for one in self.tables:
            yield (
                self.relations[one.schema, one.name] + 10**6,
                one.name,
                self._space(one.schema),
                "c",
            )
        yield from (
            (at, name, self._space("pg_catalog"), "b") for at, name in enumerate(_BUILTIN, 10)
        )

    def pg_enum(self) -> Iterator[Any]:
        for key, labels in self.catalogue.enums.items():
            yield from (
                (10**7 + at, self.types[key], label, float(at))
                for at, label in enumerate(labels, 1)
            )

    def pg_constraint(self) -> Iterator[Any]:
        for at, (one, name, kind, _, entry) in enumerate(self._constraints(), 10**8):
            other = self.relations.get(self._target(entry), 0) if kind == "f" else 0
            yield (
                at,
                name,
                self._space(one.schema),
                self.relations[one.schema, one.name],
                kind,
                other,
            )

    def pg_indexes(self) -> Iterator[Any]:
        yield from (
            (one.schema, one.name, name) for one in self.tables for name, *_ in _indexes(one)
        )

    def pg_index(self) -> Iterator[Any]:
        for one in self.tables:
            for name, unique, primary in _indexes(one):
                yield (
                    self.relations[one.schema, name],
                    self.relations[one.schema, one.name],
                    unique,
                    primary,
                )

    def pg_extension(self) -> Iterator[Any]:
        yield from enumerate(sorted(self.catalogue.extensions | {"plpgsql"}), 1)


def _indexes(table: Table) -> list[tuple[str, bool, bool]]:
    """(name, unique, primary), those of constraints too."""
    found: dict[str, tuple[str, bool, bool]] = {}
    if table.primary_key["columns"]:
        found[table.primary_key["name"]] = (table.primary_key["name"], True, True)
    for entry in table.uniques:
        found[entry["name"]] = (entry["name"], True, False)
    for entry in table.indexes:
        found.setdefault(entry["name"], (entry["name"], bool(entry.get("unique")), False))
    return list(found.values())


def _postgresql() -> Any:
    from sqlalchemy.dialects import postgresql

    return postgresql.dialect()  # type: ignore[no-untyped-call]  # in SQLAlchemy 1.4
