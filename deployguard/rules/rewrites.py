"""DG3xx: what rewrites the whole table under a lock that stops every reader."""

from deployguard.model import Risk
from deployguard.operations import AddColumn, AlterType, RewriteTable, Volatility
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.context import Context
from deployguard.rules.mysql_types import unchanged_rows
from deployguard.rules.types import leaves_rows, plain_cast, same_to_clients

_REWRITE = (
    "Takes an ACCESS EXCLUSIVE lock while the table and all its indexes are rewritten:"
    " reads and writes wait until it is done."
)
_STAGED = (
    'op.add_column("{own}", sa.Column("{column}", …, nullable=True){schema})\n'
    "# then set the default, deploy, fill the old rows in batches, and require it in a later"
    " revision"
)


@rule(
    "DG301",
    "alter-column-type",
    AlterType,
    Risk.HIGH,
    effect=f"{_REWRITE} Code that is still running may not expect the new type.",
    instead="Add a new column of type {type}, write both, fill it in batches, switch the code"
    " over, drop {column} later.",
    sqlite_effect="SQLite copies the table, and locks the whole database file while it does. The"
    " running code may not expect"
    " the new type.",
    bad=(
        "ALTER TABLE orders ALTER COLUMN total TYPE bigint",
        "-- was: orders.total integer\nALTER TABLE orders ALTER COLUMN total TYPE bigint",
        "-- was: orders.code varchar(20)\nALTER TABLE orders ALTER COLUMN code TYPE varchar(10)",
        '-- was: orders.code text\nALTER TABLE orders ALTER COLUMN code TYPE text COLLATE "C"',
        "-- was: orders.code text\nALTER TABLE orders ALTER COLUMN code TYPE text USING upper(code)",
        "-- was: orders.made timestamp\nALTER TABLE orders ALTER COLUMN made TYPE timestamptz",
    ),
    good=(
        "-- was: orders.code varchar(20)\nALTER TABLE orders ALTER COLUMN code TYPE varchar(50)",
        "-- was: orders.code varchar(20)\nALTER TABLE orders ALTER COLUMN code TYPE text",
        (
            "-- was: orders.made timestamp\nSET LOCAL timezone = 'UTC'; ALTER TABLE orders ALTER"
            " COLUMN made TYPE timestamptz"
        ),
        (
            "-- was: orders.price numeric(8,2)\nALTER TABLE orders ALTER COLUMN price TYPE"
            " numeric(10,2)"
        ),
        "CREATE TABLE orders (total int); ALTER TABLE orders ALTER COLUMN total TYPE bigint",
    ),
)
def alter_column_type(op: AlterType, ctx: Context) -> Answer:
    if ctx.is_new(op.table):
        return None
    free = _rows_stay(op, ctx)
    if free and not op.collation:
        return None
    if op.collation and free is not False:
        return Found(
            f"Changes the collation of {op.table}.{op.column}.",
            why="Takes an ACCESS EXCLUSIVE lock while every index on the column is rebuilt; the"
            " order of rows changes.",
        )
    change = f"from {op.old_type} to {op.type}" if op.old_type else f"to {op.type}"
    unknown = "" if op.old_type else " The old type is not known, so a rewrite has to be expected."
    kept = not op.using or plain_cast(op.using_sql, op.column)
    return Found(
        f"Changes the type of {op.table}.{op.column} {change}.{unknown}",
        only_time=kept and not op.collation and same_to_clients(op.old_type, op.type),
    )


def _rows_stay(op: AlterType, ctx: Context) -> bool | None:
    if ctx.mysql:
        return op.online or unchanged_rows(op.old_type, op.type, ctx.dialect)
    zone = ctx.known.setting("timezone") if ctx.postgresql else None
    return leaves_rows(op.old_type, op.type, op.column, op.using_sql, zone)


