"""The shape of deployguard.toml: one frozen dataclass a table, defaults included."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

from deployguard.config.drill import DrillConfig
from deployguard.config.health import HealthConfig
from deployguard.config.notify import NotifyConfig
from deployguard.config.offsite import OffsiteConfig
from deployguard.config.physical import PhysicalConfig
from deployguard.config.quiesce import QuiesceConfig
from deployguard.config.rds import RdsConfig
from deployguard.config.retention import RetentionConfig
from deployguard.config.rolling import RollingConfig
from deployguard.config.state import StateConfig
from deployguard.config.watch import WatchConfig
from deployguard.errors import UsageError
from deployguard.model import ApprovalMode, BackupMode, Requirement, Risk

Argv: TypeAlias = tuple[str, ...]
Where: TypeAlias = Literal["auto", "local", "compose"]
BASELINE = "deployguard-baseline.json"  # where it is looked for when nothing else is configured


@dataclass(frozen=True, slots=True)
class Project:
    """``[project]``: which Alembic project this is. Paths are relative to the configuration file."""

    name: str
    alembic_ini: str = "alembic.ini"
    section: str = "alembic"
    dialect: str = ""
    version_table: str = "alembic_version"
    default_environment: str = ""
    state: str = ".deployguard"
    baseline: str = BASELINE


@dataclass(frozen=True, slots=True)
class ReadConfig:
    """``[read]``: how the pending revisions are read. ``timeout`` in seconds."""

    python: Argv = ()
    where: Where = "auto"
    pass_environment: tuple[str, ...] = ()
    timeout: int = 60
    facts_days: int = 7


@dataclass(frozen=True, slots=True)
class StatementTimeout:
    """Seconds that one statement may run, by the level of the plan; 0 is no limit."""

    low: int = 60
    medium: int = 300
    high: int = 1800
    critical: int = 0


@dataclass(frozen=True, slots=True)
class MigrateConfig:
    """``[migrate]``: where and how the migration runs. Times in seconds; 0 is none."""

    runner: Literal["local", "compose"] = "local"
    command: Argv = ("alembic", "upgrade", "head")
    downgrade_command: Argv = ("alembic", "downgrade", "{revision}")
    service: str = "migration"
    profile: str = "migration"
    lock_timeout: int = 5
    statement_timeout: int | StatementTimeout = StatementTimeout()
    timeout: int = 3600
    retries: int = 5
    transaction_per_revision: bool = True


@dataclass(frozen=True, slots=True)
class TargetConfig:
    """``[target]``: the running application. ``timeout`` in seconds."""

    kind: Literal["none", "compose", "commands"] = "none"
    compose_files: tuple[str, ...] = ("docker-compose.prod.yml",)
    project_name: str = ""
    services: tuple[str, ...] = ()
    prepare: Literal["none", "build", "pull"] = "none"
    rolling: tuple[RollingConfig, ...] = ()
    update: tuple[Argv, ...] = ()
    rollback: tuple[Argv, ...] = ()
    stop: tuple[Argv, ...] = ()
    start: tuple[Argv, ...] = ()
    version: Argv = ()
    timeout: int = 300


@dataclass(frozen=True, slots=True)
class BackupConfig:
    """``[backup]``: where backups go. Times in seconds."""

    store: Literal["auto", "rds"] = "auto"
    directory: str = ".deployguard/backups"
    timeout: int = 600
    tries: int = 3
    pause: int = 300
    pg_bin: str = ""
    format: Literal["directory", "custom", "plain"] = "directory"
    compression: str = "auto"
    jobs: int = 0
    count_budget: int = 600
    database_url_env: str = ""
    encrypt_to: tuple[str, ...] = ()
    identity_env: str = ""
    identity_file_env: str = ""
    restore_by_hand: bool = False
    slot: Literal["auto", "never"] = "auto"
    slot_mb: int = 1024


def _ladder() -> Mapping[Risk, Requirement]:
    return {
        Risk.LOW: Requirement(ApprovalMode.AUTOMATIC, BackupMode.OPTIONAL),
        Risk.MEDIUM: Requirement(ApprovalMode.REVIEW, BackupMode.RECOMMENDED),
        Risk.HIGH: Requirement(ApprovalMode.APPROVAL, BackupMode.REQUIRED),
        Risk.CRITICAL: Requirement(ApprovalMode.APPROVAL, BackupMode.REQUIRED),
    }


@dataclass(frozen=True, slots=True)
class Policy:
    """``[policy]``: what each level demands. High and critical always need approval and a verified backup."""

    fail_on: Risk = Risk.HIGH
    approval_hours: int = 24
    ladder: Mapping[Risk, Requirement] = field(default_factory=_ladder)

    def requirement(self, risk: Risk | None) -> Requirement:
        """What a plan of this level demands; None is a plan with nothing pending."""
        return self.ladder[risk or Risk.LOW]


@dataclass(frozen=True, slots=True)
class AcceptConfig:
    """``[[accept]]``: findings of one rule in one revision that somebody takes on, and why.

    ``line`` 0 and ``statement`` "" mean anywhere in the revision, ``dialect`` "" on any. ``place`` is where the entry
    stands, for errors.
    """

    revision: str
    rule: str  # the code or the name
    reason: str
    line: int = 0
    statement: str = ""
    dialect: str = ""
    expires: date | None = None
    place: str = ""


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where the database's URL comes from: an environment variable, or a URL that holds no password.

    With both, the URL counts where the variable is not set, and the migration is given it in that variable: what
    is checked and backed up must be what env.py connects to.
    """

    url: str = ""
    url_env: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment with every table resolved."""

    name: str
    database: DatabaseConfig
    state: StateConfig = field(default_factory=StateConfig)
    read: ReadConfig = field(default_factory=ReadConfig)
    migrate: MigrateConfig = field(default_factory=MigrateConfig)
    watch: WatchConfig = field(default_factory=WatchConfig)
    target: TargetConfig = field(default_factory=TargetConfig)
    backup: BackupConfig = field(default_factory=BackupConfig)
    retention: RetentionConfig = field(default_factory=RetentionConfig)
    rds: RdsConfig = field(default_factory=RdsConfig)
    offsite: OffsiteConfig = field(default_factory=OffsiteConfig)
    drill: DrillConfig = field(default_factory=DrillConfig)
    physical: PhysicalConfig = field(default_factory=PhysicalConfig)
    quiesce: QuiesceConfig = field(default_factory=QuiesceConfig)
    health: HealthConfig = field(default_factory=HealthConfig)
    notify: NotifyConfig = field(default_factory=NotifyConfig)
    policy: Policy = field(default_factory=Policy)


@dataclass(frozen=True, slots=True)
class Checkout:
    """A commit of the project, checked out beside the working copy. ``folder`` is the project's folder in there."""

    ref: str  # as it was asked for
    commit: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Config:
    """One deployguard.toml. ``directory`` is the folder that all relative paths count from.

    With a ``checkout``, the revisions are those of another commit than the working copy's.
    """

    path: Path
    project: Project
    environments: Mapping[str, Environment]
    accept: tuple[AcceptConfig, ...] = ()
    checkout: Checkout | None = None

    @property
    def directory(self) -> Path:
        return self.path.parent

    @property
    def sources(self) -> Path:
        """Where alembic.ini and the revisions are."""
        return self.checkout.folder if self.checkout else self.directory

    @property
    def commit(self) -> str:
        """That the revisions are of; "" is the working copy. What is accepted may be of later ones."""
        return self.checkout.commit if self.checkout else ""

    @property
    def state_directory(self) -> Path:
        return self.directory / self.project.state

    def alembic_environ(self) -> Mapping[str, str]:
        """What a plain ``alembic`` on this machine must be told to find an alembic.ini that is in another folder."""
        ini = self.sources / self.project.alembic_ini
        if ini.suffix == ".toml" or ini.parent == self.sources:
            return {}
        return {"ALEMBIC_CONFIG": str(ini.resolve())}

    def environment(self, name: str | None = None) -> Environment:
        """The named environment, else the default one, else the only one. Raises UsageError."""
        wanted = name or self.project.default_environment
        if not wanted and len(self.environments) == 1:
            return next(iter(self.environments.values()))
        if wanted in self.environments:
            return self.environments[wanted]
        known = ", ".join(sorted(self.environments))
        if wanted:
            raise UsageError(f"{self.path.name} has no environment {wanted!r}; it has: {known}.")
        raise UsageError(
            f"Which environment? {self.path.name} has: {known}.",
            next_commands=(f"deployguard check --env {min(self.environments)}",),
        )
