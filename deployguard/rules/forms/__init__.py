"""The safe form of a finding as Alembic code with the user's own names, ready to be pasted, stage by stage.

A comment says where a stage ends: "in the next revision" is a revision in a transaction of its own
(transaction_per_migration), "in the next release" is one that runs after the code of this one is deployed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from deployguard.operations import AddEnumValue, CreateIndex, DropIndex
from deployguard.rules.context import Context
from deployguard.rules.forms import columns, constraints, spelled, written
from deployguard.rules.forms.spelled import bounded, execute, identifier, own, quoted, schema
from deployguard.rules.forms.stages import FIRST, duplicates, outside


def safe_form(code: str, operation: object, ctx: Context) -> str:
    """The safe form of rule ``code`` for ``operation``; "" where there is none to paste. PostgreSQL only."""
    maker = _FORMS.get(code)
    if maker is None or not ctx.postgresql:
        return ""
    return "\n".join(line for line in maker(operation, ctx) if line and not _too_early(line, ctx))


def _too_early(line: str, ctx: Context) -> bool:
    """Whether it is a query to run first, about a column that this run only adds."""
    if not line.startswith(FIRST):
        return False
    words = set(re.findall(r"\w+", line))
    return any({table.rpartition(".")[2], column} <= words for table, column in ctx.columns)


def _index_name(operation: CreateIndex) -> str:
    _, table = spelled.split(operation.table)
    plain = [name for name in operation.columns if name.isidentifier()]
    return operation.name or bounded(table, *plain, "idx")


def create_index(operation: object, ctx: Context) -> tuple[str, ...]:
    if not isinstance(operation, CreateIndex):
        return ()
    table, name = operation.table, _index_name(operation)
    plain = written.plain_index(ctx.sql, operation)
    first = duplicates(table, operation.columns) if operation.unique and plain else ""
    if not plain:
        return outside(execute(written.concurrent(ctx.sql, identifier(name))))
    unique = ", unique=True" if operation.unique else ""
    exists = ", if_not_exists=True" if operation.if_not_exists else ""
    made = (
        f"op.create_index({quoted(name)}, {own(table)}, {spelled.listed(operation.columns)}"
        f"{schema(table)}{unique}{exists}, postgresql_concurrently=True)"
    )
    return (first, *outside(made))


def index_anew(operation: object, ctx: Context) -> tuple[str, ...]:
    """What a build that failed has left goes first; the index is then made as it was written."""
    if not isinstance(operation, CreateIndex):
        return ()
    home, _ = spelled.split(operation.table)
    name = (
        f"{identifier(home)}.{identifier(operation.name)}" if home else identifier(operation.name)
    )
    anew = replace(operation, if_not_exists=False)
    made = create_index(anew, replace(ctx, sql=written.bare_index(ctx.sql)))
    block = next(at for at, line in enumerate(made) if not line.startswith("#") and line)
    drop = outside(execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}"))
    return (*drop, *made[block + 1 :])


def drop_index(operation: object, ctx: Context) -> tuple[str, ...]:
    if not isinstance(operation, DropIndex):
        return ()
    table = ctx.table_of(operation.name)
    named = f", {own(table)}" if table else ""
    exists = ", if_exists=True" if operation.if_exists else ""
    return outside(
        f"op.drop_index({own(operation.name)}{named}{schema(operation.name)}{exists},"
        " postgresql_concurrently=True)"
    )


def add_value(operation: object, ctx: Context) -> tuple[str, ...]:
    if not isinstance(operation, AddEnumValue):
        return ()
    return outside(execute(written.add_value(ctx.sql)))


def alone(operation: object, ctx: Context) -> tuple[str, ...]:
    del operation
    return outside(execute(ctx.sql.strip().rstrip(";"))) if ctx.sql else ()


_Maker = Callable[[object, Context], tuple[str, ...]]
_FORMS: Mapping[str, _Maker] = {
    "DG101": columns.drop_later,
    "DG102": columns.drop_later,
    "DG108": columns.new_type,
    "DG201": create_index,
    "DG202": drop_index,
    "DG203": constraints.foreign_key,
    "DG204": constraints.check,
    "DG205": constraints.unique,
    "DG206": constraints.primary_key,
    "DG208": constraints.set_not_null,
    "DG301": columns.new_type,
    "DG302": columns.computed_default,
    "DG303": columns.counted,
    "DG402": columns.rename_table,
    "DG403": columns.add_required,
    "DG407": add_value,
    "DG501": alone,
    "DG506": index_anew,
}
