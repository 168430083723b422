"""What the formats show: values of the model, put together for one command's answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from deployguard.model import (
    ApprovalMode,
    BackupMode,
    BackupRecord,
    Drilled,
    Evidence,
    Json,
    OffsiteCopy,
    Pin,
    Plan,
    Risk,
    Verification,
)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The answer of ``check``: the plan, the level from which it fails, and what to type next."""

    plan: Plan
    fail_on: Risk
    next_commands: tuple[str, ...] = ()
    show_sql: bool = False
    deploying: bool = False  # shown before a deploy, which goes by all findings

    @property
    def level(self) -> Risk | None:
        """The level to show first: of what is open, or of everything where that decides."""
        return self.plan.risk if self.deploying else self.plan.open_risk

    @property
    def failed(self) -> bool:
        """Whether the level of what is open reaches ``fail_on``; nothing pending never does."""
        return self.plan.open_risk is not None and self.plan.open_risk >= self.fail_on

    @property
    def needs_approval(self) -> bool:
        """Whether the plan runs only with an approval of its digest."""
        pending = self.plan.risk is not None
        return pending and self.plan.requirement.approval is ApprovalMode.APPROVAL

    @property
    def needs_backup(self) -> bool:
        """Whether the plan runs only after a verified backup."""
        pending = self.plan.risk is not None
        return pending and self.plan.requirement.backup is BackupMode.REQUIRED

    @property
    def evidence(self) -> Evidence | None:
        """The weakest evidence among the revisions; None when nothing is pending."""
        return min((v.revision.evidence for v in self.plan.verdicts), default=None)


@dataclass(frozen=True, slots=True)
class BackupEntry:
    """One sealed backup, the last time it was read back and drilled, if it ever was, its pin, and where it lies."""

    record: BackupRecord
    verification: Verification | None = None
    drill: Drilled | None = None
    pin: Pin | None = None
    age: timedelta | None = (
        None  # negative: its time lies in the future; None: nobody looked at the clock
    )
    copies: tuple[OffsiteCopy, ...] = ()  # elsewhere

    @property
    def places(self) -> tuple[str, ...]:
        """Where it lies: "here", and the kinds of places that it was copied to."""
        return ("here", *dict.fromkeys(copy.url.partition(":")[0] for copy in self.copies))

    @property
    def verified(self) -> bool:
        return self.verification is not None and self.verification.ok


@dataclass(frozen=True, slots=True)
class CopiesView:
    """The complete copies in an off-site place, newest first; ``here`` are the ids that are here as well."""

    place: str
    records: tuple[BackupRecord, ...]
    here: frozenset[str] = frozenset()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one backup, and why."""

    entry: BackupEntry
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What retention makes of the backups of an environment, newest first. ``done``: what may go was removed."""

    environment: str
    fates: tuple[Fate, ...]
    done: bool = False
    next_commands: tuple[str, ...] = ()

    @property
    def going(self) -> tuple[Fate, ...]:
        return tuple(fate for fate in self.fates if not fate.keep)

    @property
    def freed(self) -> int:
        """Bytes of the backups that go."""
        return sum(fate.entry.record.size for fate in self.going)


@dataclass(frozen=True, slots=True)
class DiskUse:
    """What the backups of an environment take: (class, how many, bytes), and the disk; sizes in bytes."""

    environment: str
    folder: str
    classes: tuple[tuple[str, int, int], ...]
    largest: tuple[BackupEntry, ...]
    others: int  # of other environments, and left-overs, in the same folder
    free: int
    total: int

    @property
    def count(self) -> int:
        return sum(count for _, count, _ in self.classes)

    @property
    def size(self) -> int:
        return sum(size for _, _, size in self.classes)


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an environment's backups are as they should be. ``problems`` are what a monitor must tell."""

    environment: str
    newest: BackupEntry | None  # verified
    allowed: timedelta
    due: datetime | None  # when the next verified one must be there
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()  # ("verified", 12), ("not read back", 1), …
    next_commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StepView:
    """What the journal says of one step of a deploy. ``detail`` is for people and holds no secret."""

    name: str
    state: str  # "begun", "done", "failed", "note" or "asked"
    at: datetime
    detail: str = ""
    seconds: float | None = None  # from its beginning to this; None where it has not ended
    evidence: Mapping[str, Json] = field(default_factory=dict)  # all that the journal keeps of it


@dataclass(frozen=True, slots=True)
class DeployView:
    """What the journal says of one deploy. ``state`` is the journal's own word, in lower case."""

    id: str
    kind: str  # "deploy", "rollback" or "restore"
    environment: str
    state: str
    started: datetime
    ended: datetime | None = None
    risk: str = ""
    digest: str = ""
    from_revisions: tuple[str, ...] = ()
    to_revisions: tuple[str, ...] = ()
    by: str = ""
    host: str = ""  # where it was begun: its logs and backups lie there
    backup: str = ""
    approved_by: str = ""
    approved_because: str = ""
    log: str = ""  # of its migration, on that host
    plan: Mapping[str, Json] = field(default_factory=dict)  # the document that its digest is of
    detail: str = ""
    steps: tuple[StepView, ...] = ()
    ref: str = ""  # what was asked for instead of the working copy, and
    commit: str = ""  # the commit that it named
    refused: bool = False  # it failed because the policy or a missing approval kept it from running

    @property
    def outcome(self) -> str:
        """``state`` for people: nothing went wrong in a deploy that was refused."""
        return "refused" if self.refused else self.state


@dataclass(frozen=True, slots=True)
class StatusReport:
    """Where an environment stands: database, code, the last deploy, and whether one is unfinished."""

    environment: str
    target: str  # the database, without password
    current: tuple[str, ...] | None  # None: the database was not reachable
    heads: tuple[str, ...]
    pending: tuple[str, ...] | None  # None: unknown
    last: DeployView | None = None
    unfinished: DeployView | None = None
    lock: str = ""  # who holds the deploy lock, since when and why; "" when it is free
    server_lock: str = (
        ""  # the session that holds the lock in the database server; "" when it is free
    )
    backup: BackupEntry | None = None  # the newest
    release: tuple[tuple[str, str], ...] = ()  # service, what it runs
    notes: tuple[str, ...] = ()
    next_commands: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WayBackView:
    """What a rollback would do. ``answers`` are (question, "yes", "no" or "unknown", what it rests on).

    ``steps`` is () and ``safe`` False where no way is safe without a person.
    """

    deploy: str
    way: str
    safe: bool
    reasons: tuple[str, ...]
    state: str
    answers: tuple[tuple[str, str, str], ...]
    steps: tuple[str, ...] = ()
    warning: str = ""  # what would have to be confirmed
    writes: Json = None  # what others wrote since the backup, as the document has it
    next_commands: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()  # what it means for who is served, a sentence a service
