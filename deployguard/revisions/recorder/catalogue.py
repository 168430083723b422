"""The schema as the recorder believes it: what the inspector is told, and what recorded DDL moves on.

It starts from the target catalogue in the JSON of deployguard's `database/catalogue.py`, or empty. Every key may be
missing.
"""

from __future__ import annotations

from typing import Any

from .names import split


class Table:
    """One relation; columns in order, each a dict with name, type (text or a SQLAlchemy type), nullable, default."""

    def __init__(self, schema: str, name: str, kind: str = "table") -> None:
        self.schema = schema
        self.name = name
        self.kind = kind
        self.partitioned: bool | None = None  # None: nobody told
        self.columns: dict[str, dict[str, Any]] = {}
        self.primary_key: dict[str, Any] = {"name": None, "columns": []}
        self.foreign_keys: list[dict[str, Any]] = []
        self.uniques: list[dict[str, Any]] = []
        self.checks: list[dict[str, Any]] = []
        self.indexes: list[dict[str, Any]] = []
        self.parent: tuple[str, str] | None = None  # of a partition

    def rename_column(self, old: str, new: str) -> None:
        """Keep the order; keys and indexes follow."""
        self.columns = {
            (new if name == old else name): column for name, column in self.columns.items()
        }
        if new in self.columns:
            self.columns[new]["name"] = new
        for holder in (self.primary_key, *self.foreign_keys, *self.uniques, *self.indexes):
            holder["columns"] = [new if name == old else name for name in holder["columns"]]

    def drop_column(self, name: str) -> None:
        """What stands on the column goes with it."""
        self.columns.pop(name, None)
        if name in self.primary_key["columns"]:
            self.primary_key = {"name": None, "columns": []}
        for kind in ("foreign_keys", "uniques", "indexes"):
            setattr(
                self, kind, [item for item in getattr(self, kind) if name not in item["columns"]]
            )

    def rename_constraint(self, old: str, new: str) -> None:
        """Whatever kind it is."""
        for holder in (self.primary_key, *self.foreign_keys, *self.uniques, *self.checks):
            if holder["name"] == old:
                holder["name"] = new

    def validate(self, name: str) -> None:
        """A check that was NOT VALID holds for every row from now on."""
        for check in self.checks:
            if check.get("name") == name:
                check["dialect_options"] = {}

    def drop_constraint(self, name: str) -> None:
        """Whatever kind it is."""
        if self.primary_key["name"] == name:
            self.primary_key = {"name": None, "columns": []}
        for kind in ("foreign_keys", "uniques", "checks"):
            setattr(self, kind, [item for item in getattr(self, kind) if item["name"] != name])


class Catalogue:
    """All that the inspector can be asked about."""

    moving = False  # a statement is applied: that is no question

    def __init__(self, json: dict[str, Any] | None) -> None:
        json = json or {}
        self.sure = True  # False after something that may have changed it unseen
        self.default_schema: str = json.get("default_schema") or "public"
        self.server_version = tuple(json.get("server_version") or ())
        self.schemas = {self.default_schema, "information_schema", *json.get("schemas", ())}
        self.extensions = set(json.get("extensions", ()))
        self.tables: dict[tuple[str, str], Table] = {}
        self.enums = {
            self._key(item): list(item.get("labels", ())) for item in json.get("enums", ())
        }
        self.domains = {self._key(item): item.get("type", "") for item in json.get("domains", ())}
        self.constrained = {
            self._key(item)
            for item in json.get("domains", ())
            if item.get("checks") or item.get("nullable") is False
        }
        self.sequences = {self._key(item) for item in json.get("sequences", ())}
        for item in json.get("tables", ()):
            self._load(item, "table")
        for item in json.get("views", ()):
            self._load(item, "materialized view" if item.get("materialized") else "view")

    def _key(self, item: dict[str, Any]) -> tuple[str, str]:
        return (item.get("schema") or self.default_schema, item["name"])

    def _load(self, item: dict[str, Any], kind: str) -> None:
        table = Table(*self._key(item), kind)
        self.tables[table.schema, table.name] = table
        table.columns = {column["name"]: dict(column) for column in item.get("columns") or ()}
        table.partitioned = item.get("partitioned")
        table.primary_key = dict(item.get("primary_key") or table.primary_key)
        table.foreign_keys = [_foreign_key(entry) for entry in item.get("foreign_keys") or ()]
        table.uniques = [_keyed(entry) for entry in item.get("uniques") or ()]
        table.checks = [dict(entry) for entry in item.get("checks") or ()]
        table.indexes = [_keyed(entry) for entry in item.get("indexes") or ()]

    def qualified(self, name: str) -> tuple[str, str]:
        """(schema, name) of an identifier as SQL has it."""
        schema, bare = split(name)
        return schema or self.default_schema, bare

    def find(self, name: str, schema: str | None = None) -> Table | None:
        """The table of that name, in the default schema unless one is given."""
        return self.tables.get((str(schema or self.default_schema), str(name)))

    def ensure(self, name: str, schema: str | None = None) -> Table:
        """The table of that name; made without columns when the catalogue does not have it."""
        key = (str(schema or self.default_schema), str(name))
        return self.tables.setdefault(key, Table(*key))

    def rename(self, table: Table, name: str, schema: str | None = None) -> None:
        """Rename or move a table; foreign keys follow."""
        old = (table.schema, table.name)
        self.tables.pop(old, None)
        table.name, table.schema = name, schema or table.schema
        self.tables[table.schema, table.name] = table
        for other in self.tables.values():
            for key in other.foreign_keys:
                if ((key.get("schema") or self.default_schema), key["table"]) == old:
                    key["schema"], key["table"] = table.schema, table.name
            if other.parent == old:
                other.parent = (table.schema, table.name)

    def attach(self, parent: Table, partition: Table) -> None:
        """Make one table a partition of another."""
        parent.partitioned, partition.parent = True, (parent.schema, parent.name)

    def drop_index(self, name: str) -> None:
        """Index names are unique in a schema, so the table does not matter."""
        for table in self.tables.values():
            table.indexes = [index for index in table.indexes if index["name"] != name]

    def named(
        self, names: set[tuple[str, str]] | dict[tuple[str, str], Any], schema: str | None
    ) -> list[str]:
        """The names in one schema, sorted."""
        wanted = schema or self.default_schema
        return sorted(name for owner, name in names if owner == wanted)


def _keyed(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "columns": list(entry.get("column_names") or ())}


def _foreign_key(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": entry.get("name"),
        "columns": list(entry.get("constrained_columns") or ()),
        "schema": entry.get("referred_schema"),
        "table": entry.get("referred_table"),
        "referred": list(entry.get("referred_columns") or ()),
        "options": dict(entry.get("options") or {}),
    }
