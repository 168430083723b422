"""Follow a container's log in polls: it stands a quiet program, a restarted engine and our own time limit."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from deployguard.containers.engine import Engine


@dataclass(slots=True)
class Log:
    """Where we are in a container's log; ``advance`` hands on each complete line once, in order."""

    name: str
    _second: str = ""  # of the last line that was handed on: the time without its fraction
    _in_second: int = 0  # how many lines of that second were handed on
    _tail: str = field(default="", repr=False)

    def advance(
        self, engine: Engine, on_line: Callable[[str], None], *, final: bool = False
    ) -> None:
        """Hand on what is new. ``final``: the container has ended, so an unfinished last line counts too."""
        since = _unix(self._second) if self._second else None
        raw = engine.logs(self.name, since=since).decode(errors="replace")
        lines = raw.split("\n")
        unfinished = lines.pop()  # "" after a newline
        if final and unfinished:
            lines.append(unfinished)
        skip = self._in_second
        for stamped in lines:
            stamp, _, line = stamped.partition(" ")
            second = stamp.partition(".")[0]
            if second == self._second and skip:
                skip -= 1
                continue
            self._in_second = self._in_second + 1 if second == self._second else 1
            self._second = second
            skip = 0
            on_line(line.rstrip("\r"))


def _unix(second: str) -> int:
    return int(datetime.fromisoformat(f"{second}+00:00").timestamp())
