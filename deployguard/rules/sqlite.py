"""DG151: what only SQLite does while it copies a table."""

from deployguard.model import Risk, Script
from deployguard.operations import RebuildTable
from deployguard.rules.base import Answer, Found, rule
from deployguard.rules.catalogue import DELETES
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
    " any other action the migration fails. SET NULL and SET DEFAULT overwrite what they pointed with.",
    instead="# also where env.py, or a listener on its connections, turns it on\n"
    'op.execute("PRAGMA foreign_keys=OFF")  # before, and outside of a transaction: inside it does nothing\n'
    "…\n"
    'op.execute("PRAGMA foreign_key_check")\nop.execute("PRAGMA foreign_keys=ON")',
    bad=(f"-- dialect: sqlite\nPRAGMA foreign_keys=ON\n{_COPY}",),
    good=("-- dialect: sqlite\nPRAGMA foreign_keys=ON\nALTER TABLE t ADD COLUMN a INTEGER",),
)
def copy_deletes_children(op: RebuildTable, ctx: Context) -> Answer:
    value = (ctx.known.setting("foreign_keys") or "").strip("'\"").lower()
    if value not in {"1", "on", "yes", "true"} or ctx.is_made_here(op.table):
        return None
    copies = f"Copies {op.table} and drops the old one while foreign_keys is ON"
    if ctx.facts.on_delete is None:
        return Found(
            f"{copies}: rows that point at it with ON DELETE CASCADE go with it, and whether there"
            " are any is not known.",
            Risk.CRITICAL,
        )
    table = ctx.key(op.table)
    children = {own: how for (own, other), how in ctx.facts.on_delete.items() if other == table}
    lost = sorted(own for own, how in children.items() if how in DELETES)
    if not lost:
        return f"{copies}."
    hows = " and ".join(sorted({children[own].upper() for own in lost}))
    return Found(f"{copies}: rows of {', '.join(lost)} go with it ({hows}).", Risk.CRITICAL)


def children_lost(script: Script, before: Context) -> str:
    """The table whose copy takes rows of others with it, or may; "" where none does."""
    ctx = before
    for statement in script.statements:
        for operation in statement.operations:
            found = copy_deletes_children.found(operation, ctx)
            if found is not None and found.risk is Risk.CRITICAL:
                return getattr(operation, "table", "")
            ctx = ctx.after(operation)
    return ""


RULES = (copy_deletes_children,)
