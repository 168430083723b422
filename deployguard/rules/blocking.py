"""DG201 and DG202: indexes that block the table while they are built or dropped."""

from deployguard.model import Risk
from deployguard.operations import CreateIndex, DropIndex
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context
from deployguard.rules.postgres_locks import builds_nothing

_SQLITE = (
    "SQLite locks the whole database file while it works: reads and writes wait until it is done."
)
_BRIEF = "Run it at a quiet time."


@rule(
    "DG201",
    "index-not-concurrent",
    CreateIndex,
    Risk.MEDIUM,
    effect="Takes a SHARE lock: every write to the table waits until the index is built.",
    instead="with op.get_context().autocommit_block():\n"
    '    op.create_index("{name}", "{own}", {columns_list}{schema}, postgresql_concurrently=True)',
    sqlite_effect=_SQLITE,
    sqlite_instead=_BRIEF,
    bad=(
        "CREATE INDEX ix ON orders (a)",
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE INDEX ix ON t (a)",
        "-- dialect: sqlite\nCREATE INDEX ix ON orders (a)",
    ),
    good=(
        "-- autocommit\nCREATE INDEX CONCURRENTLY ix ON orders (a)",
        "CREATE TABLE orders (a int); CREATE INDEX ix ON orders (a)",
        "CREATE INDEX ix ON ONLY events (year)",
        (
            "CREATE MATERIALIZED VIEW sums AS SELECT id FROM orders WITH NO DATA; CREATE UNIQUE"
            " INDEX sums_id ON sums (id)"
        ),
    ),
)
def index_not_concurrent(op: CreateIndex, ctx: Context) -> Answer:
    if op.concurrently or ctx.is_new(op.table) or ctx.key(op.table) in ctx.objects:
        return None
    if ctx.postgresql and builds_nothing(op, ctx):
        return None
    unique = "unique index" if op.unique else "index"
    fact = ctx.fact(op.table)
    rows = f" (about {fact.rows:,} rows)" if fact and fact.rows > 0 else ""
    risk = " Duplicates make it fail." if op.unique else ""
    said = f"Builds the {unique} {op.name or 'without a name'} on {op.table}{rows}.{risk}"
    return Found(said, only_time=not op.unique)


@rule(
    "DG202",
    "drop-index-not-concurrent",
    DropIndex,
    Risk.MEDIUM,
    effect="Takes an ACCESS EXCLUSIVE lock on the table: it waits for every running query, and all"
    " later ones wait behind"
    " it. Queries that used the index become slow at once.",
    instead="with op.get_context().autocommit_block():\n"
    '    op.execute("DROP INDEX CONCURRENTLY {name}")',
    sqlite_effect="Queries that used the index become slow at once.",
    sqlite_instead="Look for queries that use it first (EXPLAIN QUERY PLAN).",
    bad=("DROP INDEX ix",),
    good=(
        "-- autocommit\nDROP INDEX CONCURRENTLY ix",
        "CREATE TABLE orders (a int); CREATE INDEX ix ON orders (a); DROP INDEX ix",
    ),
)
def drop_index_not_concurrent(op: DropIndex, ctx: Context) -> Answer:
    table = ctx.table_of(op.name)
    if op.concurrently or (table is not None and ctx.is_new(table)):
        return None
    # A unique one also keeps duplicates out, and ON CONFLICT needs it.
    plain = table is not None and ctx.key(op.name) not in ctx.facts.unique_indexes
    name = op.name.rpartition(".")[2] if ctx.mysql else op.name
    said = f"Drops the index {name}{f' of {table}' if table else ''}."
    if op.cascade:
        return Found(
            said.removesuffix(".") + " and every foreign key that needs it.",
            Risk.HIGH,
            why="CASCADE drops the foreign keys of other tables that point here, without naming them.",
            instead="Drop the foreign keys by their names first, each in sight, and then the index.",
        )
    return Found(said, only_time=plain and ctx.key(op.name) in ctx.facts.indexes)


RULES = (index_not_concurrent, drop_index_not_concurrent)
