"""What to do next while AWS works: wait, be done, or give up; pure, with the loop that asks, pauses and tells.

AWS's own waiters give up after a fixed number of looks, at the first throttled one, and never say how far it is.
Here a wait ends without success only when AWS says that it failed, or when nothing has moved for a long time.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from deployguard.backups.base import Say
from deployguard.errors import DeployguardError

GRACE: Final = 120.0  # seconds that something which was just made may not be found yet
TELL: Final = 60.0  # seconds between two lines when nothing changes
_LONGEST: Final = 30.0  # seconds between two tries of a call
_RANDOM: Final = random.SystemRandom()

# A status that none of these names is waited for: AWS adds new ones.
_FAILED: Final = (
    "failed",
    "deleted",
    "deleting",
    "delete-precheck",
    "error",
    "restore-error",
    "stopped",
    "stopping",
    "storage-full",
    "inaccessible-",
    "incompatible-",
    "insufficient-capacity",
    "canceled",
    "canceling",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look has shown. ``percent`` None: AWS does not tell. ``why`` is what AWS says of a failure."""

    status: str
    percent: int | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """It is as it should be."""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """It will not come to that; ``why`` is half a sentence."""

    why: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Look again after so many seconds."""

    seconds: float


Verdict: TypeAlias = Done | GaveUp | Wait


@dataclass(frozen=True, slots=True)
class Patience:
    """``timeout`` seconds without progress, ``poll`` between two looks, ``goals`` are the statuses waited for."""

    timeout: float
    poll: float
    goals: tuple[str, ...] = ("available",)


def judge(seen: Seen | None, waited: float, still: float, patience: Patience) -> Verdict:
    """Whether to go on after a look; None: it was not found. ``still`` of ``waited`` seconds are unchanged."""
    if seen is None:
        gone = waited > GRACE
        return GaveUp("it does not exist any more") if gone else Wait(patience.poll)
    if seen.status in patience.goals:
        return Done()
    if seen.status.startswith(_FAILED):
        return GaveUp(f"its status is {seen.status}" + (f" ({seen.why})" if seen.why else ""))
    if still > patience.timeout:
        return GaveUp(f"it is {progress(seen)} and has not moved for {round(still)} seconds")
    return Wait(patience.poll)


def progress(seen: Seen) -> str:
    """``creating, 40 %``."""
    return seen.status + (f", {seen.percent} %" if seen.percent is not None else "")


def backoff(attempt: int, chance: float) -> float:
    """Seconds before try ``attempt`` + 1 (from 1 on): doubling, with ``chance`` (0 to 1) spreading the lower half."""
    most = min(_LONGEST, 0.5 * 2.0 ** min(attempt, 10))
    return most / 2 + most / 2 * chance


def chance() -> float:
    """A number from 0 to 1 that keeps several processes from asking at the same moment."""
    return _RANDOM.random()


class Stopwatch:
    """Seconds that have passed: by the clock, and never fewer than were slept."""

    def __init__(self, sleep: Callable[[float], None] | None) -> None:
        self._sleep = sleep or time.sleep
        self._began, self._slept = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        return max(time.monotonic() - self._began, self._slept)

    def pause(self, seconds: float) -> None:
        self._sleep(seconds)
        self._slept += seconds


def wait(
    look: Callable[[], Seen | None],
    what: str,
    patience: Patience,
    *,
    sleep: Callable[[float], None] | None,
    say: Say,
    fail: Callable[[str], DeployguardError],
) -> None:
    """Look until it is done; raises what ``fail`` makes of a sentence when it will not be."""
    watch = Stopwatch(sleep)
    before: Seen | None = None
    moved, told = 0.0, -TELL
    while True:
        seen, now = look(), watch.seconds
        if seen != before:
            before, moved = seen, now
            told = -TELL
        verdict = judge(seen, now, now - moved, patience)
        if isinstance(verdict, Done):
            return
        if isinstance(verdict, GaveUp):
            raise fail(f"{what}: {verdict.why}.")
        if now - told >= TELL:
            told = now
            say(f"{what}: {progress(seen) if seen else 'not to be seen yet'}")
        watch.pause(verdict.seconds * (0.8 + 0.4 * chance()))
