"""What others changed since a backup, folded out of the changes that a logical slot holds; pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from deployguard.database.base import label
from deployguard.database.decoding import Change, Edge, Undecoded, decode
from deployguard.model import Json

Line: TypeAlias = tuple[str, int, str]  # (position in the log, transaction id, the plugin's text)
KINDS: Final = ("insert", "update", "delete", "truncate")
_SIGNS: Final = {"insert": "+", "update": "~", "delete": "-"}
_SHOWN: Final = 8  # tables that are named in one sentence


@dataclass(frozen=True, slots=True)
class Changes:
    """What others changed after the backup's snapshot.

    ``tables``: label → how many rows were inserted, updated and deleted, and how often it was truncated.
    ``transactions`` changed a row; ``bare`` ones changed none, but the catalogue (DDL, ANALYZE, large objects).
    ``hidden``: what no slot shows and may have changed, as sentences. ``missing``: why nothing of all this is known.
    """

    tables: Mapping[str, tuple[int, int, int, int]] = field(default_factory=dict)
    transactions: int = 0
    bare: int = 0
    own: frozenset[int] = frozenset()  # the migration's transactions, which are not counted
    hidden: tuple[str, ...] = ()
    missing: str = ""

    @property
    def rows(self) -> int:
        """How many rows were inserted, updated or deleted; a truncated table counts as one."""
        return sum(sum(counts) for counts in self.tables.values())

    @property
    def writes(self) -> int | None:
        """How many transactions wrote; None where the slot cannot tell, and 0 is a proof."""
        found = self.transactions + self.bare
        return None if self.missing or (not found and self.hidden) else found

    def __str__(self) -> str:
        """As evidence: "bookings +12 ~3 -1, 16 rows in 14 transactions"."""
        if self.missing:
            return self.missing
        said = [f"{name} {_signs(counts)}" for name, counts in sorted(self.tables.items())]
        more = [f"and {len(said) - _SHOWN} more tables"] if len(said) > _SHOWN else []
        total = f"{self.rows} row{_s(self.rows)} in {self.transactions} transaction{_s(self.transactions)}"
        bare = (
            [f"{self.bare} that changed no row (DDL, ANALYZE or large objects)"]
            if self.bare
            else []
        )
        return ", ".join([*said[:_SHOWN], *more, total, *bare])

    def document(self) -> dict[str, Json]:
        """As JSON."""
        if self.missing:
            return {"missing": self.missing}
        return {
            "tables": {
                name: dict(zip(KINDS, each, strict=True)) for name, each in self.tables.items()
            },
            "rows": self.rows,
            "transactions": self.transactions,
            "bare": self.bare,
            "hidden": list(self.hidden),
        }


def per_table(changes: Changes) -> tuple[str, ...]:
    """What a restore would lose, a line a table: "bookings: 12 inserted, 3 updated, 1 deleted"."""
    words = ("inserted", "updated", "deleted", "truncated")
    return tuple(
        f"{name}: " + ", ".join(f"{n} {word}" for n, word in zip(counts, words, strict=True) if n)
        for name, counts in sorted(changes.tables.items())
    )


def fold(
    lines: Iterable[Line], *, version_table: tuple[str, str] | None, known: Collection[str]
) -> Changes:
    """Count the changes of every transaction but the migration's. Raises Undecoded.

    The migration's are those that wrote the version table (schema and name; None: nobody knows which it is, so none
    are) and named no revision that is not ``known``. Alembic writes it in the transaction of each revision; whatever
    a migration commits beside that counts as others': too many, never too few.
    """
    total: dict[str, list[int]] = {}
    own, transactions, bare = set[int](), 0, 0
    here: dict[str, list[int]] = {}
    ours: bool | None = None  # None: it has not touched the version table
    for _, xid, text in lines:
        found = decode(text)
        if isinstance(found, Edge) and not found.begins:
            if ours:
                own.add(xid)
            else:
                _add(total, here)
                transactions += bool(here)
                bare += not here
        elif isinstance(found, Edge):
            here, ours = {}, None
        elif isinstance(found, Change):
            _count(here, found)
            if all(table == version_table for table in found.tables):
                ours = ours is not False and revisions_of(found) <= set(known)
    return Changes(
        {name: (c[0], c[1], c[2], c[3]) for name, c in sorted(total.items())},
        transactions,
        bare,
        frozenset(own),
    )


def revisions_of(change: Change) -> set[str]:
    """The revisions that a change of the version table names; a text that is none where it does not tell."""
    told = {value or "" for values in (change.new, change.key) for value in values.values()}
    return told or {""}


def _count(here: dict[str, list[int]], change: Change) -> None:
    for schema, name in change.tables:
        counts = here.setdefault(label(schema, name, "public"), [0] * len(KINDS))
        counts[KINDS.index(change.kind)] += 1


def _add(total: dict[str, list[int]], more: Mapping[str, list[int]]) -> None:
    for name, counts in more.items():
        kept = total.setdefault(name, [0] * len(KINDS))
        total[name] = [a + b for a, b in zip(kept, counts, strict=True)]


def _signs(counts: tuple[int, int, int, int]) -> str:
    changed = [f"{sign}{n}" for sign, n in zip(_SIGNS.values(), counts[:3], strict=True) if n]
    return " ".join([*changed, *(["truncated"] if counts[3] else [])])


def _s(number: int) -> str:
    return "" if number == 1 else "s"


__all__ = ["KINDS", "Changes", "Line", "Undecoded", "fold", "per_table", "revisions_of"]
