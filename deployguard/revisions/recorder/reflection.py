"""What the inspector hears: the catalogue in the shapes that SQLAlchemy's dialects give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .types import resolve

if TYPE_CHECKING:
    from .catalogue import Table
    from .state import State

# Every question that a dialect answers for the inspector; get_multi_* are made of these by SQLAlchemy itself.
QUESTIONS = [
    "has_table",
    "has_index",
    "has_sequence",
    "has_schema",
    "has_type",
    "get_table_names",
    "get_view_names",
    "get_schema_names",
    "get_materialized_view_names",
    "get_temp_table_names",
    "get_temp_view_names",
    "get_sequence_names",
    "get_columns",
    "get_pk_constraint",
    "get_foreign_keys",
    "get_indexes",
    "get_unique_constraints",
    "get_check_constraints",
    "get_table_comment",
    "get_table_options",
    "get_view_definition",
    "get_enums",
    "get_domains",
    "get_table_oid",
]


class Answers:
    """The dialect's methods, by name, over the recorder's state. Signatures are those of SQLAlchemy's Dialect."""

    def __init__(self, state: State) -> None:
        self.state = state

    def _table(self, name: str, schema: str | None) -> Table:
        table = self.state.catalogue.find(name, schema)
        if table is None:
            from sqlalchemy.exc import NoSuchTableError

            raise NoSuchTableError(f"{schema}.{name}" if schema else name)
        return table

    def has_table(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> bool:
        return self.state.catalogue.find(name, schema) is not None

    def has_index(
        self,
        _dialect: Any,
        _connection: Any,
        table: str,
        index: str,
        schema: str | None = None,
        **_kw: Any,
    ) -> bool:
        found = self.state.catalogue.find(table, schema)
        return found is not None and any(entry["name"] == index for entry in found.indexes)

    def has_sequence(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> bool:
        return (
            schema or self.state.catalogue.default_schema,
            name,
        ) in self.state.catalogue.sequences

    def has_schema(self, _dialect: Any, _connection: Any, name: str, **_kw: Any) -> bool:
        return name in self.state.catalogue.schemas

    def has_type(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> bool:
        catalogue = self.state.catalogue
        key = (schema or catalogue.default_schema, name)
        return key in catalogue.enums or key in catalogue.domains

    def _relations(self, schema: str | None, *kinds: str) -> list[str]:
        wanted = schema or self.state.catalogue.default_schema
        tables = self.state.catalogue.tables.values()
        return sorted(
            table.name for table in tables if table.schema == wanted and table.kind in kinds
        )

    def get_table_names(
        self, _dialect: Any, _connection: Any, schema: str | None = None, **_kw: Any
    ) -> list[str]:
        return self._relations(schema, "table")

    def get_view_names(
        self, _dialect: Any, _connection: Any, schema: str | None = None, **_kw: Any
    ) -> list[str]:
        return self._relations(schema, "view")

    def get_materialized_view_names(
        self, _dialect: Any, _connection: Any, schema: str | None = None, **_kw: Any
    ) -> list[str]:
        return self._relations(schema, "materialized view")

    def get_temp_table_names(self, *_args: Any, **_kw: Any) -> list[str]:
        return []

    get_temp_view_names = get_temp_table_names

    def get_schema_names(self, _dialect: Any, _connection: Any, **_kw: Any) -> list[str]:
        return sorted(self.state.catalogue.schemas)

    def get_sequence_names(
        self, _dialect: Any, _connection: Any, schema: str | None = None, **_kw: Any
    ) -> list[str]:
        return self.state.catalogue.named(self.state.catalogue.sequences, schema)

    def get_columns(
        self, dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> Any:
        columns = []
        for column in self._table(name, schema).columns.values():
            entry = {
                "name": column["name"],
                "type": resolve(column.get("type"), dialect, self.state.catalogue),
                "nullable": column.get("nullable", True),
                "default": column.get("default"),
                "autoincrement": bool(column.get("identity"))
                or str(column.get("default")).startswith("nextval("),
                "comment": column.get("comment"),
            }
            for special in ("identity", "computed"):
                if column.get(special):
                    entry[special] = column[special]
                    entry["default"] = None
            columns.append(entry)
        return columns

    def get_pk_constraint(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> Any:
        key = self._table(name, schema).primary_key
        return {"constrained_columns": list(key["columns"]), "name": key["name"]}

    def get_foreign_keys(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> Any:
        return [
            {
                "name": key["name"],
                "constrained_columns": list(key["columns"]),
                "referred_schema": self._other_schema(key.get("schema"), schema),
                "referred_table": key["table"],
                "referred_columns": list(key.get("referred", ())),
                "options": dict(key.get("options", {})),
            }
            for key in self._table(name, schema).foreign_keys
        ]

    def _other_schema(self, schema: str | None, asked: str | None) -> str | None:
        return None if asked is None and schema == self.state.catalogue.default_schema else schema

    def get_indexes(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> Any:
        found = []
        for index in self._table(name, schema).indexes:
            entry = {
                "name": index["name"],
                "unique": bool(index.get("unique")),
                "column_names": list(index["columns"]),
                "include_columns": [],
                "dialect_options": {},
            }
            if index.get("duplicates_constraint"):
                entry["duplicates_constraint"] = index["duplicates_constraint"]
            found.append(entry)
        return found

    def get_unique_constraints(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> Any:
        table = self._table(name, schema)
        return [
            {"name": item["name"], "column_names": list(item["columns"])} for item in table.uniques
        ]

    def get_check_constraints(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> Any:
        return [
            {"name": item["name"], "sqltext": item["sqltext"]}
            for item in self._table(name, schema).checks
        ]

    def get_table_comment(
        self, _dialect: Any, _connection: Any, name: str, schema: str | None = None, **_kw: Any
    ) -> Any:
        self._table(name, schema)
        return {"text": None}

    def get_table_options(self, *_args: Any, **_kw: Any) -> Any:
        return {}

    def get_view_definition(self, *_args: Any, **_kw: Any) -> str:
        return ""

    def get_table_oid(self, *_args: Any, **_kw: Any) -> int:
        return 1

    def get_enums(
        self, _dialect: Any, _connection: Any, schema: str | None = None, **_kw: Any
    ) -> Any:
        catalogue = self.state.catalogue
        return [
            {
                "name": name,
                "schema": owner,
                "visible": owner == catalogue.default_schema,
                "labels": list(values),
            }
            for (owner, name), values in catalogue.enums.items()
            if schema in (None, "*", owner)
        ]

    def get_domains(self, *_args: Any, **_kw: Any) -> Any:
        return []
