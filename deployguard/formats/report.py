"""What the formats show: values of the model, put together for one command's answer."""

from dataclasses import dataclass
from datetime import datetime

from deployguard.model import (
    ApprovalMode,
    BackupMode,
    BackupRecord,
    Evidence,
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
    """One sealed backup and the last time it was read back, if it ever was."""

    record: BackupRecord
    verification: Verification | None = None


@dataclass(frozen=True, slots=True)
class StepView:
    """What the journal says of one step of a deploy. ``detail`` is for people and holds no secret."""

    name: str
    state: str  # "begun", "done", "failed", "note" or "asked"
    at: datetime
    detail: str = ""


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
    backup: str = ""
    approved_by: str = ""
    detail: str = ""
    steps: tuple[StepView, ...] = ()
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
    backup: BackupEntry | None = None  # the newest
    release: tuple[tuple[str, str], ...] = ()  # service, what it runs
    notes: tuple[str, ...] = ()
    next_commands: tuple[str, ...] = ()
