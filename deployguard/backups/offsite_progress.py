"""How far a copy is: a line at each tenth, or each half minute, with the rate and the time that is left."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from deployguard.backups.base import Say
from deployguard.backups.room import human

_EVERY: Final = 30.0  # seconds


@dataclass(slots=True)
class Progress:
    """Counts the bytes of all files together; ``where`` says what they are on the way to, for people."""

    total: int
    say: Say
    clock: Callable[[], float]
    where: str
    _parts: list["Part"] = field(default_factory=list)
    _sent: int = 0  # what has really been moved: what was there already says nothing of the rate
    _told: int = 0  # percent
    _began: float = field(init=False)
    _last: float = field(init=False)
    lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._began = self._last = self.clock()

    def part(self) -> "Part":
        """The count of one file; several may be on their way at once."""
        self._parts.append(part := Part(self))
        return part

    def moved(self, size: int) -> None:
        """So many bytes more were moved; for a part, which holds the lock."""
        self._sent += size
        at = min(self.total, sum(part.at for part in self._parts))
        percent, now = 100 * at // max(1, self.total), self.clock()
        late = now >= self._last + _EVERY and percent > self._told
        if percent // 10 <= self._told // 10 and not late:
            return
        self._told, self._last = percent, now
        self.say(f"{percent} % of {human(self.total)} {self.where}{self._rate(now, at)}")

    def _rate(self, now: float, at: int) -> str:
        seconds = now - self._began
        if seconds < 1 or not self._sent:
            return ""
        rate = self._sent / seconds
        return f", {human(rate)}/s, {(self.total - at) / rate:.0f} s left"


@dataclass(slots=True)
class Part:
    """The count of one file: ``at`` bytes of it are where they should be."""

    _whole: Progress
    at: int = 0

    def moved(self, size: int) -> None:
        """So many bytes more. Several threads may say so."""
        with self._whole.lock:
            self.at += size
            self._whole.moved(size)

    def finish(self, size: int) -> None:
        """The file, of so many bytes, is where it should be."""
        with self._whole.lock:
            self.at = size
