"""Does the downgrade lose data now? A count of what is in there, of all that the rules say the downgrade drops."""

from collections.abc import Sequence
from typing import Final

from deployguard.database import Database
from deployguard.deploy.facts import Added, PlannedRevision
from deployguard.model import Way

_SAYS_NO: Final = (Way.LOSSY, Way.RESTORE)


def lossless(database: Database, done: Sequence[PlannedRevision]) -> tuple[bool | None, str]:
    """Whether taking back ``done`` (revisions that ran) loses nothing, and why; None is unknown."""
    for revision in done:
        if revision.way in _SAYS_NO:
            return False, f"{revision.id}: {revision.reason.rstrip('.')}"
        if revision.way is Way.UNKNOWN:
            return None, f"{revision.id}: {revision.reason.rstrip('.')}"
    created = {_label(database, table) for revision in done for table in revision.created}
    for table in sorted(created):
        rows = database.count(table)
        if rows:  # None: an earlier downgrade dropped it, or a later revision renamed it
            return False, f"the new table {table} holds {rows} row(s)"
        if rows is None:
            return None, f"the new table {table} could not be counted"
    columns = [added for revision in done for added in revision.added]
    for added in (a for a in columns if _label(database, a.table) not in created):
        loses, why = _column(database, added)
        if loses is not False:
            return (None, why) if loses is None else (False, why)
    return True, "what it drops holds no data that was not there before"


def _label(database: Database, table: str) -> str:
    """The name under which the database counts a table: it leaves the default schema out."""
    return table.removeprefix("public.") if database.dialect == "postgresql" else table


def _column(database: Database, added: Added) -> tuple[bool | None, str]:
    """Whether an added column holds something that its default did not put there."""
    name = f"{added.table}.{added.column}"
    filled = database.count(_label(database, added.table), added.column)
    if filled is None:
        return None, f"the new column {name} could not be counted"
    if not filled:
        return False, ""
    if not added.default:
        return True, f"the new column {name} holds {filled} value(s)"
    same, detail = database.check(_only_default(database.dialect, added))
    if same:
        return False, ""
    if detail.startswith("it failed"):
        return (
            None,
            f"whether the new column {name} holds more than its default is unknown: {detail}",
        )
    return True, f"the new column {name} holds other values than its default"


def _only_default(dialect: str, added: Added) -> str:
    """A statement that is true when every row has the column's default."""
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    column, table = _quoted(added.column), _table(added.table)
    # The default is the revision's own SQL, run read-only.
    return (
        f"SELECT NOT EXISTS (SELECT 1 FROM {table} "  # noqa: S608 - quoted
        f"WHERE {column} {differs} ({added.default}))"
    )


def _table(name: str) -> str:
    schema, _, table = name.rpartition(".")
    return f"{_quoted(schema)}.{_quoted(table)}" if schema else _quoted(table)


def _quoted(name: str) -> str:
    return '"' + name.strip('"').replace('"', '""') + '"'
