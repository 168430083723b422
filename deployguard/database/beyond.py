"""What was written to a PostgreSQL database that no logical slot shows: sequences, unlogged tables, large objects."""

from collections.abc import Mapping
from typing import Final

from psycopg import Cursor

from deployguard.database.session import Row
from deployguard.model import Json

_NAMED: Final = 4
_THERE: Final = b"""
SELECT (SELECT count(*) FROM pg_class WHERE relpersistence = 'u' AND relkind IN ('r', 'm')),
       (SELECT count(*) FROM pg_largeobject_metadata)"""
_SEQUENCES: Final = b"SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences"


def there(cursor: Cursor[Row]) -> dict[str, Json]:
    """How many such things there are, to be kept beside a slot."""
    row = cursor.execute(_THERE).fetchone() or (0, 0)
    return {"unlogged": int(row[0]), "large_objects": int(row[1])}


def hidden(cursor: Cursor[Row], before: Mapping[str, Json]) -> tuple[str, ...]:
    """What may have changed without a slot showing it, as sentences.

    ``before`` is what ``there`` said when the slot was made, and the sequences' values. Neither the pages of an
    unlogged table nor those of a large object say who wrote them: where there are any, they may have changed.
    """
    now = there(cursor)
    said = []
    for key, what in (("unlogged", "unlogged table(s)"), ("large_objects", "large object(s)")):
        most = max(_number(before.get(key)), _number(now[key]))
        if most:
            said.append(f"{most} {what}, whose changes no slot shows")
    sequences = before.get("sequences")
    values: dict[str, int | None] = dict(cursor.execute(_SEQUENCES).fetchall())
    moved = sorted(
        name
        for name, value in (sequences.items() if isinstance(sequences, dict) else ())
        if values.get(name, value) != value  # one that is gone was dropped, which is told by itself
    )
    if moved:
        more = f" and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
        said.append(f"sequence(s) that moved on: {', '.join(moved[:_NAMED])}{more}")
    return tuple(said)


def _number(value: Json) -> int:
    # What was not written down is not taken for none.
    return value if isinstance(value, int) else 1
