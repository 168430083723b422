"""DG151: what only SQLite does while it copies a table."""

from deployguard.model import Risk
from deployguard.operations import RebuildTable
from deployguard.rules.base import Answer, rule
from deployguard.rules.context import Context

_COPY = (
    "-- was: t.id INTEGER\nCREATE TABLE _alembic_tmp_t (id INTEGER)\n"
    "INSERT INTO _alembic_tmp_t (id) SELECT t.id FROM t\nDROP TABLE t\nALTER TABLE _alembic_tmp_t RENAME TO t"
)


@rule(
    "DG151",
    "copy-deletes-children",
    RebuildTable,
    Risk.HIGH,
    effect="The table is copied, and the old one dropped. With foreign_keys=ON SQLite deletes its rows"
    " first: rows of other tables that point at them with ON DELETE CASCADE are deleted, too, and with"
    " any other action the migration fails.",
    instead='op.execute("PRAGMA foreign_keys=OFF")  # before, and outside of a transaction: inside it does nothing\n'
    "…\n"
    'op.execute("PRAGMA foreign_key_check")\nop.execute("PRAGMA foreign_keys=ON")',
    bad=(f"-- dialect: sqlite\nPRAGMA foreign_keys=ON\n{_COPY}",),
    good=("-- dialect: sqlite\nPRAGMA foreign_keys=ON\nALTER TABLE t ADD COLUMN a INTEGER",),
)
def copy_deletes_children(op: RebuildTable, ctx: Context) -> Answer:
    value = (ctx.known.setting("foreign_keys") or "").strip("'\"").lower()
    if value not in {"1", "on", "yes", "true"} or ctx.is_made_here(op.table):
        return None
    return f"Copies {op.table} and drops the old one while foreign_keys is ON."


RULES = (copy_deletes_children,)
