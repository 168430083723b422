"""Changes as documents, one a line of a file: what a person needs to write them again by hand; pure."""

from collections.abc import Collection, Iterable, Iterator

from deployguard.database.changes import Line
from deployguard.database.decoding import Change, Edge, decode
from deployguard.model import Json


def documents(lines: Iterable[Line], own: Collection[int]) -> Iterator[dict[str, Json]]:
    """One document for each change of others, and one for each commit after its changes. Raises Undecoded.

    ``own`` are the transactions that are left out. Values are PostgreSQL's own text, null is NULL.
    """
    rows = 0
    for position, xid, text in lines:
        found = decode(text)
        if xid in own:
            continue
        if isinstance(found, Change):
            rows += 1
            yield {"xid": xid, "lsn": position, **_row(found)}
        elif isinstance(found, Edge) and not found.begins:
            yield {"commit": xid, "lsn": position, "at": found.at, "changes": rows}
            rows = 0


def _row(change: Change) -> dict[str, Json]:
    names: list[Json] = [f"{schema}.{name}" for schema, name in change.tables]
    if change.kind == "truncate":
        return {"op": change.kind, "tables": names}
    told: dict[str, Json] = {"op": change.kind, "table": names[0]}
    if change.new:
        told["new"] = dict(change.new)
    if change.key:
        told["key"] = dict(change.key)
    if change.unchanged:
        told["unchanged"] = list(change.unchanged)
    return told
