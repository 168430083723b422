"""The schema that the history made, for the rules: in the terms of `database/catalogue.py`, where it is sure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .catalogue import Catalogue, Table


def believed(catalogue: Catalogue, dialect: str) -> dict[str, Any] | None:
    """What a rule may count on; None when something may have changed the schema unseen.

    Only the keys that tell what nobody has to ask a database for: which columns are required, the checks and
    whether they hold for every row, indexes, foreign keys, partitions, and the domains with a constraint (as if it
    were NOT NULL: one is as good as another).
    """
    if not catalogue.sure:
        return None
    return {
        "dialect": dialect,
        "default_schema": catalogue.default_schema,
        "tables": [_table(table) for table in catalogue.tables.values() if table.kind == "table"],
        "domains": [
            {"schema": schema, "name": name, "nullable": False}
            for schema, name in sorted(catalogue.constrained)
        ],
    }


def _table(table: Table) -> dict[str, Any]:
    keys = set(table.primary_key["columns"])
    return {
        "schema": table.schema,
        "name": table.name,
        "partitioned": table.partitioned,
        "partition_of": list(table.parent) if table.parent else None,
        "columns": [
            {
                "name": str(name),
                "nullable": name not in keys and column.get("nullable") is not False,
            }
            for name, column in table.columns.items()
        ],
        "checks": [
            {
                "name": check.get("name"),
                "sqltext": str(check.get("sqltext") or ""),
                "dialect_options": {
                    "not_valid": bool((check.get("dialect_options") or {}).get("not_valid"))
                },
            }
            for check in table.checks
        ],
        "indexes": [
            {
                "name": index.get("name"),
                "column_names": _names(index.get("columns")),
                "unique": bool(index.get("unique")),
            }
            for index in table.indexes
        ],
        "foreign_keys": [
            {
                "name": key.get("name"),
                "constrained_columns": _names(key.get("columns")),
                "referred_schema": key.get("schema"),
                "referred_table": key.get("table"),
            }
            for key in table.foreign_keys
        ],
    }


def _names(columns: Any) -> list[str | None]:
    return [None if name is None else str(name) for name in columns or ()]
