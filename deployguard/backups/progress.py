"""How far a dump is, for people, and whether it moves at all."""

import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from deployguard.backups.base import Say
from deployguard.backups.room import human

_NOISE: Final = re.compile(r"^pg_(dump|restore): ")
_TELLING: Final = re.compile(r"dumping contents of table|processing data for table|creating INDEX")
_TABLE: Final = "dumping contents of table"
_LOOKS: Final = 1.0  # seconds between two looks at what has been written


class Pace:
    """Says each line, or one in ``every`` seconds: on a terminal it replaces the last one, in a log it stays."""

    def __init__(self, say: Say, every: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._every, self._clock = say, every, clock
        self._next = clock() + every
        self._guard = threading.Lock()

    def __call__(self, line: str) -> None:
        if self._every:
            with self._guard:
                now = self._clock()
                if now < self._next:
                    return
                self._next = now + self._every
        self._say(line)


class Progress:
    """One dump: which table of how many, bytes written, rate, and the time left where the last backup lets one guess.

    ``expected`` are the bytes that it will have, 0 where nobody knows.
    """

    def __init__(
        self,
        say: Say,
        folder: Path,
        *,
        tables: int,
        expected: int,
        every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = Pace(say, every, clock)
        self._folder, self._tables, self._expected = folder, tables, expected
        self._clock, self._began = clock, clock()
        self._lines = self._number = self._bytes = 0
        self._doing = "dumping"
        self._looked = float("-inf")

    def line(self, text: str) -> None:
        """Take a line that pg_dump has written."""
        self._lines += 1
        if _TELLING.search(text):
            self._number += _TABLE in text
            self._doing = _NOISE.sub("", text).strip()
            self._say(self.words())

    def moving(self) -> tuple[int, int]:
        """What grows while it goes on: bytes, and lines that were said. Says where it stands, too."""
        now = self._clock()
        if now - self._looked >= _LOOKS:
            self._looked = now
            self._bytes = written(self._folder)
            self._say(self.words())
        return self._bytes, self._lines

    def words(self) -> str:
        """Where it stands, in one line."""
        seconds = self._clock() - self._began
        said = [
            f"{self._doing} ({self._number} of {self._tables})" if self._number else self._doing
        ]
        if self._bytes and seconds >= 1:
            rate = self._bytes / seconds
            said.append(f"{human(self._bytes)} written, {human(rate)}/s")
            left = self._expected - self._bytes
            if self._expected and left > 0:
                said.append(f"about {duration(left / rate)} left by the last backup")
        return ", ".join(said)


def written(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    with os.scandir(folder) as found:
        for entry in found:
            try:
                total += entry.stat().st_size
            except FileNotFoundError:
                continue
    return total


def duration(seconds: float) -> str:
    """A time for people: 40 s, 3 min, 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def telling(say: Say, every: float = 0.0) -> Say:
    """Of what the tools say with --verbose, the lines that show progress."""
    pace = Pace(say, every)

    def line(text: str) -> None:
        if _TELLING.search(text):
            pace(_NOISE.sub("", text).strip())

    return line