@rule(
    "DG302",
    "add-column-volatile-default",
    AddColumn,
    Risk.HIGH,
    effect=f"The default is computed for each row. {_REWRITE}",
    instead=_STAGED,
    sqlite_effect="SQLite refuses to add a column whose default is not a constant.",
    only_time=True,
    bad=(
        "ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid()",
        "ALTER TABLE orders ADD COLUMN number int DEFAULT my_function()",
        "-- server: 10.4\nALTER TABLE orders ADD COLUMN state text DEFAULT 'new'",
        (
            "CREATE DOMAIN amount AS int CHECK (VALUE > 0)\n-- own transaction\n"
            "ALTER TABLE orders ADD COLUMN paid amount"
        ),
        (
            "-- dialect: sqlite\nALTER TABLE orders ADD COLUMN made TIMESTAMP DEFAULT"
            " CURRENT_TIMESTAMP"
        ),
    ),
    good=(
        "ALTER TABLE orders ADD COLUMN made timestamptz DEFAULT now()",
        "ALTER TABLE orders ADD COLUMN state text NOT NULL DEFAULT 'new'",
        "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN token uuid DEFAULT gen_random_uuid()",
    ),
)
def add_column_volatile_default(op: AddColumn, ctx: Context) -> Answer:
    if ctx.is_new(op.table) or ctx.rebuilding or op.generated:
        return None
    if ctx.postgresql and ctx.key(op.type) in ctx.known.domains:
        return f"Adds {op.table}.{op.column} of the domain {op.type}, whose constraint is checked for each row."
    if op.default is Volatility.NONE:
        return None
    # SQLite takes a literal only; even (1 + 1) is refused.
    constant = op.default is Volatility.CONSTANT and not (ctx.sqlite and "(" in op.default_sql)
    name = f"{op.table}.{op.column}"
    if ctx.postgresql and ctx.older_than(11):
        return f"Adds {name} with a default, which PostgreSQL before 11 writes into each row."
    if constant or (op.default is Volatility.STABLE and not ctx.sqlite):
        return None
    doubt = ", which may differ from row to row" if op.default is Volatility.UNKNOWN else ""
    said = f"Adds {name} with the default {op.default_sql}{doubt}."
    return Found(said, only_time=not ctx.sqlite)  # SQLite does not wait, it refuses


@rule(
    "DG303",
    "add-column-generated",
    AddColumn,
    Risk.HIGH,
    effect=f"Every row gets a value of its own. {_REWRITE}",
    instead=_STAGED,
    only_time=True,
    bad=(
        "ALTER TABLE orders ADD COLUMN number serial",
        "ALTER TABLE orders ADD COLUMN number int GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE orders ADD COLUMN total int GENERATED ALWAYS AS (a + b) STORED",
    ),
    good=(
        "CREATE TABLE t (a int); ALTER TABLE t ADD COLUMN number serial",
        (
            "-- dialect: sqlite\nALTER TABLE t ADD COLUMN total int GENERATED ALWAYS AS (a + b)"
            " VIRTUAL"
        ),
        "-- server: 18.0\nALTER TABLE t ADD COLUMN total int GENERATED ALWAYS AS (a + b) VIRTUAL",
    ),
)
def add_column_generated(op: AddColumn, ctx: Context) -> Answer:
    if (
        op.generated not in {"stored", "identity", "serial"}
        or ctx.is_new(op.table)
        or ctx.rebuilding
    ):
        return None
    what = {"stored": "a stored, computed value", "identity": "an identity", "serial": "a sequence"}
    return f"Adds {op.table}.{op.column} with {what[op.generated]}."


@rule(
    "DG304",
    "rewrite-table",
    RewriteTable,
    Risk.HIGH,
    effect=_REWRITE,
    instead="Use pg_repack, or plan a window for it; it is seldom a part of a release.",
    sqlite_effect="SQLite rewrites the whole file and needs as much free space again.",
    sqlite_instead="Run it by hand, when nobody uses the database.",
    only_time=True,
    bad=(
        "-- autocommit\nVACUUM FULL orders",
        "CLUSTER orders USING ix",
        "ALTER TABLE orders SET LOGGED",
    ),
    good=("-- autocommit\nVACUUM orders", "CREATE TABLE t (a int); ALTER TABLE t SET UNLOGGED"),
)
def rewrite_table(op: RewriteTable, ctx: Context) -> Answer:
    if ctx.is_new(op.table):
        return None
    table = "every table" if op.table == "*" else op.table
    return f"Rewrites {table} ({op.how.upper()})."


RULES = (
    alter_column_type,
    add_column_volatile_default,
    add_column_generated,
    rewrite_table,
)
