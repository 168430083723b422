"""Where `alembic upgrade` runs: a process of this machine, or a container of a compose profile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from deployguard.config import Config, Environment
from deployguard.containers import Compose, Engine
from deployguard.migrators.base import (
    Absent,
    Exit,
    Exited,
    Job,
    Migrator,
    Probe,
    Running,
    Started,
    job_argv,
    retryable,
)
from deployguard.migrators.compose import ComposeMigrator
from deployguard.migrators.local import LocalMigrator
from deployguard.process import Redactor

__all__ = [
    "RUNNERS",
    "Absent",
    "ComposeMigrator",
    "Exit",
    "Exited",
    "Job",
    "LocalMigrator",
    "Migrator",
    "Probe",
    "Running",
    "Setting",
    "Started",
    "job_argv",
    "make",
    "retryable",
]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a runner is made from. ``environ`` is the whole environment that its programs get."""

    config: Config
    environment: Environment
    environ: Mapping[str, str]
    redact: Redactor
    engine: Engine


def _local(setting: Setting) -> Migrator:
    python = setting.environment.read.python
    return LocalMigrator(
        setting.environment.migrate,
        setting.config.sources,
        setting.config.state_directory,
        setting.environ,
        setting.redact,
        python[0] if python else "",
    )


def _compose(setting: Setting) -> Migrator:
    compose = Compose(
        setting.environment.target, setting.config.directory, setting.environ, setting.redact
    )
    return ComposeMigrator(
        setting.environment.migrate,
        compose,
        setting.engine,
        setting.config.project.name,
        setting.config.state_directory,
        setting.environment.database.url_env,
    )


RUNNERS: Final[Mapping[str, Callable[[Setting], Migrator]]] = {
    "local": _local,
    "compose": _compose,
}


def make(setting: Setting) -> Migrator:
    """The runner that the environment configures."""
    return RUNNERS[setting.environment.migrate.runner](setting)
