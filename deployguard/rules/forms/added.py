"""A column as op.add_column() adds it, without the constraints that are written into it."""

from deployguard.operations import AddColumn, Volatility
from deployguard.rules.forms import spelled
from deployguard.rules.forms.spelled import dotted, execute, identifier, own, quoted, schema


def add_column(operation: AddColumn, *, bare: bool = False) -> str:
    """The column without the constraints that are written into it; ``bare``: nullable and without a default."""
    default = operation.default_sql if operation.default is not Volatility.NONE and not bare else ""
    required = not operation.nullable and not bare
    kind = spelled.sa_type(operation.type)
    if not kind:
        sql = f"ALTER TABLE {dotted(operation.table)} ADD COLUMN {identifier(operation.column)} {operation.type}"
        return execute(
            sql + (f" DEFAULT {default}" if default else "") + (" NOT NULL" if required else "")
        )
    server = f", server_default=sa.text({spelled.text(default)})" if default else ""
    return (
        f"op.add_column({own(operation.table)}, sa.Column({quoted(operation.column)}, {kind}{server},"
        f" nullable={not required}){schema(operation.table)})"
    )
