"""How long a statement probably keeps others out: the work under its locks, and the size of the tables. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from deployguard.model import Lock, Risk, TableFact
from deployguard.operations import (
    AddColumn,
    AddConstraint,
    Constraint,
    Operation,
    RefreshView,
    RewriteTable,
    ValidateConstraint,
    WriteRows,
)
from deployguard.rules.base import Found, Rule
from deployguard.rules.context import Context
from deployguard.rules.locks import BUILD, FILE, REWRITE, SCAN, locks

MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast one server process works through a table that is read from disk."""

    megabytes: (
        int  # a second, of the table (a rewrite: of its indexes too, for they are built anew)
    )
    rows: int  # a second; what limits where rows are short
    source: str


# Estimates must not promise too much. PostgreSQL 16 with everything in memory was seen to scan ten times as fast,
# to build an index at 55 to 990 MB/s (text, numbers) and to rewrite at 50 to 140 MB/s; a small volume with neighbours
# may be slower than all of this. A gp3 volume of AWS gives 125 MB/s unless more is paid for (EBS user guide).
RATES: Mapping[str, Rate] = {
    SCAN: Rate(100, 2_000_000, "reading everything once, at most what a gp3 volume gives"),
    BUILD: Rate(40, 500_000, "reading everything once, sorting it, writing the index"),
    REWRITE: Rate(60, 300_000, "reading and writing everything, the indexes built anew"),
}
TINY_BYTES = (
    8 * MB
)  # a table and its indexes: below this and TINY_SECONDS nobody has to plan a window
TINY_SECONDS = 0.2
LONG_SECONDS = 30.0  # of blocked reads or writes: what is medium becomes high
ESTIMATE = "; an estimate"  # how each basis ends: nobody shall take it for a promise
_BLOCKING = ("reads and writes", "writes")
_FAMILIES = ("DG2", "DG3")  # blocking and rewriting


def timed(taken: Sequence[Lock], operation: Operation, context: Context) -> tuple[Lock, ...]:
    """The locks of one operation with ``seconds`` and ``basis``; each is held while all of its work is done."""
    work = [one for one in taken if one.work]
    if isinstance(operation, RefreshView):
        return tuple(taken)  # its query takes the time, and nothing tells how much
    if isinstance(operation, WriteRows):
        rows = operation.from_query or operation.verb != "insert"
        return tuple(taken) if rows else _brief(taken)
    if context.rebuilding and taken:
        work = [replace(taken[0], work=REWRITE)]
    elif not work:
        return _brief(taken)
    parts = [_part(one, work, operation, context) for one in work]
    if any(part is None for part in parts):
        return tuple(taken)
    known = [part for part in parts if part is not None]
    seconds = round(sum(part[0] for part in known), 3)
    said = " and ".join(part[1] for part in known)
    basis = f"{said}: {about(seconds)}{ESTIMATE}"
    return tuple(replace(one, seconds=seconds, basis=basis) for one in taken)


def weighed(entry: Rule, found: Found, operation: Operation, context: Context) -> Found:
    """``found`` at the level that the sizes of the tables give it; an unknown size changes nothing.

    Lower only where waiting is the whole danger: what loses data, breaks the application or fails on the rows
    does so on a small table as well.
    """
    only_time = entry.only_time if found.only_time is None else found.only_time
    may_fall = only_time and found.risk is not None and found.risk > Risk.LOW
    may_rise = found.risk is Risk.MEDIUM and entry.code.startswith(_FAMILIES)
    if not may_fall and not may_rise:
        return found
    taken = timed(locks(operation, context), operation, context)
    if not taken:
        return found
    if may_fall:
        small = _tiny(taken, operation, context)
        if small is not None:
            return replace(found, risk=Risk.LOW, message=f"{found.message} {small}")
    longest = max(taken, key=_seconds_of)
    blocking = _felt(taken, context) if may_rise and _seconds_of(longest) > LONG_SECONDS else None
    if blocking is not None:
        said = (
            f"Blocks {blocking.blocks} of {blocking.relation} for longer than"
            f" {LONG_SECONDS:g} s: {longest.basis}."
        )
        return replace(found, risk=Risk.HIGH, message=f"{found.message} {said}")
    return found


def _felt(taken: Sequence[Lock], context: Context) -> Lock | None:
    """The lock that others feel while the work is done; None where nobody is blocked.

    What does not block by itself may do so under a lock that the transaction holds already. Of its own table first,
    and what blocks more: a transaction that holds both blocks both.
    """
    felt = [one for one in (*context.held.values(), *taken) if one.blocks in _BLOCKING]
    own = {context.key(one.relation) for one in taken}
    return min(
        felt,
        key=lambda one: (context.key(one.relation) not in own, _BLOCKING.index(one.blocks)),
        default=None,
    )


