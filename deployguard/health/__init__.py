"""Is the application healthy? Checks of five kinds, asked in rounds: until it is, and while it bakes."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from deployguard.config import CheckConfig, HealthConfig
from deployguard.config.health import address_of
from deployguard.errors import UsageError
from deployguard.health.base import Answer, Check
from deployguard.health.polling import Poller

if TYPE_CHECKING:
    from deployguard.containers import Container
    from deployguard.database import Database
    from deployguard.process import Redactor

__all__ = ["KINDS", "Answer", "Check", "Poller", "Scene", "checks"]


@dataclass(frozen=True, slots=True)
class Scene:
    """What checks are made with. ``containers`` gives those of a service, ``database`` a new handle each time."""

    config: HealthConfig
    directory: Path
    environ: Mapping[str, str]
    redact: "Redactor"
    database: "Callable[[], AbstractContextManager[Database]]"
    containers: "Callable[[str], tuple[Container, ...]]"


def _http(check: CheckConfig, scene: Scene) -> Check:
    from deployguard.health.http import HttpCheck

    return HttpCheck(
        check.url,
        scene.config.timeout,
        check.status,
        check.body,
        check.json_path,
        check.json_value,
        check.latency,
    )


def _tcp(check: CheckConfig, scene: Scene) -> Check:
    from deployguard.health.tcp import TcpCheck

    return TcpCheck(*address_of(check.address), scene.config.timeout)


def _sql(check: CheckConfig, scene: Scene) -> Check:
    from deployguard.health.sql import SqlCheck

    return SqlCheck(check.statement, scene.database)


def _container(check: CheckConfig, scene: Scene) -> Check:
    from deployguard.health.container import ContainerCheck

    return ContainerCheck(check.service, scene.containers)


def _command(check: CheckConfig, scene: Scene) -> Check:
    from deployguard.health.command import CommandCheck

    return CommandCheck(
        check.command, scene.directory, scene.environ, scene.redact, scene.config.timeout
    )


KINDS: Final[Mapping[str, Callable[[CheckConfig, Scene], Check]]] = MappingProxyType(
    {"http": _http, "tcp": _tcp, "sql": _sql, "container": _container, "command": _command}
)


def checks(scene: Scene) -> tuple[Check, ...]:
    """Every check of the configuration, those of ``urls`` first. Raises UsageError for one that cannot be asked."""
    config = scene.config
    plain = [CheckConfig("http", url=url, status=config.expect_status) for url in config.urls]
    made = tuple(KINDS[check.kind](check, scene) for check in (*plain, *config.checks))
    if not made:
        raise UsageError(
            "[health] names neither urls nor checks, so nobody can say whether the application works."
        )
    return made
