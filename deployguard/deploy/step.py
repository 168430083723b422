"""What a step of the saga is, and what the world can answer about one that was begun."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from deployguard.errors import NeedsHuman
from deployguard.model import Json

if TYPE_CHECKING:
    from deployguard.deploy.run import Run

Evidence: TypeAlias = dict[str, Json]


class PersonNeeded(NeedsHuman):
    """The saga itself stops for a person. Any other NeedsHuman that a step meets is a failure like all others."""


class Unsettled(PersonNeeded):
    """The step is neither done nor failed: its intent stays open, and a resume asks the world about it."""


class StillRunning(Unsettled):
    """What a step began goes on without us."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The step's effect is there: it is done, with this evidence, and is not run again."""

    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Running the step (again) is right: nothing was done, or doing it twice does what doing it once does."""

    reason: str


@dataclass(frozen=True, slots=True)
class Broken:
    """The step was done and went wrong."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """The world does not say. A person must look."""

    reason: str


Probed: TypeAlias = Settled | Repeat | Broken | Unclear


def always(run: "Run") -> bool:  # noqa: ARG001 - one shape for all
    return True


def never(run: "Run") -> bool:  # noqa: ARG001 - one shape for all
    return False


def harmless(run: "Run") -> Probed:  # noqa: ARG001 - one shape for all
    """The probe of a step that only looks, or whose effect is the same when it is repeated."""
    return Repeat("it can be repeated")


@dataclass(frozen=True, slots=True)
class Step:
    """One row of the table.

    ``run`` acts and returns the evidence that the journal keeps. ``probe`` asks the world what became of a step that
    was begun by a process that died. ``undo`` tidies up what the step left when the deploy stops before the first
    change; None is "it leaves nothing behind". ``again`` says that a resume repeats the step although it is done.
    """

    name: str
    title: str
    run: Callable[["Run"], Evidence]
    probe: Callable[["Run"], Probed] = harmless
    undo: Callable[["Run"], None] | None = None
    applies: Callable[["Run"], bool] = always
    again: Callable[["Run"], bool] = never
    arms: bool = (
        False  # when it is done, a failure must decide the way back instead of just tidying up
    )
