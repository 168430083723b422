"""DG1xx: what loses or rewrites data."""

import re

from deployguard.model import Risk
from deployguard.operations import (
    DropColumn,
    DropObject,
    DropTable,
    Truncate,
    WriteRows,
)
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context
from deployguard.sql.tokens import Token, tokenize

_ROWS = "Rows are gone for good: no downgrade brings them back, only a backup does."


@rule(
    "DG101",
    "drop-table",
    DropTable,
    Risk.CRITICAL,
    effect=f"{_ROWS} The application that is still running fails on every query of the table.",
    instead="Deploy a release that no longer uses {table}; rename it and wait; drop it in a later"
    " release, with a backup.",
    sqlite_effect=f"{_ROWS} The application that is still running fails on every query of the"
    f" table.",
    bad=("DROP TABLE orders", "CREATE TABLE IF NOT EXISTS orders (id int); DROP TABLE orders"),
    good=("CREATE TABLE scratch (id int); DROP TABLE scratch",),
)
def drop_table(op: DropTable, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table):
        return None
    fact = ctx.fact(op.table)
    rows = f" with about {fact.rows:,} rows" if fact and fact.rows > 0 else ""
    also = " and everything that depends on it" if op.cascade else ""
    return f"Drops the table {op.table}{rows}{also}."


@rule(
    "DG102",
    "drop-column",
    DropColumn,
    Risk.CRITICAL,
    effect="The values are gone for good, indexes and constraints on the column go with it, and"
    " the application that"
    " is still running fails where it names the column (an ORM names all of them).",
    instead="Deploy a release whose models no longer have {table}.{column}; drop the column in the"
    " release after it.",
    bad=("ALTER TABLE orders DROP COLUMN note", "ALTER TABLE orders DROP note CASCADE"),
    good=("ALTER TABLE orders ADD COLUMN note text; ALTER TABLE orders DROP COLUMN note",),
)
def drop_column(op: DropColumn, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table) or (ctx.key(op.table), op.column) in ctx.columns:
        return None
    also = " and everything that depends on it" if op.cascade else ""
    return f"Drops the column {op.table}.{op.column}{also}."


@rule(
    "DG103",
    "truncate",
    Truncate,
    Risk.CRITICAL,
    effect=f"{_ROWS} TRUNCATE takes an ACCESS EXCLUSIVE lock, and with CASCADE it empties every"
    f" table that points here.",
    instead="Delete what must go in batches from a script of its own, after a backup; or keep the"
    " rows.",
    bad=("TRUNCATE orders", "TRUNCATE TABLE orders CASCADE"),
    good=("CREATE TABLE scratch (id int); TRUNCATE scratch",),
)
def truncate(op: Truncate, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table) and not (op.cascade and _is_pointed_at(op.table, ctx)):
        return None
    also = ", and every table that points at it" if op.cascade else ""
    part = f"the partitions {', '.join(op.partitions)} of " if op.partitions else ""
    return f"Deletes all rows of {part}{op.table}{also}."


@rule(
    "DG104",
    "drop-schema",
    DropObject,
    Risk.CRITICAL,
    effect="Every table in it is lost with its rows.",
    instead="Drop the tables one by one in revisions of their own, so that each can be judged and"
    " backed up.",
    bad=("DROP SCHEMA archive CASCADE", "DROP DATABASE archive", "DROP OWNED BY bob"),
    good=("CREATE SCHEMA scratch; DROP SCHEMA scratch",),
)
def drop_schema(op: DropObject, ctx: Context) -> Answer:
    if op.kind not in {"schema", "database", "owned objects"}:
        return None
    if ctx.is_new_object(op.name, op.kind):
        return None
    if op.kind == "owned objects":
        return f"Drops everything that {op.name} owns."
    return f"Drops the {op.kind} {op.name} with everything in it."


def _is_pointed_at(table: str, ctx: Context) -> bool:
    """Whether a table that may hold rows of before this run has a foreign key to ``table``."""
    name = ctx.key(table)
    pointing = {other for (other, _), to in ctx.references.items() if to == name}
    pointing |= {other for (other, _), to in ctx.known.points_at.items() if name in to}
    return any(not ctx.is_made_here(other) for other in pointing)


