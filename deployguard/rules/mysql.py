"""DG351, DG751: what only MySQL and MariaDB do."""

from deployguard.model import Risk
from deployguard.operations import AlterTable
from deployguard.rules.base import Answer, rule
from deployguard.rules.context import Context

_POSITION = "column position"
_INLINE = "inline references: "


@rule(
    "DG351",
    "column-position",
    AlterTable,
    Risk.MEDIUM,
    effect="MySQL before 8.0.29 rewrites the whole table to put a column in another place than the"
    " last one, and it never says so before.",
    instead="Leave FIRST and AFTER out: no program should count on the order. Or demand that no row is"
    " touched: ALGORITHM=INSTANT.",
    bad=(
        "-- dialect: mysql\nALTER TABLE orders ADD COLUMN note TEXT AFTER id",
        "-- dialect: mysql\n-- server: 8.0.20\nALTER TABLE orders ADD COLUMN note TEXT FIRST",
    ),
    good=(
        "-- dialect: mysql\nALTER TABLE orders ADD COLUMN note TEXT",
        "-- dialect: mysql\nALTER TABLE orders ADD COLUMN note TEXT AFTER id, ALGORITHM=INSTANT",
        "-- dialect: mysql\n-- server: 8.0.36\nALTER TABLE orders ADD COLUMN note TEXT AFTER id",
        "-- dialect: mariadb\nALTER TABLE orders ADD COLUMN note TEXT AFTER id",
    ),
)
def column_position(op: AlterTable, ctx: Context) -> Answer:
    if op.action != _POSITION or ctx.is_new(op.table):
        return None
    # MariaDB has done it at once since 10.4, MySQL since 8.0.29.
    since = (10, 4) if ctx.dialect == "mariadb" else (8, 0, 29)
    if ctx.at_least(*since) or (ctx.dialect == "mariadb" and not ctx.older_than(*since)):
        return None
    return f"Puts a column of {op.table} in another place than the last one."


@rule(
    "DG751",
    "reference-ignored",
    AlterTable,
    Risk.MEDIUM,
    effect="MySQL before 9.0 reads REFERENCES behind a column and makes no foreign key of it, without a"
    " word: rows that point nowhere come in.",
    instead="Write it as a constraint of the table: FOREIGN KEY (…) REFERENCES … (op.create_foreign_key).",
    bad=(
        "-- dialect: mysql\nALTER TABLE orders ADD COLUMN user_id INT REFERENCES users (id)",
        "-- dialect: mysql\nCREATE TABLE orders (user_id INT REFERENCES users (id))",
    ),
    good=(
        "-- dialect: mysql\nCREATE TABLE orders (user_id INT, FOREIGN KEY (user_id) REFERENCES users (id))",
        "-- dialect: mysql\n-- server: 9.1\nALTER TABLE orders ADD COLUMN user_id INT REFERENCES users (id)",
        "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE orders (user_id int REFERENCES users (id))",
    ),
)
def reference_ignored(op: AlterTable, ctx: Context) -> Answer:
    if not op.action.startswith(_INLINE) or ctx.at_least(9):
        return None
    column, _, target = op.action.removeprefix(_INLINE).partition(" to ")
    return f"The foreign key of {op.table}.{column} to {target} is not made."


REWRITES = (column_position,)
FAILING = (reference_ignored,)
