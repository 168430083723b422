"""The nouns of the room: something that can be asked, and what it says."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Answer:
    """What one check saw. ``ok`` None: the check itself could not be made, which says nothing of the application."""

    ok: bool | None
    detail: str


class Check(Protocol):
    """One thing that tells whether the application works."""

    def ask(self) -> Answer:
        """Ask once, within the time-out that it was made with. A failure to ask is an answer, never raised."""
