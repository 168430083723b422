"""What others changed since a backup, out of the slot that was made for it; every doubt is said, none is a zero."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from deployguard.database import beyond, slot
from deployguard.database.changes import Changes, Line, Undecoded, fold
from deployguard.database.session import Session, quoted
from deployguard.errors import EnvironmentUnreachable
from deployguard.model import Json

MOST: Final = 1_000_000  # changes that are counted; of more it is only said that they are more


_TABLE: Final = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = to_regclass(%s)"""


class _TooMany(Exception):
    pass


def since(
    session: Session,
    database: str,
    before: Json,
    *,
    version_table: Sequence[str],
    known: Collection[str],
    most: int = MOST,
) -> Changes:
    """Count what others changed after ``before``, which a backup wrote down of its slot."""
    try:
        own = _table(session, version_table)
        # one more than counts: the server stops as soon as it has given so many
        with opened(session, database, before, most + 1) as lines:
            counted = fold(_counting(lines, most), version_table=own, known=known)
        _want(session, database, before)  # nobody read it away meanwhile
        with session.reading() as cursor:
            more = beyond.hidden(cursor, before if isinstance(before, dict) else {})
    except _TooMany:
        return Changes(missing=f"the replication slot holds more than {most} changes")
    except Undecoded as error:
        return Changes(missing=f"the replication slot holds what is not understood: {error}")
    except EnvironmentUnreachable as error:
        return Changes(missing=error.message.rstrip("."))
    return Changes(counted.tables, counted.transactions, counted.bare, counted.own, more)


def _table(session: Session, version_table: Sequence[str]) -> tuple[str, str] | None:
    """Schema and name of the one table that is the project's: a tenant's of the same name is another."""
    name = quoted(*version_table).as_string()
    found = session.rows(_TABLE, [name])
    return (str(found[0][0]), str(found[0][1])) if found else None


@contextmanager
def opened(
    session: Session, database: str, before: Json, most: int | None = None
) -> Iterator[Iterator[Line]]:
    """Everything in the slot, a portion at a time. Raises EnvironmentUnreachable, with why it cannot be trusted."""
    name = _want(session, database, before)
    with slot.reading(session, database, name, most) as lines:
        yield lines


def _want(session: Session, database: str, before: Json) -> str:
    found = before if isinstance(before, dict) else {}
    name, position = found.get("name"), found.get("position")
    if not isinstance(name, str) or not isinstance(position, str):
        why = found.get("without")
        raise EnvironmentUnreachable(
            f"no replication slot was made for the backup{f': {why}' if why else ''}"
        )
    there = next((one for one in slot.slots(session) if one.name == name), None)
    if why := slot.unusable(there, database, position):
        raise EnvironmentUnreachable(why)
    return name


def _counting(lines: Iterable[Line], most: int) -> Iterator[Line]:
    for number, line in enumerate(lines, 1):
        if number > most:
            raise _TooMany
        yield line
