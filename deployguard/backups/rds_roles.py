"""Which step of a restore comes next, from what AWS has under the three names that play a part in it; pure.

The live one is renamed to the name it is kept under, then the new one to the live name. AWS forgets nothing of this
when we are killed: who is who is told by tags, which survive renames, so a second call goes on where the first ended.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeAlias

MIDDLE: Final = "-restoring-"


class Step(Enum):
    """What to do next."""

    RESTORE = "make the new one from the snapshot"
    WAIT = "wait for AWS"
    CHECK = "look whether the new one is right, then rename the live one"
    TAKE_OVER = "rename the new one to the live name"
    DONE = "nothing: it was done"


@dataclass(frozen=True, slots=True)
class Stuck:
    """What lies under the names is not of this restore; ``why`` is a sentence."""

    why: str


Next: TypeAlias = Step | Stuck


@dataclass(frozen=True, slots=True)
class Role:
    """One of the three: its status, and our tags on it."""

    status: str
    tags: Mapping[str, str]

    def made_by(self, mark: str) -> bool:
        return self.tags.get("restore") == mark

    def replaced_by(self, mark: str) -> bool:
        return self.tags.get("replaced-by") == mark


def mark(backup: str, kept_as: str) -> str:
    """What tells this restore from others: the same at every call."""
    return hashlib.sha256(f"{backup}\n{kept_as}".encode()).hexdigest()[:16]


def new_name(live: str, this: str) -> str:
    """The name of the new one until it takes the live name over."""
    tail = MIDDLE + this[:8]
    return live[: 62 - len(tail)].rstrip("-") + tail


def following(live: Role | None, new: Role | None, kept: Role | None, this: str) -> Next:
    """The next step of the restore ``this``. What is being renamed may have either name, or for a moment none."""
    if live is not None and live.made_by(this):
        return Step.DONE if live.status in _USABLE else Step.WAIT
    if new is not None and not new.made_by(this):
        return Stuck("there is another one under the name that the new one would have")
    if kept is not None and not kept.replaced_by(this):
        return Stuck("the name to keep the live one under is taken")
    if live is None and kept is None:
        # In the middle of the first rename; without a new one nothing was begun.
        return Step.WAIT if new is not None else Stuck("there is nothing under the live name")
    if kept is None:
        return _before(live, new)
    if live is not None:
        both = f"{live.status}, while the former one is kept already"
        return (
            Step.WAIT
            if live.status == "renaming"
            else Stuck(f"another one has the live name ({both})")
        )
    if new is None or kept.status not in _USABLE or new.status not in _USABLE:
        return Step.WAIT
    return Step.TAKE_OVER


_USABLE: Final = ("available", "storage-optimization")


def _before(live: Role | None, new: Role | None) -> Next:
    if new is None:
        return Step.RESTORE
    return (
        Step.CHECK
        if live is not None and live.status in _USABLE and new.status in _USABLE
        else Step.WAIT
    )
