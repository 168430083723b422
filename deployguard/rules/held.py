"""Locks together: what a transaction holds already, and which of a revision's locks matter."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from deployguard.model import Lock, Opaque, Script
from deployguard.operations import CreateTable, Operation, Procedural, Unrecognised, WriteRows
from deployguard.rules.estimates import ESTIMATE, about
from deployguard.rules.locks import BUILD, MODES, REWRITE, SCAN
from deployguard.rules.mysql_locks import MYSQL_MODES

_ORDER = (*MODES, *(mode for mode in MYSQL_MODES if mode not in MODES))
AT_LEAST = "at least"  # how the basis of a lock begins whose end is not known
_ENDLESS = "plus the rest of its transaction, however long that takes" + ESTIMATE
# What is left out may be work of any length; other opacities stand for statements that are known.
_HIDING = {
    Opaque.FAILED,
    Opaque.DATA_DEPENDENT,
    Opaque.UNSEEN_WRITES,
    Opaque.APPLICATION_HELPER,
    Opaque.GUARDED,
}
_WORK = ("", SCAN, BUILD, REWRITE)


def _strength(one: Lock) -> int:
    return _ORDER.index(one.mode) if one.mode in _ORDER else len(_ORDER)


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: its locks, how long it works (None: nothing tells), and whether a transaction holds them on."""

    locks: tuple[Lock, ...]
    seconds: float | None
    in_transaction: bool


def held_with(one: Lock, held: Lock | None) -> Lock:
    """``one`` as it is felt in a transaction that holds ``held`` on the same relation already."""
    if held is None or _strength(held) <= _strength(one):
        return one
    return replace(one, mode=held.mode, blocks=held.blocks)


def works(operation: Operation, locks: Sequence[Lock]) -> float | None:
    """Seconds that an operation takes; without a lock on what others use there is no estimate, but most are brief."""
    if locks:
        return None if any(one.seconds is None for one in locks) else locks[0].seconds
    if isinstance(operation, WriteRows):
        return 0.0 if operation.verb == "insert" and not operation.from_query else None
    if isinstance(operation, CreateTable) and operation.from_query:
        return None
    return None if isinstance(operation, Procedural | Unrecognised) else 0.0


def to_the_end(steps: Sequence[Step], *, hidden: bool = False) -> tuple[Lock, ...]:
    """The locks of a revision, each with the time until its transaction ends: a brief one may be held for long.

    ``hidden``: something that works in it could not be read, so that no transaction's end is known.
    """
    found: list[Lock] = []
    end = None if hidden else 0.0
    rest = end  # of the transaction, after the step at hand
    for step in reversed(steps):
        if not step.in_transaction:
            rest = 0.0
        total = None if rest is None or step.seconds is None else rest + step.seconds
        found[:0] = [_held_on(one, step, total) for one in step.locks]
        rest = total if step.in_transaction else end
    return tuple(found)


def hides_work(script: Script) -> bool:
    """Whether statements that may take long run besides those that are known."""
    return any(one.writes or one.code in _HIDING for one in script.opacities)


def _held_on(one: Lock, step: Step, total: float | None) -> Lock:
    own = one.basis.removesuffix(ESTIMATE)
    if total is None and one.seconds is None:
        return replace(one, basis="")
    if total is None:
        own_time = one.seconds or 0.0
        by_itself = about(own_time) if own_time >= 1 else "a moment"
        return replace(one, seconds=None, basis=f"{AT_LEAST} {by_itself}, {_ENDLESS}")
    if total <= (step.seconds or 0.0):
        return one
    said = f"with what follows in the transaction {about(total)} in all{ESTIMATE}"
    return replace(one, seconds=round(total, 3), basis=f"{own}; {said}" if own else said)


def strongest(taken: Iterable[Lock]) -> tuple[Lock, ...]:
    """The locks that matter: none that another one on the same relation exceeds in mode and in work."""
    longest: dict[tuple[str, str, str], Lock] = {}
    for one in taken:
        key = (one.relation, one.mode, one.work)
        longest[key] = _longer(longest.get(key, one), one)
    unique = tuple(longest.values())
    return tuple(
        one for one in unique if not any(_exceeds(other, one) for other in unique if other != one)
    )


def _longer(one: Lock, other: Lock) -> Lock:
    if one.seconds is None or other.seconds is None:
        return one if one.seconds is None else other
    return other if other.seconds > one.seconds else one


def _exceeds(other: Lock, one: Lock) -> bool:
    return (
        other.relation == one.relation
        and _strength(other) >= _strength(one)
        and _WORK.index(other.work) >= _WORK.index(one.work)
        # A brief lock that was taken early may be held for longer than the work that came late.
        and (other.seconds is None or (one.seconds is not None and other.seconds >= one.seconds))
    )
