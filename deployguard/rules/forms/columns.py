"""The safe forms of columns and tables: expand, deploy, fill, require, and only then contract."""

from deployguard.operations import AddColumn, AlterType, DropColumn, DropTable, RenameTable
from deployguard.rules.context import Context
from deployguard.rules.forms import spelled
from deployguard.rules.forms.added import add_column
from deployguard.rules.forms.constraints import required_columns
from deployguard.rules.forms.spelled import (
    bounded,
    dotted,
    execute,
    identifier,
    own,
    quoted,
    schema,
)
from deployguard.rules.forms.stages import IN_BATCHES, NEXT_RELEASE, look_first
from deployguard.rules.narrowing import Narrowing, misfits, narrowing

_FILL = "# deploy the code that writes it, and fill the old rows in batches, outside of a migration"


def add_required(operation: object, ctx: Context) -> tuple[str, ...]:
    """The staged way to a column that must have a value: add, deploy, fill, require."""
    if not isinstance(operation, AddColumn):
        return ()
    return (
        add_column(operation, bare=True),
        _FILL,
        NEXT_RELEASE,
        *required_columns(operation.table, (operation.column,), ctx),
    )


def computed_default(operation: object, ctx: Context) -> tuple[str, ...]:
    """A value for each row: only new rows get it at once, the old ones in batches."""
    if not isinstance(operation, AddColumn) or not operation.default_sql:
        return ()
    return (
        add_column(operation, bare=True),
        _default(operation, operation.default_sql),
        IN_BATCHES,
        *_then_required(operation, ctx),
    )


def _then_required(operation: AddColumn, ctx: Context) -> tuple[str, ...]:
    if operation.nullable:
        return ()
    return (NEXT_RELEASE, *required_columns(operation.table, (operation.column,), ctx))


def _default(operation: AddColumn, default: str) -> str:
    return (
        f"op.alter_column({own(operation.table)}, {quoted(operation.column)},"
        f" server_default=sa.text({spelled.text(default)}){schema(operation.table)})"
    )


def counted(operation: object, ctx: Context) -> tuple[str, ...]:
    """Serial and identity by hand: a sequence, a default for new rows, and the old ones in batches."""
    if not isinstance(operation, AddColumn):
        return ()
    table, column = operation.table, operation.column
    if operation.generated not in {"serial", "identity"}:
        return (add_column(operation, bare=True), _FILL)
    _, short = spelled.split(table)
    sequence = spelled.beside(table, bounded(short, column, "seq"))
    default = f"nextval({spelled.literal(sequence)})"
    return (
        execute(f"CREATE SEQUENCE {sequence}"),
        add_column(operation, bare=True),
        _default(operation, default),
        execute(f"ALTER SEQUENCE {sequence} OWNED BY {dotted(table)}.{identifier(column)}"),
        IN_BATCHES,
        *_then_required(operation, ctx),
    )


def new_type(operation: object, ctx: Context) -> tuple[str, ...]:
    """Expand and contract: a second column of the new type; only its end, the drop, is risky by nature."""
    del ctx
    if not isinstance(operation, AlterType):
        return ()
    table, column = operation.table, operation.column
    new = bounded(column, "new")
    fits = narrowing(operation.old_type, operation.type, operation.using_sql, column)
    query = misfits(identifier(column), dotted(table), operation.type)
    return (
        look_first(query) if fits is Narrowing.FAILS and query.startswith("SELECT count") else "",
        add_column(AddColumn(table, new, operation.type)),
        "# deploy code that writes both columns, and fill the old rows in batches, outside of a migration:",
        f"# SET {identifier(new)} = {_converted(operation)}",
        f"# in a later release: read {new} only; drop {column} in the one after, with a backup",
    )


def _converted(operation: AlterType) -> str:
    """The old value as the new type, in one line."""
    using = " ".join(operation.using_sql.split())
    return using or f"{identifier(operation.column)}::{operation.type}"


def drop_later(operation: object, ctx: Context) -> tuple[str, ...]:
    del ctx
    match operation:
        case DropColumn(table, column):
            what, call = (
                f"{table}.{column}",
                f"op.drop_column({own(table)}, {quoted(column)}{schema(table)})",
            )
        case DropTable(table):
            what, call = table, f"op.drop_table({own(table)}{schema(table)})"
        case _:
            return ()
    return (
        f"# this release: the models no longer have {what}; no migration",
        f"{NEXT_RELEASE}, after a backup",
        call,
    )


def rename_table(operation: object, ctx: Context) -> tuple[str, ...]:
    del ctx
    if not isinstance(operation, RenameTable):
        return ()
    table, to = operation.table, spelled.beside(operation.table, operation.to)
    return (
        f"op.rename_table({own(table)}, {quoted(operation.to)}{schema(table)})",
        execute(f"CREATE VIEW {dotted(table)} AS SELECT * FROM {to}"),  # noqa: S608 - shown, never run
        "# drop the view in a release after the one that uses the new name only",
    )
