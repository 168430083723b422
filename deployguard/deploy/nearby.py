"""Judge what changes slowly around a migration: old transactions, replicas, the server's disk, invalid indexes. Pure.

Nothing here stops a migration: it is told once when it becomes worrying, and kept at the end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from deployguard.config import WatchConfig
from deployguard.formats import watching, words
from deployguard.model import Json
from deployguard.observation import Client, Observation, Replica, Surroundings

MB: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Nearby:
    """What has been seen around one attempt so far: the most of each, or the least. None: never told."""

    asked: int = 0  # how often
    transaction: float = 0.0  # seconds that somebody else's has been open
    oldest: str = ""  # whose
    behind: int | None = None  # bytes, of the replica that was furthest behind
    lag: float | None = None  # seconds, of the one that was latest
    first: int | None = None  # bytes of the database when it was first asked
    last: int | None = None
    free: int | None = None  # bytes, the least
    temporary: int | None = None  # bytes, the most
    invalid: tuple[str, ...] = ()  # the last answer
    told: frozenset[str] = frozenset()  # what was said already


def look(former: Nearby, seen: Observation, limits: WatchConfig) -> tuple[Nearby, tuple[str, ...]]:
    """What a look adds, and the sentences that people have not been told yet."""
    state = _oldest(former, seen.longest)
    if seen.around is None:
        return state, ()
    state = _around(state, seen.around)
    worries = worrying(seen.around, limits, grown(state))
    told = state.told | {name for name, _ in worries}
    said = tuple(text for name, text in worries if name not in state.told)
    return replace(state, told=told), said


def worrying(
    around: Surroundings, limits: WatchConfig, growth: int | None
) -> tuple[tuple[str, str], ...]:
    """(what of, a sentence) of all that is beyond its limit."""
    found = []
    if around.free is not None and around.free < limits.min_free_mb * MB:
        more = f"; the database has grown by {words.size(growth)} meanwhile" if growth else ""
        text = f"Only {words.size(around.free)} are free on the disk of the server's files{more}."
        found.append(("disk", text))
    for replica in around.replicas or ():
        if limits.max_lag and replica.lag is not None and replica.lag > limits.max_lag:
            text = f"A replica is late: {watching.replica(replica)}."
            found.append((f"replica {replica.name}", text))
    return tuple(found)


def grown(state: Nearby) -> int | None:
    """Bytes that the database has grown by; None when that was not seen."""
    if state.first is None or state.last is None or state.asked < 2:
        return None
    return max(state.last - state.first, 0)


def summary(state: Nearby) -> dict[str, Json]:
    """What the journal keeps at the end of an attempt; {} when nothing was asked. "unknown" is never nothing."""
    if not state.asked:
        return {}
    return {
        "oldest_transaction": round(state.transaction, 1),
        "oldest": state.oldest,
        "replica_bytes_behind": state.behind,
        "replica_lag": None if state.lag is None else round(state.lag, 1),
        "grown": _or_unknown(grown(state)),
        "temporary": _or_unknown(state.temporary),
        "free": _or_unknown(state.free),
        "invalid_indexes": [*state.invalid],
    }


def _oldest(state: Nearby, client: Client | None) -> Nearby:
    age = client.transaction if client is not None else None
    if client is None or age is None or age <= state.transaction:
        return state
    return replace(state, transaction=age, oldest=watching.who(client))


def _around(state: Nearby, around: Surroundings) -> Nearby:
    replicas = around.replicas or ()
    return replace(
        state,
        asked=state.asked + 1,
        behind=_most(state.behind, [one.behind for one in replicas]),
        lag=_latest(state.lag, replicas),
        first=around.size if state.first is None else state.first,
        last=state.last if around.size is None else around.size,
        free=min(_told(state.free, around.free), default=None),
        temporary=_most(state.temporary, [around.temporary]),
        invalid=state.invalid if around.invalid is None else around.invalid,
    )


def _latest(former: float | None, replicas: Sequence[Replica]) -> float | None:
    told = [one.lag for one in replicas if one.lag is not None]
    return max([*told, *([] if former is None else [former])], default=None)


def _most(former: int | None, now: Sequence[int | None]) -> int | None:
    return max(_told(former, *now), default=None)


def _told(*values: int | None) -> list[int]:
    return [value for value in values if value is not None]


def _or_unknown(value: int | None) -> Json:
    return "unknown" if value is None else value
