"""Locks together: what a transaction holds already, and which of a revision's locks matter."""

from collections.abc import Iterable

from deployguard.model import Lock
from deployguard.rules.locks import BUILD, MODES, REWRITE, SCAN
from deployguard.rules.mysql_locks import MYSQL_MODES

_ORDER = (*MODES, *(mode for mode in MYSQL_MODES if mode not in MODES))
_WORK = ("", SCAN, BUILD, REWRITE)


def _strength(one: Lock) -> int:
    return _ORDER.index(one.mode) if one.mode in _ORDER else len(_ORDER)


def held_with(one: Lock, held: Lock | None) -> Lock:
    """``one`` as it is felt in a transaction that holds ``held`` on the same relation already."""
    if held is None or _strength(held) <= _strength(one):
        return one
    return Lock(one.relation, held.mode, held.blocks, one.work)


def strongest(taken: Iterable[Lock]) -> tuple[Lock, ...]:
    """The locks that matter: none that another one on the same relation exceeds in mode and in work."""
    unique = tuple(dict.fromkeys(taken))
    return tuple(
        one for one in unique if not any(_exceeds(other, one) for other in unique if other != one)
    )


def _exceeds(other: Lock, one: Lock) -> bool:
    return (
        other.relation == one.relation
        and _strength(other) >= _strength(one)
        and _WORK.index(other.work) >= _WORK.index(one.work)
    )