def _only_adds(op: WriteRows, ctx: Context) -> bool:
    """An INSERT of rows that the statement itself names: VALUES, or SELECTs of constants, which give one row each."""
    if op.verb != "insert":
        return False
    return not op.from_query or not _reads_rows(tokenize(ctx.sql, ctx.dialect))


def _reads_rows(tokens: tuple[Token, ...]) -> bool:
    """Whether the rows come from a table: a FROM inside of a condition or of one value brings none."""
    outer = False
    for token in tokens:
        outer = outer or (token.depth == 0 and token.word == "select")
        inside = token.depth > 0 and outer and tokens[0].word == "insert"
        if token.word in {"from", "table"} and not inside:
            return True
    return False


_VERBS = {"update": "Updates", "delete": "Deletes", "merge": "Writes over", "copy": "Loads"}


@rule(
    "DG105",
    "transform-data",
    WriteRows,
    Risk.CRITICAL,
    effect="Rows that people rely on are changed, and no downgrade knows what they were. All of"
    " them stay locked until"
    " the transaction ends, which takes long on a large table.",
    instead="Change the rows in batches, in a script that can be stopped and repeated, outside of"
    " the schema migration:"
    " add nullable → deploy → backfill → constrain → drop.",
    bad=(
        "UPDATE orders SET note = ''",
        "DELETE FROM orders WHERE note IS NULL",
        "INSERT INTO orders (id) SELECT id FROM old_orders",
        "INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET note = 'x'",
        "COPY orders FROM STDIN",
        "WITH gone AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM gone",
        "-- dialect: sqlite\nREPLACE INTO orders VALUES (1)",
    ),
    good=(
        (
            "CREATE TABLE kinds (id int); INSERT INTO kinds SELECT id FROM orders; UPDATE kinds SET id"
            " = 1"
        ),
        "SELECT count(*) FROM orders",
    ),
)
def transform_data(op: WriteRows, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table) or _only_adds(op, ctx):
        return None
    if op.verb == "insert":
        return f"Copies rows into {op.table}, as many as a query returns."
    where = "" if op.where or op.verb in {"merge", "copy"} else "all "
    columns = f" ({', '.join(op.columns)})" if op.verb == "update" and op.columns else ""
    fact = ctx.fact(op.table)
    rows = f", about {fact.rows:,}" if fact and fact.rows > 0 and where else ""
    message = f"{_VERBS[op.verb]} {where}rows of {op.table}{columns}{rows}."
    new = op.columns and all((ctx.key(op.table), name) in ctx.columns for name in op.columns)
    if op.verb == "update" and new:
        return Found(
            message,
            why="Only columns of this run are filled, so no old value is lost; but every row that is"
            " touched is rewritten and stays locked until the transaction ends.",
        )
    return message


_IGNORES_CONFLICTS = re.compile(
    r"\bon\s+conflict\b.*\bdo\s+nothing\b|\binsert\s+(?:or\s+)?ignore\b",
    re.IGNORECASE | re.DOTALL,
)


@rule(
    "DG106",
    "insert-rows",
    WriteRows,
    Risk.MEDIUM,
    effect="Rows appear in a table that is in use: a key may already be taken, and a downgrade"
    " cannot tell these rows"
    " from those that people have added since.",
    instead="Seed reference data in the revision that creates the table, or from the application;"
    " let a second run do no"
    " harm: ON CONFLICT DO NOTHING.",
    bad=(
        "INSERT INTO grades (id, name) VALUES (1, 'a')",
        "INSERT INTO grades (id) SELECT 1 WHERE NOT EXISTS (SELECT FROM grades WHERE id = 1)",
    ),
    good=("CREATE TABLE grades (id int); INSERT INTO grades (id) VALUES (1)",),
)
def insert_rows(op: WriteRows, ctx: Context) -> Answer:
    if not _only_adds(op, ctx) or ctx.is_made_here(op.table):
        return None
    message = f"Inserts rows into {op.table}, which is in use."
    if _IGNORES_CONFLICTS.search(ctx.sql):
        return Found(
            message,
            Risk.LOW,
            why="A downgrade cannot tell these rows from those that people have added since.",
        )
    return message


RULES = (drop_table, drop_column, truncate, drop_schema, transform_data, insert_rows)
