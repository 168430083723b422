"""The ``[health]`` table and its ``[[health.checks]]``: when the application counts as healthy."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal
from urllib.parse import urlsplit

from deployguard.errors import UsageError

Kind = Literal["http", "tcp", "sql", "container", "command"]
# What each kind is asked about, which it must name; then what else may be said of it.
_SUBJECT: Final[Mapping[str, str]] = MappingProxyType(
    {
        "http": "url",
        "tcp": "address",
        "sql": "statement",
        "container": "service",
        "command": "command",
    }
)
_EXTRA: Final = ("status", "body", "json_path", "json_value", "latency")
_STEP: Final = re.compile(r"\.?([A-Za-z_][A-Za-z0-9_-]*)|\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class CheckConfig:
    """One of ``[[health.checks]]``. ``latency`` in seconds; 0, "" and () are "not asked"."""

    kind: Kind
    url: str = ""
    status: int = 200
    body: str = ""
    json_path: str = ""
    json_value: str = ""
    latency: float = 0.0
    address: str = ""
    statement: str = ""
    service: str = ""
    command: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HealthConfig:
    """``[health]``: when the application counts as healthy. Times in seconds.

    ``out_of`` 0 is ``successes``: that many in a row. ``bake`` 0 is no bake window.
    """

    urls: tuple[str, ...] = ()
    expect_status: int = 200
    checks: tuple[CheckConfig, ...] = ()
    successes: int = 3
    out_of: int = 0
    interval: float = 1.0
    deadline: float = 60.0
    timeout: float = 5.0
    bake: float = 0.0
    bake_errors: float = 0.0
    verify_sql: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether anything about the application can be asked."""
        return bool(self.urls or self.checks)

    @property
    def window(self) -> int:
        """How many of the latest samples count."""
        return self.out_of or self.successes


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "urls": "Each must answer; [] checks no HTTP.",
        "expect_status": "The HTTP status that means healthy.",
        "checks": "What else is asked: HTTP with more conditions, TCP, SQL, containers, commands (docs/health.md).",
        "successes": "So many good samples …",
        "out_of": "… out of the latest so many; 0 is as many, that is, in a row …",
        "interval": "… this many seconds apart …",
        "deadline": "… within this many seconds.",
        "timeout": "Seconds for one answer.",
        "bake": "Seconds that a healthy application is watched before the deploy counts; 0 is not at all …",
        "bake_errors": "… and the share of bad samples in them that is still good, from 0 to 1.",
        "verify_sql": "Each must return one row whose first column is true. Read-only.",
    }
)


def check_health(config: HealthConfig, where: str) -> HealthConfig:
    """Refuse what cannot be meant; the same configuration otherwise. Raises UsageError."""
    if config.out_of and config.out_of < config.successes:
        raise UsageError(
            f"{where}: successes ({config.successes}) is more than out_of ({config.out_of})."
        )
    if not config.successes:
        raise UsageError(f"{where}: successes must be at least 1.")
    if config.bake and not config.asks:
        raise UsageError(f"{where}: bake needs something to ask: urls or checks.")
    if config.bake_errors > 1:
        raise UsageError(f"{where}: bake_errors is a share, from 0 to 1.")
    if config.bake and not config.interval:
        raise UsageError(f"{where}: bake needs an interval above 0.")
    for number, check in enumerate(config.checks):
        _check(check, f"{where} checks[{number}]")
    return config


def json_steps(path: str) -> tuple[str | int, ...]:
    """``$.checks[0].status`` → ``("checks", 0, "status")``. Raises ValueError for any other form."""
    rest, steps = path.strip().removeprefix("$"), list[str | int]()
    while rest:
        step = _STEP.match(rest)
        if step is None:
            raise ValueError(path)
        steps.append(step[1] or int(step[2]))
        rest = rest[step.end() :]
    return tuple(steps)


def address_of(text: str) -> tuple[str, int]:
    """``host:port`` → its parts; an IPv6 address stands in brackets. Raises ValueError."""
    parts = urlsplit(f"//{text}")
    if not parts.hostname or not parts.port or parts.path or parts.username:
        raise ValueError(text)
    return parts.hostname, parts.port


def _check(check: CheckConfig, where: str) -> None:
    needed = _SUBJECT[check.kind]
    if not getattr(check, needed):
        raise UsageError(f"{where} is of kind {check.kind!r} and needs {needed}.")
    idle = CheckConfig(check.kind)
    strange = [key for key in _SUBJECT.values() if key != needed]
    strange += _EXTRA if check.kind != "http" else ()
    for key in strange:
        if getattr(check, key) != getattr(idle, key):
            raise UsageError(f"{where}: {key} means nothing to a check of kind {check.kind!r}.")
    if check.kind == "http":
        _check_json(check, where)
    try:
        if check.kind == "tcp":
            address_of(check.address)
    except ValueError:
        raise UsageError(f"{where}: address is {check.address!r}; use host:port.") from None


def _check_json(check: CheckConfig, where: str) -> None:
    if bool(check.json_path) != bool(check.json_value):
        raise UsageError(f"{where} needs both json_path and json_value, or neither.")
    try:
        json_steps(check.json_path)
    except ValueError:
        raise UsageError(
            f"{where}: json_path is {check.json_path!r}; use names and places only, as in $.checks[0].status."
        ) from None
