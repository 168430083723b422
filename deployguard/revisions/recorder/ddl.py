"""Move the catalogue on by SQLAlchemy's and Alembic's constructs, and say which types they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import ddl_text
from .ddl_text import drop_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from .catalogue import Catalogue, Table

_TYPE_CHANGES = ("ColumnType", "PostgresqlColumnType", "MySQLModifyColumn", "MySQLChangeColumn")


def advance(catalogue: Catalogue, construct: Any, text: str, dialect: Any) -> None:
    """Apply one statement. What is not understood leaves the catalogue as it is."""
    for kind in type(construct).__mro__ if construct is not None else ():
        handler = _CONSTRUCTS.get(kind.__name__)
        if handler is not None:
            handler(catalogue, construct, dialect)
            return
    ddl_text.advance(catalogue, text)


def old_types(catalogue: Catalogue, construct: Any, text: str, dialect: Any) -> list[list[str]]:
    """[table, column, type] of each column whose type the statement changes, as far as it is known.

    MySQL's MODIFY states the whole column: there a fourth item says whether it was "not null".
    """
    columns: list[tuple[str | None, str, str, Any]]
    if type(construct).__name__ in _TYPE_CHANGES:
        columns = [
            (
                construct.schema,
                construct.table_name,
                construct.column_name,
                getattr(construct, "existing_type", None),
            )
        ]
    else:
        columns = [(*names, None) for names in ddl_text.retyped(text)]
    found = []
    for schema, table_name, column_name, existing in columns:
        table = catalogue.find(table_name, schema)
        column = table.columns.get(column_name, {}) if table else {}
        known = column.get("type")
        name = type_text(known if known is not None else existing, dialect)
        if name:
            own = f"{schema}.{table_name}" if schema else str(table_name)
            found.append([own, str(column_name), name])
        if name and "nullable" in column and dialect.name in ("mysql", "mariadb"):
            found[-1].append("" if column["nullable"] else "not null")
    return found


def type_text(value: Any, dialect: Any) -> str:
    """A type as DDL has it; "" when it is not known."""
    if value is None or isinstance(value, str):
        return value or ""
    try:
        return str(value.compile(dialect=dialect))
    except Exception:  # a type of the project's that cannot be named: the old type is then unknown
        return ""


def _create_table(catalogue: Catalogue, construct: Any, dialect: Any) -> None:
    source = construct.element
    key = (str(source.schema or catalogue.default_schema), str(source.name))
    catalogue.tables.pop(key, None)
    table = catalogue.ensure(source.name, source.schema)
    table.partitioned = bool(source.kwargs.get("postgresql_partition_by"))
    for column in source.columns:
        _column(table, column, dialect)
    for constraint in source.constraints:
        _constraint(catalogue, table, constraint)


def _column(table: Table, column: Any, dialect: Any) -> None:
    default = column.server_default
    text = None
    if default is not None and hasattr(default, "arg"):
        text = str(getattr(default.arg, "text", default.arg))
    kind = type(default).__name__
    table.columns[str(column.name)] = {
        "name": str(column.name),
        "type": column.type,
        "nullable": bool(column.nullable),
        "default": text,
        "comment": column.comment,
        "identity": {"always": False, "start": 1, "increment": 1} if kind == "Identity" else None,
        "computed": {"sqltext": text or "", "persisted": True} if kind == "Computed" else None,
    }


def _names(columns: Any) -> list[str]:
    return [str(getattr(column, "name", column)) for column in columns]


def _constraint(catalogue: Catalogue, table: Table, constraint: Any) -> None:
    kind = type(constraint).__name__
    name = str(constraint.name) if isinstance(constraint.name, str) else None
    columns = _names(getattr(constraint, "columns", ()))
    stem = "_".join([table.name, *columns])
    if kind == "PrimaryKeyConstraint":
        if columns:
            table.primary_key = {"name": name or table.name + "_pkey", "columns": columns}
    elif kind == "UniqueConstraint":
        table.uniques.append({"name": name or stem + "_key", "columns": columns})
    elif kind == "ForeignKeyConstraint":
        targets = [element.target_fullname.split(".") for element in constraint.elements]
        target = targets[0] if targets else [""]
        table.foreign_keys.append(
            {
                "name": name or stem + "_fkey",
                "columns": _names(constraint.column_keys),
                "schema": target[-3] if len(target) > 2 else None,
                "table": target[-2] if len(target) > 1 else target[-1],
                "referred": [parts[-1] for parts in targets],
                "options": {
                    key: value
                    for key, value in (
                        ("ondelete", constraint.ondelete),
                        ("onupdate", constraint.onupdate),
                    )
                    if value
                },
            }
        )
    elif kind == "CheckConstraint":
        later = bool(constraint.dialect_kwargs.get("postgresql_not_valid"))
        table.checks.append(
            {
                "name": name,
                "sqltext": str(constraint.sqltext),
                "dialect_options": {"not_valid": True} if later else {},
            }
        )


def _add_constraint(catalogue: Catalogue, construct: Any, _dialect: Any) -> None:
    owner = construct.element.table
    _constraint(catalogue, catalogue.ensure(owner.name, owner.schema), construct.element)


def _drop_constraint(catalogue: Catalogue, construct: Any, _dialect: Any) -> None:
    owner = construct.element.table
    catalogue.ensure(owner.name, owner.schema).drop_constraint(str(construct.element.name))


def _create_index(catalogue: Catalogue, construct: Any, _dialect: Any) -> None:
    index = construct.element
    table = catalogue.ensure(index.table.name, index.table.schema)
    columns = [
        str(item.name) if getattr(item, "name", None) else None for item in index.expressions
    ]
    table.indexes.append(
        {"name": str(index.name), "columns": columns, "unique": bool(index.unique)}
    )


def _add_column(catalogue: Catalogue, construct: Any, dialect: Any) -> None:
    _column(catalogue.ensure(construct.table_name, construct.schema), construct.column, dialect)


def _alter(
    change: Callable[[Table, dict[str, Any], Any], None],
) -> Callable[[Catalogue, Any, Any], None]:
    def apply(catalogue: Catalogue, construct: Any, _dialect: Any) -> None:
        table = catalogue.ensure(construct.table_name, construct.schema)
        name = str(construct.column_name)
        column = table.columns.setdefault(
            name, {"name": name, "type": None, "nullable": True, "default": None}
        )
        change(table, column, construct)

    return apply


def _change(catalogue: Catalogue, construct: Any, dialect: Any) -> None:
    """MySQL's MODIFY and CHANGE: everything about the column at once."""

    def change(table: Table, column: dict[str, Any], construct: Any) -> None:
        column.update(type=construct.type_, nullable=construct.nullable is not False)
        if getattr(construct, "newname", None):
            table.rename_column(str(construct.column_name), str(construct.newname))

    _alter(change)(catalogue, construct, dialect)


