"""The safe forms of constraints: added NOT VALID and validated later, or put upon an index built concurrently."""

from deployguard.operations import AddColumn, AddConstraint, Constraint, SetNotNull
from deployguard.rules.context import Context
from deployguard.rules.forms import spelled, written
from deployguard.rules.forms.added import add_column
from deployguard.rules.forms.spelled import (
    bounded,
    dotted,
    execute,
    identifier,
    own,
    quoted,
    schema,
)
from deployguard.rules.forms.stages import (
    NEXT_REVISION,
    duplicates,
    look_first,
    not_valid,
    unique_index,
    validate,
)


def _orphans(operation: AddConstraint | AddColumn, other: str, columns: tuple[str, ...]) -> str:
    mine = operation.columns if isinstance(operation, AddConstraint) else (operation.column,)
    if len(mine) != len(columns) or not columns:
        return ""
    joined = " AND ".join(
        f"b.{identifier(there)} = a.{identifier(here)}"
        for here, there in zip(mine, columns, strict=True)
    )
    filled = " AND ".join(f"a.{identifier(name)} IS NOT NULL" for name in mine)
    return look_first(
        f"SELECT count(*) FROM {dotted(operation.table)} a WHERE {filled}"  # noqa: S608 - shown, never run
        f" AND NOT EXISTS (SELECT FROM {dotted(other)} b WHERE {joined})"
    )


def foreign_key(operation: object, ctx: Context) -> tuple[str, ...]:
    if isinstance(operation, AddColumn):
        return _column_with_foreign_key(operation, written.referred(ctx.sql))
    if not isinstance(operation, AddConstraint) or operation.references is None:
        return ()
    table, other = operation.table, operation.references
    _, short = spelled.split(table)
    name = operation.name or bounded(short, *operation.columns, "fkey")
    read = written.foreign_key(ctx.sql, operation)
    if read is None:
        return ()
    first = _orphans(operation, other, read.columns)
    if not read.complete:
        added = execute(
            f"ALTER TABLE {dotted(table)} ADD CONSTRAINT {identifier(name)} {read.text} NOT VALID"
        )
        return (first, added, NEXT_REVISION, validate(table, name))
    options = "".join(f", {keyword}={value}" for keyword, value in read.options)
    added = (
        f"op.create_foreign_key({quoted(name)}, {own(table)}, {own(other)},"
        f" {spelled.listed(operation.columns)}, {spelled.listed(read.columns)}"
        f"{schema(table, 'source_schema')}{schema(other, 'referent_schema')}{options},"
        " postgresql_not_valid=True)"
    )
    return (first, added, NEXT_REVISION, validate(table, name))


def _column_with_foreign_key(operation: AddColumn, columns: tuple[str, ...]) -> tuple[str, ...]:
    _, short = spelled.split(operation.table)
    name = bounded(short, operation.column, "fkey")
    there = f" ({', '.join(map(identifier, columns))})" if columns else ""
    added = execute(
        f"ALTER TABLE {dotted(operation.table)} ADD CONSTRAINT {identifier(name)} FOREIGN KEY"
        f" ({identifier(operation.column)}) REFERENCES {dotted(operation.references or '')}{there} NOT VALID"
    )
    return (add_column(operation), added, NEXT_REVISION, validate(operation.table, name))


def check(operation: object, ctx: Context) -> tuple[str, ...]:
    before: tuple[str, ...] = ()
    columns: tuple[str, ...]
    if isinstance(operation, AddColumn):
        columns, expression, name = (operation.column,), written.check(ctx.sql), ""
        before = (add_column(operation),)
    elif isinstance(operation, AddConstraint):
        columns, name = operation.columns, operation.name
        nulls = operation.kind is Constraint.NOT_NULL and bool(columns)
        expression = f"{identifier(columns[0])} IS NOT NULL" if nulls else operation.expression
    else:
        return ()
    if not expression:
        return ()
    table = operation.table
    _, short = spelled.split(table)
    name = name or bounded(short, *columns, "check")
    first = look_first(f"SELECT count(*) FROM {dotted(table)} WHERE NOT ({expression})")  # noqa: S608 - shown, never run
    return (
        *(before or (first,)),
        not_valid(table, name, expression),
        NEXT_REVISION,
        validate(table, name),
    )


def unique(operation: object, ctx: Context) -> tuple[str, ...]:
    del ctx
    before: tuple[str, ...] = ()
    columns: tuple[str, ...]
    if isinstance(operation, AddColumn):
        columns, name = (operation.column,), ""
        before = (add_column(operation), NEXT_REVISION)
    elif isinstance(operation, AddConstraint) and operation.columns:
        columns, name = operation.columns, operation.name
    else:
        return ()
    table = operation.table
    _, short = spelled.split(table)
    name = name or bounded(short, *columns, "key")
    used = (
        f"ALTER TABLE {dotted(table)} ADD CONSTRAINT {identifier(name)} UNIQUE USING INDEX"
        f" {identifier(name)}"
    )
    return (
        *(before or (duplicates(table, columns),)),
        *unique_index(table, name, columns),
        NEXT_REVISION,
        execute(used),
    )


def primary_key(operation: object, ctx: Context) -> tuple[str, ...]:
    if not isinstance(operation, AddConstraint) or not operation.columns:
        return ()
    table, columns = operation.table, operation.columns
    _, short = spelled.split(table)
    name = operation.name or bounded(short, "pkey")
    used = (
        f"ALTER TABLE {dotted(table)} ADD CONSTRAINT {identifier(name)} PRIMARY KEY USING INDEX"
        f" {identifier(name)}"
    )
    return (
        duplicates(table, columns),
        *unique_index(table, name, columns),
        NEXT_REVISION,
        *required_columns(table, columns, ctx),
        execute(used),
    )


def required_columns(table: str, columns: tuple[str, ...], ctx: Context) -> tuple[str, ...]:
    """NOT NULL without a scan under an ACCESS EXCLUSIVE lock: by way of a CHECK that is validated first."""
    added: list[str] = []
    validated: list[str] = []
    required: list[str] = []
    for column in columns:
        name = bounded(column, "not_null")
        if (ctx.key(table), column) not in ctx.fresh.filled:
            nulls = f"SELECT count(*) FROM {dotted(table)} WHERE {identifier(column)} IS NULL"  # noqa: S608 - shown
            added.append(look_first(nulls))
        added.append(not_valid(table, name, f"{identifier(column)} IS NOT NULL"))
        validated.append(validate(table, name))
        call = f"op.alter_column({own(table)}, {quoted(column)}, nullable=False{schema(table)})"
        required.append(f"{call}  # no scan: the check proves it")
        required.append(
            f'op.drop_constraint({quoted(name)}, {own(table)}{schema(table)}, type_="check")'
        )
    return (*added, NEXT_REVISION, *validated, NEXT_REVISION, *required)


def set_not_null(operation: object, ctx: Context) -> tuple[str, ...]:
    if not isinstance(operation, SetNotNull):
        return ()
    return required_columns(operation.table, (operation.column,), ctx)
