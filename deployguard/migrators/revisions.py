"""What a migration says of each revision as it goes: lines that our own hook and Alembic write; pure."""

import re
from dataclasses import dataclass
from typing import Literal

_OURS = re.compile(
    r"^deployguard: (upgrade|downgrade) (.*?) ?-> ?(.*?)(?: begins| (committed|done) after (\d+\.\d+) s)$"
)
_ALEMBIC = re.compile(
    r"\bRunning (upgrade|downgrade) (\S*(?:, \S+)*) ?-> ?(\S*(?:, \S+?)*?)(?:, .*)?$"
)


@dataclass(frozen=True, slots=True)
class Stride:
    """One revision that begins, or has been gone through. Several heads are listed with a comma; "" is none.

    ``how`` "done": it is in a transaction with others, which may yet be rolled back. ``ours``: told by our hook, so
    that the end is told as well.
    """

    direction: str
    before: str
    after: str
    how: Literal["begins", "committed", "done"]
    seconds: float = 0.0
    ours: bool = True

    @property
    def title(self) -> str:
        """As people read it: "b014 → b015"."""
        return f"{self.before or 'base'} → {self.after or 'base'}"


def stride(line: str) -> Stride | None:
    """What a line of the migration's output tells of a revision; None for every other line."""
    ours = _OURS.match(line)
    if ours is not None:
        direction, before, after, how, seconds = ours.groups()
        if how is None:
            return Stride(direction, before, after, "begins")
        return Stride(
            direction, before, after, "done" if how == "done" else "committed", float(seconds)
        )
    told = _ALEMBIC.search(line)
    if told is None:
        return None
    direction, before, after = told.groups()
    return Stride(direction, before, after, "begins", ours=False)