def _set_default(_table: Table, column: dict[str, Any], construct: Any) -> None:
    default = construct.default
    column["default"] = (
        None if default is None or default is False else str(getattr(default, "text", default))
    )


def _create_enum(catalogue: Catalogue, construct: Any, _dialect: Any) -> None:
    element = construct.element
    catalogue.enums[str(element.schema or catalogue.default_schema), str(element.name)] = list(
        element.enums
    )


def _drop_enum(catalogue: Catalogue, construct: Any, _dialect: Any) -> None:
    element = construct.element
    catalogue.enums.pop((str(element.schema or catalogue.default_schema), str(element.name)), None)


def _schema_name(construct: Any) -> str:
    return str(getattr(construct.element, "name", construct.element))


_CONSTRUCTS: dict[str, Callable[[Catalogue, Any, Any], None]] = {
    "CreateTable": _create_table,
    "DropTable": lambda c, e, d: drop_table(c, str(e.element.name), e.element.schema),
    "CreateIndex": _create_index,
    "DropIndex": lambda c, e, d: c.drop_index(str(e.element.name)),
    "AddConstraint": _add_constraint,
    "DropConstraint": _drop_constraint,
    "CreateSequence": lambda c, e, d: c.sequences.add(
        (e.element.schema or c.default_schema, str(e.element.name))
    ),
    "DropSequence": lambda c, e, d: c.sequences.discard(
        (e.element.schema or c.default_schema, str(e.element.name))
    ),
    "CreateSchema": lambda c, e, d: c.schemas.add(_schema_name(e)),
    "DropSchema": lambda c, e, d: c.schemas.discard(_schema_name(e)),
    "CreateEnumType": _create_enum,
    "DropEnumType": _drop_enum,
    "RenameTable": lambda c, e, d: c.rename(
        c.ensure(e.table_name, e.schema), str(e.new_table_name)
    ),
    "AddColumn": _add_column,
    "DropColumn": lambda c, e, d: c.ensure(e.table_name, e.schema).drop_column(str(e.column.name)),
    "ColumnNullable": _alter(lambda t, c, e: c.update(nullable=e.nullable)),
    "ColumnType": _alter(lambda t, c, e: c.update(type=e.type_)),
    "PostgresqlColumnType": _alter(lambda t, c, e: c.update(type=e.type_)),
    "ColumnName": _alter(lambda t, c, e: t.rename_column(str(e.column_name), str(e.newname))),
    "ColumnDefault": _alter(_set_default),
    "ColumnComment": _alter(lambda t, c, e: c.update(comment=e.comment)),
    "MySQLModifyColumn": _change,
    "MySQLChangeColumn": _change,
}