def _seconds_of(one: Lock) -> float:
    return one.seconds or 0.0


def _tiny(taken: Sequence[Lock], operation: Operation, context: Context) -> str | None:
    """Why nobody waits for long; None where a table is not known to be tiny."""
    if any(one.seconds is None or one.seconds >= TINY_SECONDS for one in taken):
        return None
    facts = [_size(one.relation, operation, context) for one in taken]
    known = {fact.table: fact for fact in facts if fact is not None}
    if len(known) < 1 or any(fact is None for fact in facts):
        return None
    total = sum(fact.bytes + fact.index_bytes for fact in known.values())
    if total >= TINY_BYTES:
        return None
    if all(fact.exact and fact.rows == 0 for fact in known.values()):
        return f"Low, because {_names(known)} empty: there is nothing to wait for."
    return f"Low, because {_names(known)} tiny ({size(total)}): it is over in a moment."


def _names(known: Mapping[str, TableFact]) -> str:
    return f"{' and '.join(known)} {'are' if len(known) > 1 else 'is'}"


def _brief(taken: Sequence[Lock]) -> tuple[Lock, ...]:
    """Locks under which only the catalogue changes; of a mode that is not known, nothing is."""
    return tuple(
        one
        if one.blocks == "unknown"
        else replace(one, seconds=0.0, basis="no row is touched: a moment, once it has the lock")
        for one in taken
    )


def _part(
    one: Lock, work: Sequence[Lock], operation: Operation, context: Context
) -> tuple[float, str] | None:
    """(seconds, what they rest on) of the work under one lock; None when the table's size is not known."""
    rate, fact = RATES.get(one.work), _size(one.relation, operation, context)
    if rate is None or fact is None:
        return None
    amount = fact.bytes + (fact.index_bytes if one.work == REWRITE else 0)
    rows = max(fact.rows, 0)
    first = _size(work[0].relation, operation, context)
    if one is not work[0] and first is not None and _looks_up(operation):
        # Of the table that is pointed at, no more is read than there are rows that point.
        amount, rows = min(amount, first.bytes), min(rows, max(first.rows, 0))
    by_size, by_rows = amount / (rate.megabytes * MB), rows / rate.rows
    speed = f"{rate.megabytes} MB/s" if by_size >= by_rows else f"{rate.rows:,} rows/s"
    of = size(amount) if by_size >= by_rows else f"{rows:,} rows"
    where = f" ({one.relation})" if len(work) > 1 else ""
    return max(by_size, by_rows), f"{one.work} of {of}{where} at {speed}"


def _looks_up(operation: Operation) -> bool:
    return isinstance(operation, ValidateConstraint | AddColumn) or (
        isinstance(operation, AddConstraint) and operation.kind is Constraint.FOREIGN_KEY
    )


def _size(relation: str, operation: Operation, context: Context) -> TableFact | None:
    """What is known of a relation's size; None when it is not, or when this run has changed it."""
    if relation == FILE:
        relation = str(getattr(operation, "table", ""))
        if isinstance(operation, RewriteTable) and relation == "*":
            return _whole(context)
    key = context.key(relation)
    if {key, *context.known.around(key)} & (context.gone | context.new | context.filled):
        return None
    fact = context.fact(relation)
    if fact is None:
        return None
    found = [fact, *context.twins(key)]
    if any(one.bytes < 0 or one.index_bytes < 0 for one in found):
        return None
    return max(found, key=lambda one: one.bytes + one.index_bytes)


def _whole(context: Context) -> TableFact | None:
    """Every table of a SQLite file as one."""
    tables = context.facts.tables
    if tables is None or context.filled or any(f.bytes < 0 or f.index_bytes < 0 for f in tables):
        return None
    rows, own = sum(f.rows for f in tables), sum(f.bytes for f in tables)
    exact = all(f.exact for f in tables)
    return TableFact("the file", rows, own, exact, sum(f.index_bytes for f in tables))


def size(amount: int) -> str:
    """Bytes for people: 12 GB, 340 MB, 8 kB."""
    for unit, factor in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6)):
        if amount >= factor:
            number = amount / factor
            return f"{number:.1f} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{-(-amount // 1000)} kB"


def about(seconds: float) -> str:
    """A duration for people: about 3 min 20 s."""
    if seconds < 1:
        return "less than a second"
    whole = round(seconds)
    if whole < 60:
        return f"about {whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"about {minutes} min {rest} s" if rest else f"about {minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"about {hours} h {minutes} min" if minutes else f"about {hours} h"
