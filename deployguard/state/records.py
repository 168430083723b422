"""What the journal keeps of a deploy and of its events, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from deployguard.errors import DeployguardError
from deployguard.model import Json


class StateError(DeployguardError):
    """The state folder cannot be used: not writable, damaged, or written by a newer deployguard."""

    exit_code = 3


class Kind(StrEnum):
    """What a journaled run set out to do."""

    DEPLOY = "deploy"
    ROLLBACK = "rollback"
    RESTORE = "restore"


class Status(StrEnum):
    """Where a run stands. The last three leave work behind: see ``UNFINISHED``."""

    DONE = "done"
    FAILED = "failed"  # before the point of first change: nothing in production changed
    ROLLED_BACK = "rolled-back"
    RUNNING = "running"  # or killed while running: the lock tells
    INTERRUPTED = "interrupted"
    NEEDS_HUMAN = "needs-human"


UNFINISHED = (Status.RUNNING, Status.INTERRUPTED, Status.NEEDS_HUMAN)


class EventKind(StrEnum):
    """What an event says of its step."""

    INTENT = "intent"  # about to act
    DONE = "done"  # acted, with the evidence
    FAILED = "failed"
    NOTE = "note"  # something that a resume must know, recorded while the step acts
    PROBE = "probe"  # what the world answered about an open intent


@dataclass(frozen=True, slots=True)
class Deploy:
    """One row of history. Times are UTC; ``plan`` and ``options`` are the documents that the run was given."""

    id: str
    environment: str
    kind: Kind
    started: datetime
    by: str
    status: Status
    digest: str = ""
    summary: str = ""  # one sentence for people: how it ended
    finished: datetime | None = None
    plan: Mapping[str, Json] = field(default_factory=dict)
    options: Mapping[str, Json] = field(default_factory=dict)
    host: str = ""  # where it was begun: its logs and backups lie there; "" was not kept

    @property
    def unfinished(self) -> bool:
        return self.status in UNFINISHED


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the journal."""

    seq: int
    deploy: str
    at: datetime
    step: str
    kind: EventKind
    evidence: Mapping[str, Json] = field(default_factory=dict)
