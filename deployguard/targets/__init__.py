"""The running application: updated, put back, stopped and started."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from deployguard.config import Config, Environment
from deployguard.containers import Compose, Engine
from deployguard.process import Redactor
from deployguard.targets.base import NOT_RUNNING, Target, UpdateFailed
from deployguard.targets.commands import CommandsTarget
from deployguard.targets.compose import ComposeTarget
from deployguard.targets.none import NoTarget

__all__ = [
    "KINDS",
    "NOT_RUNNING",
    "CommandsTarget",
    "ComposeTarget",
    "NoTarget",
    "Setting",
    "Target",
    "UpdateFailed",
    "make",
]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a target is made from. ``environ`` is the whole environment of its programs."""

    config: Config
    environment: Environment
    environ: Mapping[str, str]
    redact: Redactor
    engine: Engine
    on_line: Callable[[str], None]  # progress, for people


def _compose(setting: Setting) -> Target:
    migrate = setting.environment.migrate
    compose = Compose(
        setting.environment.target, setting.config.directory, setting.environ, setting.redact
    )
    return ComposeTarget(
        compose,
        setting.engine,
        setting.config.state_directory,
        (migrate.profile, migrate.service) if migrate.runner == "compose" else None,
        setting.on_line,
    )


def _commands(setting: Setting) -> Target:
    return CommandsTarget(
        setting.environment.target,
        setting.config.directory,
        setting.environ,
        setting.redact,
        setting.on_line,
    )


KINDS: Final[Mapping[str, Callable[[Setting], Target]]] = {
    "none": lambda _: NoTarget(),
    "compose": _compose,
    "commands": _commands,
}


def make(setting: Setting) -> Target:
    """The target that the environment configures."""
    return KINDS[setting.environment.target.kind](setting)
