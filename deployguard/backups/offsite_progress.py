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
    _done: int = 0  # of files that are finished
    _file: int = 0  # of the file that is on its way
    _sent: int = 0  # what has really been moved: what was there already says nothing of the rate
    _told: int = 0  # percent
    _began: float = field(init=False)
    _last: float = field(init=False)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self._began = self._last = self.clock()

    def moved(self, size: int) -> None:
        """So many bytes more of the present file. Several threads may say so."""
        with self._lock:
            self._file += size
            self._sent += size
            at = min(self.total, self._done + self._file)
            percent, now = 100 * at // max(1, self.total), self.clock()
            late = now >= self._last + _EVERY and percent > self._told
            if percent // 10 <= self._told // 10 and not late:
                return
            self._told, self._last = percent, now
            self.say(f"{percent} % of {human(self.total)} {self.where}{self._rate(now, at)}")

    def finish(self, size: int) -> None:
        """The present file, of so many bytes, is where it should be."""
        with self._lock:
            self._done, self._file = self._done + size, 0

    def _rate(self, now: float, at: int) -> str:
        seconds = now - self._began
        if seconds < 1 or not self._sent:
            return ""
        rate = self._sent / seconds
        return f", {human(rate)}/s, {(self.total - at) / rate:.0f} s left"
