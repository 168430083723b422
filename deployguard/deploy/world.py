"""The saga's collaborators, in one frozen value: the only door through which a step reaches the outside world."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deployguard.config import Environment, Project
from deployguard.deploy.reporter import Reporter
from deployguard.errors import UsageError
from deployguard.model import BackupRecord, Health, HealthSample, Json, Plan, Scope
from deployguard.notify import Notifier
from deployguard.state import Deploy, DeployLock, Journal, Kind

if TYPE_CHECKING:  # the collaborators load only what they need, when wire() makes them
    from deployguard.backups.base import BackupStore
    from deployguard.backups.offsite import Offsite
    from deployguard.database import Database
    from deployguard.deploy.commits import Commits
    from deployguard.migrators.base import Migrator
    from deployguard.revisions.graph import Graph
    from deployguard.targets.base import Target
    from deployguard.targets.quiesce import Quiescer


def _no_parts(reason: str, scope: Scope) -> BackupRecord:
    raise UsageError(f"No {reason} backup of a part ({scope}) can be taken here.")


@dataclass(frozen=True, slots=True)
class World:
    """What a run works with; ``wiring.py`` makes it from the configuration, tests make it from fakes."""

    project: Project
    environment: Environment
    config_path: Path
    state: Path  # the state folder: journal, locks, logs
    by: str  # who runs this, for the journal
    journal: Journal
    lock: DeployLock
    reporter: Reporter
    assess: Callable[[], Plan]
    graph: Callable[[], "Graph"]  # the project's revisions, read from the files
    database: Callable[[], "Database"]  # a new handle each time; use it in a `with` block
    backups: "BackupStore"
    migrator: "Migrator"
    target: "Target"
    poll_health: Callable[[Callable[[HealthSample], None]], Health]
    bake: Callable[[Callable[[HealthSample], None]], Health]  # healthy, and for how long
    take_backup: Callable[[str, str], BackupRecord]  # (reason, deploy id)
    find_backup: Callable[[str, str], BackupRecord | None]  # (reason, deploy id): the sealed one
    named_backup: Callable[[str], BackupRecord]  # by its id; raises UsageError
    backup_mark: Callable[[BackupRecord], Json]  # where writing stood before it; None is unknown
    backup_slot: Callable[
        [BackupRecord], Json
    ]  # of the replication slot that begins at it; None: none
    sweep_backups: Callable[[], object]
    # (revisions that the database is at) → what a migration would run: revision → its file's digest, and the image
    would_run: Callable[[tuple[str, ...]], Mapping[str, str]]
    redact: Callable[[str], str]
    clock: Callable[[], datetime]
    sleep: Callable[[float], None]  # seconds
    quiescer: "Quiescer | None" = None  # None: nothing is named that could be held still
    offsite: "Callable[[], Offsite] | None" = None  # None: no place for copies is configured
    every: float = (
        0.0  # seconds between lines on what goes on; 0 where each replaces the former one
    )
    # Raises UsageError when the backup is encrypted and cannot be opened here; None is what a deploy takes
    openable: Callable[[BackupRecord | None], None] = lambda record: None  # noqa: ARG005 - opens all
    # Why the server would refuse a restore, and what to type; None when it would not, or nobody can tell
    unrestorable: Callable[[], tuple[str, tuple[str, ...]] | None] = lambda: None
    take_part: Callable[[str, Scope], BackupRecord] = _no_parts  # (reason, what of the database)
    notifier: Notifier = field(default_factory=Notifier)  # who is told; nobody by default
    # an image's id → its digest, and the names that lead to it; None: nothing here runs from images
    image: Callable[[str], dict[str, Json]] | None = None
    commits: "Commits | None" = None  # other commits of the project; None: it lies in no repository
    # (deploy of a commit) → the world in which that commit's revisions and images are the project's
    of_commit: "Callable[[Deploy], World] | None" = None

    def for_run(self, run: Deploy) -> "World":
        """The world of a run: where it deploys a commit, or takes back a deploy of one, that of the commit."""
        name = run.options.get("deploy")
        deploy = (
            self.journal.get(name) if run.kind is Kind.ROLLBACK and isinstance(name, str) else run
        )
        if self.of_commit is None or deploy is None or not deploy.options.get("commit"):
            return self
        return self.of_commit(deploy)

    @property
    def place(self) -> str:
        """The host and the state folder: what is local to a run lies there, and one lock file guards it."""
        return f"{self.journal.host}:{self.state.resolve()}"

    def revisions(self, database: "Database") -> tuple[str, ...]:
        """What the project's version table holds."""
        return database.current_revisions(self.project.version_table)

    def writes_since(self, database: "Database", mark: Json) -> int | None:
        """At most how many transactions of others wrote since ``mark``; None is unknown."""
        return database.writes_since(mark, self.project.version_table)
