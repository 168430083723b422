"""DG107 to DG109: what is lost besides tables and rows: objects, what a narrower type can't hold, counters."""

import re

from deployguard.model import Risk
from deployguard.operations import AlterObject, AlterType, DropObject
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context
from deployguard.rules.narrowing import Narrowing, narrowing

_STATEFUL = {"sequence", "extension", "virtual table", "materialized view", "foreign table"}
_ELSEWHERE = {
    "schema", "database", "owned objects",  # DG104
    "function", "procedure", "routine", "aggregate", "trigger", "rule", "operator", "cast",  # DG408
    "publication", "subscription",  # DG410
    "statistics",  # the planner's only
}  # fmt: skip


@rule(
    "DG107",
    "drop-object",
    DropObject,
    Risk.CRITICAL,
    effect="What it holds (a counter, stored rows, the columns of its types) is lost, and what"
    " uses it fails.",
    instead="Drop it in a release after the one that stopped using it, without CASCADE, so that a"
    " forgotten use is an error.",
    bad=(
        "DROP SEQUENCE numbers",
        "DROP VIEW totals",
        "DROP VIEW totals CASCADE",
        "DROP TYPE mood CASCADE",
        "DROP EXTENSION hstore",
        "DROP COLLATION german",
    ),
    good=(
        "CREATE SEQUENCE numbers; DROP SEQUENCE numbers",
        "CREATE TYPE mood AS ENUM ('a'); DROP TYPE mood",
        "DROP STATISTICS hints",
    ),
)
def drop_object(op: DropObject, ctx: Context) -> Answer:
    if op.kind in _ELSEWHERE or ctx.is_new_object(op.name, op.kind):
        return None
    if op.kind in _STATEFUL:
        also = " and everything that depends on it" if op.cascade else " and what it holds"
        return f"Drops the {op.kind} {op.name}{also}."
    if op.cascade and op.kind in {"type", "domain"}:
        return f"Drops the {op.kind} {op.name} and every column of it."
    if op.cascade:
        return f"Drops the {op.kind} {op.name} and everything that depends on it."
    if ctx.key(op.name) in ctx.fresh.renamed:
        # It was put aside under another name in this run, and without CASCADE nothing can be left that uses it.
        return None
    return Found(
        f"Drops the {op.kind} {op.name}.",
        Risk.HIGH,
        why="It holds no rows, but what uses it fails from then on.",
    )


@rule(
    "DG108",
    "narrow-type",
    AlterType,
    Risk.CRITICAL,
    effect="Values that the new type can't hold are silently rounded or cut off, and nothing"
    " brings them back.",
    instead="Add a column of type {type} beside it, fill it so that each loss is a decision, switch"
    " the code over, and drop {column} in a later release, with a backup.",
    bad=(
        "-- was: orders.price numeric(10,4)\nALTER TABLE orders ALTER COLUMN price TYPE numeric(10,2)",
        "-- was: orders.code varchar(20)\nALTER TABLE orders ALTER COLUMN code TYPE varchar(10)",
        "-- was: orders.id bigint\nALTER TABLE orders ALTER COLUMN id TYPE integer",
        "-- was: orders.code text\nALTER TABLE orders ALTER code TYPE uuid USING code::uuid",
        "-- was: orders.made timestamptz\nALTER TABLE orders ALTER COLUMN made TYPE date",
        "-- was: orders.code text\nALTER TABLE orders ALTER code TYPE int USING 0",
    ),
    good=(
        "-- was: orders.code varchar(20)\nALTER TABLE orders ALTER COLUMN code TYPE varchar(50)",
        "CREATE TABLE t (a bigint); ALTER TABLE t ALTER a TYPE int",
    ),
)
def narrow_type(op: AlterType, ctx: Context) -> Answer:
    if ctx.is_made_here(op.table):
        return None
    place = (ctx.key(op.table), op.column)
    found = narrowing(op.old_type, op.type, op.using_sql, op.column)
    # SQLite keeps what a column is given, whatever its type says; only another kind of value is cast.
    if found is Narrowing.NONE or place in ctx.columns or ctx.sqlite:
        return None
    was = f"from {op.old_type} to {op.type}" if op.old_type else f"to {op.type}"
    change = f"Turns {op.table}.{op.column} {was}"
    if found is Narrowing.LOSES:
        return f"{change}, which loses what does not fit."
    return Found(
        f"{change}, which fails on each value that does not fit.",
        Risk.HIGH,
        why="The migration stops at the first row whose value the new type can't hold, after it has"
        " locked the table and read it.",
    )


@rule(
    "DG109",
    "reset-sequence",
    AlterObject,
    Risk.MEDIUM,
    effect="A counter that is set back gives out keys that are taken: INSERTs fail until it has"
    " passed them. The number that it had is not kept.",
    instead="Set it from the rows that are there:\nop.execute(\"SELECT setval('{name}', (SELECT"
    ' max(id) FROM …))")',
    bad=(
        "ALTER SEQUENCE numbers RESTART WITH 1",
        "SELECT setval('numbers', 1)",
        "-- dialect: mariadb\nALTER SEQUENCE numbers RESTART",
    ),
    good=(
        "CREATE SEQUENCE numbers; ALTER SEQUENCE numbers RESTART WITH 100",
        "SELECT setval('orders_id_seq', (SELECT max(id) FROM orders))",
        "ALTER SEQUENCE numbers OWNED BY orders.id",
        "CREATE TABLE t (id serial); SELECT setval('t_id_seq', 10)",
    ),
)
def reset_sequence(op: AlterObject, ctx: Context) -> Answer:
    resets = op.action in {"set value", "restart"} or (
        op.action.startswith("set ") and "restart" in op.action
    )
    if op.kind != "sequence" or not resets or ctx.is_new_object(op.name):
        return None
    # A serial column's sequence is named after its table, an identity's goes by its column.
    if any(ctx.key(op.name).startswith((f"{table}_", f"{table}.")) for table in ctx.new):
        return None
    if re.search(r"\bmax\s*\(", ctx.sql, re.IGNORECASE):
        return None
    return f"Sets the sequence {op.name or 'that an expression names'} to another number."


RULES = (drop_object, narrow_type, reset_sequence)
