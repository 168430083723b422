"""DG7xx: what fails because of what the database holds already."""

from deployguard.model import Risk
from deployguard.operations import CreateTable
from deployguard.rules.base import Answer, rule
from deployguard.rules.context import Context


@rule(
    "DG701",
    "table-exists",
    CreateTable,
    Risk.HIGH,
    effect="The migration stops here. If the revision has run before, the version table is not"
    " the one that was asked, or it was lost: then none of what is pending can be trusted.",
    instead="alembic current  # which table does env.py keep the revision in? set project.version_table,\n"
    "alembic stamp REVISION  # or say where the database really is",
    bad=(
        "-- exists: orders\nCREATE TABLE orders (id int)",
        "-- exists: orders\nCREATE TABLE orders AS SELECT 1 AS id",
    ),
    good=(
        "CREATE TABLE orders (id int)",
        "-- exists: orders\nCREATE TABLE IF NOT EXISTS orders (id int)",
        "-- exists: orders\nCREATE TEMPORARY TABLE orders (id int)",
        "-- exists: orders\nCREATE TABLE archive.orders (id int)",
    ),
)
def table_exists(op: CreateTable, ctx: Context) -> Answer:
    if op.if_not_exists or not ctx.is_there(op):
        return None
    return f"Creates the table {op.table}, which the database has already."


RULES = (table_exists,)
