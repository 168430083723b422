"""What comes next while new replicas of one service take over from old ones: decided from what there is, purely.

Nothing is remembered between two looks but what the proxy was told in this process, so a run that was killed
anywhere goes on, or back, from whatever it finds: an update wants replicas of the new version, putting back those of
the old one, and both walk this one way.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

CRASHES: Final = 3  # so often a new replica may end and be started again before it counts as broken


class State(StrEnum):
    """What can be expected of a container."""

    READY = "ready"
    STARTING = "starting"
    BROKEN = "broken"  # it runs, and is unhealthy or ends again and again
    ENDED = "ended"  # it does not run: never started, or stopped


@dataclass(frozen=True, slots=True)
class Replica:
    """One container. ``wanted``: of the version that is to serve; ``former``: it ran before the deploy."""

    name: str
    state: State
    wanted: bool
    former: bool = False

    @property
    def runs(self) -> bool:
        return self.state is not State.ENDED


class Do(StrEnum):
    """What is to be done next."""

    TELL = "tell the proxy"
    START = "start replicas"
    WAIT = "wait"
    GIVE_UP = "give up"
    RETIRE = "stop"
    REMOVE = "remove"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Next:
    """One thing to do, to the containers ``names``. ``count``: how many replicas are missing.

    ``ready``: the wanted replicas can serve without any other.
    """

    do: Do
    names: tuple[str, ...] = ()
    count: int = 0
    ready: bool = False


@dataclass(frozen=True, slots=True)
class View:
    """What there is of one service. ``count`` replicas are to serve.

    ``told`` is what the proxy was told in this process: None when nothing yet, so that it is told again after a crash
    between writing the file and reading it. ``proxied``: there is a proxy to tell. ``started``: containers were
    started in this process, so one that has ended has failed. ``handed``: the proxy knows the new ones only, and no
    doubt about them calls the old ones back; that they are known to be broken does, while old ones run.
    """

    replicas: tuple[Replica, ...]
    count: int
    proxied: bool = False
    told: tuple[str, ...] | None = None
    started: bool = False
    handed: bool = False


def next_action(seen: View) -> Next:
    """The next thing to do. Repeated after each, it ends with DONE: ``count`` wanted replicas, and no other."""
    wanted = [one for one in _in_order(seen) if _counts(one)]
    good = [one for one in wanted if one.state is State.READY or _trusted(seen, one)]
    if len(good) >= seen.count:
        return _hand_over(seen, _names(good[: seen.count]))
    serving = _serving(seen, good)
    if seen.proxied and serving and seen.told != serving:
        return Next(Do.TELL, serving)  # before anything starts that a name of all replicas leads to
    ended = [one for one in seen.replicas if not one.runs]
    broken = [one for one in wanted if one.state is State.BROKEN]
    broken += [one for one in ended if one.wanted and seen.started]
    if broken:
        return Next(Do.GIVE_UP, _names(broken))
    if ended:
        return Next(Do.REMOVE, _names(ended))
    missing = seen.count - len(wanted)
    return Next(Do.START, count=missing) if missing > 0 else Next(Do.WAIT)


def left_over(seen: View) -> tuple[str, ...]:
    """What an update that gives up takes away again: all that it started, where others still serve."""
    new = [one for one in seen.replicas if one.wanted and not one.former]
    others = [one for one in seen.replicas if one.runs and one not in new]
    return _names(new) if others else ()


def staying(seen: View, gone: Collection[str]) -> tuple[str, ...]:
    """Who serves when ``gone`` are taken away: the others that run, without those that are known to be broken."""
    others = [one for one in seen.replicas if one.runs and one.name not in gone]
    return _names(one for one in others if one.state is not State.BROKEN) or _names(others)


def _hand_over(seen: View, chosen: tuple[str, ...]) -> Next:
    if seen.proxied and seen.told != chosen:
        return Next(Do.TELL, chosen, ready=True)
    others = [one for one in seen.replicas if one.name not in chosen]
    if leaving := [one for one in others if one.runs]:
        return Next(Do.RETIRE, _names(leaving), ready=True)
    if others:
        return Next(Do.REMOVE, _names(others), ready=True)
    return Next(Do.DONE, chosen, ready=True)


def _serving(seen: View, good: list[Replica]) -> tuple[str, ...]:
    """Who serves while the wanted ones cannot yet: the others, without those that are known to be broken."""
    others = [one for one in seen.replicas if one.runs and not _counts(one)]
    well = [one for one in others if one.state is not State.BROKEN]
    kept = [one for one in good if one.former]
    return _names(kept + well) or _names(good) or _names(others)


def _counts(one: Replica) -> bool:
    """Whether it is one of those that are to serve. One that ran before and is broken is replaced, not waited for."""
    return one.wanted and one.runs and not (one.former and one.state is State.BROKEN)


def _trusted(seen: View, one: Replica) -> bool:
    """Whether one that is to serve and is not ready keeps its place, for the old ones were told to go already."""
    well = any(
        other.runs and other.state is not State.BROKEN and not other.wanted
        for other in seen.replicas
    )
    return seen.handed and (one.state is State.STARTING or not well)


def _in_order(seen: View) -> list[Replica]:
    """Those that the proxy knows come first, then those that ran already: what need not be replaced stays."""
    told = seen.told or ()
    return sorted(seen.replicas, key=lambda one: (one.name not in told, not one.former))


def _names(replicas: Iterable[Replica]) -> tuple[str, ...]:
    return tuple(sorted(one.name for one in replicas))
