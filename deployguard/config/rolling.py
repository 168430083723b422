"""``[[target.rolling]]``: the services of Compose whose new replicas start beside the old ones, and their proxy."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from deployguard.errors import UsageError

PLACEHOLDERS = ("{name}", "{share}")


@dataclass(frozen=True, slots=True)
class RollingConfig:
    """One of ``[[target.rolling]]``. ``drain`` in seconds; "" and () are "none".

    ``upstream_file`` gets one ``upstream_line`` a replica, {name} being its container and {share} a regular
    expression that matches the last hexadecimal digits of one in so many numbers as there are replicas. ``switch``
    are commands that make the proxy read it. ``shares_volumes`` says that old and new may write the same named
    volumes and folders.
    """

    service: str
    upstream_file: str = ""
    upstream_line: str = ""
    switch: tuple[tuple[str, ...], ...] = ()
    drain: int = 10
    shares_volumes: bool = False

    @property
    def proxied(self) -> bool:
        """Whether a proxy is told which replicas there are."""
        return bool(self.upstream_file or self.switch)


def check_rolling(
    rolling: Sequence[RollingConfig], services: Sequence[str], kind: str, where: str
) -> None:
    """Refuse what cannot be meant. ``services`` are those that are updated. Raises UsageError."""
    for number, one in enumerate(rolling):
        place = f"{where} rolling[{number}]"
        if kind == "commands":
            raise UsageError(f"{place}: services are those of Compose; the kind is {kind!r}.")
        if one.service not in services:
            named = ", ".join(services) or "none"
            raise UsageError(
                f"{place} is about {one.service!r}, which is not among the services: {named}."
            )
        if one.service in [other.service for other in rolling[:number]]:
            raise UsageError(f"{place}: {one.service!r} is there twice.")
        if any(not command for command in one.switch):
            raise UsageError(f"{place}: a command of switch is empty.")
        _check_upstream(one, place)


def _check_upstream(one: RollingConfig, place: str) -> None:
    if bool(one.upstream_file) != bool(one.upstream_line):
        raise UsageError(f"{place} needs both upstream_file and upstream_line, or neither.")
    if not one.upstream_file:
        return
    if "{name}" not in one.upstream_line:
        raise UsageError(f"{place} upstream_line has no {{name}}, the name of the replica.")
    if not one.switch:
        raise UsageError(f"{place} needs switch: the command that makes the proxy read the file.")
    if not PurePosixPath(one.upstream_file).name:
        raise UsageError(f"{place} upstream_file is no name of a file.")
