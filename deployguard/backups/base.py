"""What a backup store is, what it is given, and how it fails."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from deployguard.config import BackupConfig, DatabaseUrl, DrillConfig, RdsConfig
from deployguard.database import VERSION_TABLE, Address
from deployguard.errors import BackupFailed, UsageError
from deployguard.model import BackupRecord, Drilled, Json, Restored, Scope, Verification
from deployguard.process import Completed, Redactor

Say: TypeAlias = Callable[[str], None]  # takes one line of progress, for people

NOT_MIGRATED: Final = "Nothing was migrated, and no backup was recorded."
UNTOUCHED: Final = "The live database was not touched."


class Inside(Protocol):
    """Runs a program inside the container of the database, files streamed in and out; ``Engine.exec`` bound to it."""

    def __call__(
        self,
        argv: tuple[str, ...],
        *,
        environment: Mapping[str, str] | None = None,
        stdin_path: Path | None = None,
        stdout_path: Path | None = None,
        timeout: float | None = None,
        redact: Redactor | None = None,
        moving: Callable[[], object] | None = None,
    ) -> Completed: ...


class OneOff(Inside, Protocol):
    """Runs a program in a container that is made for it, on this machine's network."""

    @property
    def image(self) -> str: ...


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """Why a backup is taken. ``reason`` is its class, by which it is kept (``retention.py``)."""

    reason: str = "manual"
    deploy: str | None = None
    git_commit: str | None = None
    scope: Scope = field(default_factory=Scope)
    git_tag: str | None = None
    images: Mapping[str, str] = field(default_factory=dict)  # service → digest of what it runs
    slot: str = ""  # of the replication slot that begins at it, where the store can make one; "": none is made

    def want_whole(self, store: str) -> None:
        """Raises UsageError for a part of a database, which only PostgreSQL's pg_dump can back up."""
        if not self.scope.whole:
            raise UsageError(
                f"A part of a database can be backed up with PostgreSQL only, not with {store}."
            )


@dataclass(frozen=True, slots=True)
class Site:
    """Everything a store needs to know of the world; what a test replaces is here.

    ``directory`` is what relative paths count from (the configuration file's folder). ``inside`` is how to run
    programs in the database's container, where it runs in one; ``oneoffs`` are ways to run them in containers made
    for them, which may bring the programs of a major version. ``environ`` is the machine's environment.
    """

    url: DatabaseUrl
    directory: Path
    project: str
    environment: str
    config: BackupConfig = field(default_factory=BackupConfig)
    drill: DrillConfig = field(default_factory=DrillConfig)
    rds: RdsConfig = field(default_factory=RdsConfig)
    version_table: str = VERSION_TABLE
    address: Address | None = None
    inside: Inside | None = None
    oneoffs: Callable[[int], Sequence[OneOff]] | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] | None = None  # None: time.sleep
    say: Say = lambda line: None  # noqa: ARG005 - says nothing
    every: float = (
        0.0  # seconds between two lines of progress, where they do not replace each other
    )
    source: DatabaseUrl | None = None  # the server or replica to read backups from; None: ``url``
    identity: str = field(default="", repr=False)  # what the variable of [backup] identity_env held

    @property
    def redact(self) -> Redactor:
        """Hides what neither URL may show."""
        return Redactor(self.url.secrets() + (self.source.secrets() if self.source else ()))

    @property
    def folder(self) -> Path:
        """Where backups lie."""
        return (self.directory / self.config.directory).resolve()


class BackupStore(Protocol):
    """Takes, reads back and restores backups of one database."""

    def preflight(self) -> None:
        """Look that a backup can be taken: programs, room on disk, database. Changes nothing.

        Raises EnvironmentUnreachable or BackupFailed.
        """

    def take(self, request: BackupRequest) -> BackupRecord:
        """Take a backup and seal it. Raises BackupFailed or EnvironmentUnreachable; then nothing is left."""

    def verify(self, record: BackupRecord) -> Verification:
        """Read a backup back completely, and keep what was found beside it."""

    def restore(
        self, record: BackupRecord, *, kept_as: str, on_progress: Say, still: Json = None
    ) -> Restored:
        """Put the backup in the place of the live database, which is kept under ``kept_as``.

        With ``still`` (what ``Database.stillness`` said) only when it is proven, with everybody shut out, that nobody
        has written since: else raises WrittenMeanwhile, and nothing has changed.

        Until the one moment of the swap the live database is not touched. Asked again after it was done, it answers
        with what it did. Raises BackupFailed (a bad backup), EnvironmentUnreachable or UsageError.
        """

    def drill(self, record: BackupRecord) -> Drilled:
        """Restore a backup into a scratch database, compare it, ask the user's verification SQL of it, and time it.

        Never on the live database's server. What was found is kept beside the backup. Raises EnvironmentUnreachable
        when there is nowhere to restore to (nothing is then known), UsageError where a store has no drill.
        """

    def restored(self, record: BackupRecord, *, kept_as: str) -> bool:
        """Whether this very restore has been done: the live database is the backup's."""

    def sweep(self) -> tuple[str, ...]:
        """Remove what attempts that were killed have left in the backup folder; the names that were removed."""

    def kept_name(self, deploy: str) -> str:
        """The name under which a restore keeps the database that it replaces."""


def want_store(record: BackupRecord, store: str) -> None:
    """Raises UsageError for the backup of another store: who cannot read it must not call it damaged."""
    if record.store != store:
        raise UsageError(
            f"Backup {record.id} was made by the store {record.store!r}, and this environment's is {store!r} now:"
            " what reads the one cannot read the other.",
            state=UNTOUCHED,
            next_commands=(f"deployguard backup show {record.id}",),
        )


class WrittenMeanwhile(BackupFailed):
    """A restore was given up at its last moment, because the live database was written to. ``rows`` None: unknown."""

    def __init__(self, rows: int | None) -> None:
        many = "An unknown number of" if rows is None else f"Up to {rows}"
        super().__init__(
            f"{many} row(s) were written while the restore was prepared; they would have been lost.",
            state=UNTOUCHED,
        )
        self.rows = rows


class Unreadable(BackupFailed):
    """A sealed backup whose contents are damaged; not that there was no room, or no program, to look at them."""


class TransientFailure(BackupFailed):
    """A failure that another try may not meet: a lost connection, a lock, a time-out."""


def failed(message: str, *first: str) -> BackupFailed:
    """A backup that could not be taken; ``first`` are the commands to type before it is tried again."""
    return BackupFailed(
        message, state=NOT_MIGRATED, next_commands=(*first, "deployguard backup create")
    )
