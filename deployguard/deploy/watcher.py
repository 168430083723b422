"""Judge what a migration does to others, look by look: what to tell, what to keep, and when to cut it off. Pure.

A look that failed is never "nobody waits": it ends the time that was counted, so that a migration is only cut off for
what was seen without a gap.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from deployguard.config import WatchConfig
from deployguard.deploy import nearby
from deployguard.deploy.nearby import Nearby
from deployguard.formats import watching, words
from deployguard.model import Json
from deployguard.observation import Observation

_NOTED: Final = (
    4  # how often a longer queue is kept: when it is first there, and when it has doubled since
)


@dataclass(frozen=True, slots=True)
class Cut:
    """Why the migration's own statement is cancelled. ``seconds``: how long ``blocked`` or more have waited.

    ``waited``: every session that is cancelled waited for somebody else itself, so that a second try may find the
    way free. One that does its own work under its lock would block everybody once more.
    """

    pids: tuple[int, ...]
    blocked: int
    seconds: float
    waited: bool
    because: str

    def evidence(self, attempt: int) -> dict[str, Json]:
        """What the journal keeps of it before it is done: no statement, no names of people."""
        return {
            "attempt": attempt,
            "pids": [*self.pids],
            "blocked": self.blocked,
            "seconds": round(self.seconds, 1),
            "waited": self.waited,
            "because": self.because,
        }


@dataclass(frozen=True, slots=True)
class Watched:
    """What has been seen of one attempt so far."""

    since: float | None = None  # when more waited than may, and always have since; None: they don't
    pids: frozenset[int] = frozenset()  # for which of our processes
    most: int = 0  # sessions that waited behind us at once
    longest: float = 0.0  # seconds that one of them has waited
    kept: int = 0  # the length of the queue that was kept last
    times: int = 0  # how often one was kept
    looks: int = 0
    blind: int = 0  # looks that failed
    unknown: bool = False  # the last look failed
    cut: bool = False
    nearby: Nearby = field(default_factory=Nearby)


@dataclass(frozen=True, slots=True)
class Advice:
    """What follows from a look. ``say`` is for people, once; ``note`` for the journal; ``doing`` what goes on now."""

    say: str = ""
    note: Mapping[str, Json] = field(default_factory=dict)
    doing: str = ""
    cut: Cut | None = None


def judge(
    former: Watched, seen: Observation, now: float, limits: WatchConfig
) -> tuple[Watched, Advice]:
    """What a look at ``now`` (seconds of a clock that never goes back) adds to what was known."""
    blocked = len(seen.queue)
    since, pids = _since(former, seen, now, limits)
    state = replace(
        former,
        looks=former.looks + 1,
        unknown=False,
        most=max(former.most, blocked),
        longest=max([former.longest, *(c.waiting or 0.0 for c in seen.queue)]),
        since=since,
        pids=pids,
    )
    said = ["The watcher can read again who waits for whom."] if former.unknown else []
    around, worries = nearby.look(former.nearby, seen, limits)
    state = replace(state, nearby=around)
    said += worries
    note: dict[str, Json] = {}
    if blocked and blocked >= 2 * state.kept and state.times < _NOTED:
        state = replace(state, kept=blocked, times=state.times + 1)
        said.append(f"The migration keeps others waiting: {watching.gist(seen)}.")
        note = _queue(seen)
    cut = _cut(state, seen, now, limits)
    if cut is not None and not state.cut:
        said.append(f"Cancelling the migration's own statement: {sentence(cut)}.")
        state = replace(state, cut=True)
    return state, Advice(" ".join(said), note, watching.gist(seen), cut)


def missed(former: Watched, why: str) -> tuple[Watched, Advice]:
    """A look failed: what is not known is said once, and nothing is taken for quiet."""
    state = replace(
        former,
        since=None,
        pids=frozenset(),
        looks=former.looks + 1,
        blind=former.blind + 1,
        unknown=True,
    )
    if former.unknown:
        return state, Advice(doing="who waits behind it is unknown")
    say = f"Who waits for the migration is unknown, and nobody would be cut off: {why}"
    note: dict[str, Json] = {} if former.blind else {"unknown": why}
    return state, Advice(say=say, note=note, doing="who waits behind it is unknown")


def summary(state: Watched) -> dict[str, Json]:
    """What the journal keeps of one attempt at its end; {} when there was nothing."""
    around = nearby.summary(state.nearby)
    if not state.most and not state.blind and not around:
        return {}
    return {
        **around,
        "looks": state.looks,
        "failed_looks": state.blind,
        "most_blocked": state.most,
        "longest_wait": round(state.longest, 1),
    }


def sentence(cut: Cut) -> str:
    """Why, to follow other words."""
    noun = "session" if cut.blocked == 1 else "sessions"
    return f"it blocked {cut.blocked} {noun} for {words.seconds(cut.seconds)}: {cut.because}"


def _since(
    former: Watched, seen: Observation, now: float, limits: WatchConfig
) -> tuple[float | None, frozenset[int]]:
    """Since when too many wait, and for which of our processes."""
    if len(seen.queue) <= limits.max_blocked:
        return None, frozenset()
    culprits = frozenset(client.pid for client in seen.culprits)
    # Other processes of ours are another statement, which has its own time.
    same = former.since is not None and bool(former.pids & culprits)
    return (former.since if same else now), culprits


def _cut(state: Watched, seen: Observation, now: float, limits: WatchConfig) -> Cut | None:
    if state.since is None or not limits.max_seconds or now - state.since < limits.max_seconds:
        return None
    culprits = seen.culprits
    ours = {client.pid for client in seen.ours}
    waiting = [client for client in culprits if set(client.blockers) - ours]
    if waiting:
        because = f"it {watching.waits(waiting[0])}, behind {watching.blockers(seen, waiting[0])}"
    else:
        wanted = next(client for client in seen.queue)
        where = f", so that process {wanted.pid} {watching.waits(wanted)}"
        because = f"it does its work under a lock that they need{where}"
    return Cut(
        tuple(client.pid for client in culprits),
        len(seen.queue),
        now - state.since,
        len(waiting) == len(culprits),
        because,
    )


def _queue(seen: Observation) -> dict[str, Json]:
    """The queue for the journal: processes, names of programs, locks and ages; never a statement."""
    ours = next((client for client in seen.ours if client.blockers), None)
    first = seen.queue[0]
    return {
        "blocked": len(seen.queue),
        "first": f"process {first.pid} {watching.waits(first)}",
        "behind": watching.blockers(seen, ours) if ours else "",
    }
