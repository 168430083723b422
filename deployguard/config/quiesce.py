"""The ``[quiesce]`` table: what is held still around a risky migration, and from which level on."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from deployguard.errors import UsageError


@dataclass(frozen=True, slots=True)
class QuiesceConfig:
    """``[quiesce]``: ``level`` "never" leaves it to ``deploy --quiesce``; ``drain`` in seconds."""

    level: Literal["never", "low", "medium", "high", "critical"] = "never"
    services: tuple[str, ...] = ()
    maintenance_file: str = ""
    on: tuple[tuple[str, ...], ...] = ()
    off: tuple[tuple[str, ...], ...] = ()
    drain: int = 5

    @property
    def does(self) -> bool:
        """Whether anything is named that could be held still."""
        return bool(self.services or self.maintenance_file or self.on)


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "level": "From this level on writers are held still around the migration; docs/quiesce.md says more.",
        "services": "Compose services that write: stopped before the backup, started again at the end.",
        "maintenance_file": "Made meanwhile, in a folder that the proxy sees: it answers 503 while that is there.",
        "on": "Or commands that do so, in order: lists of words, no shell …",
        "off": "… and those that undo it; both or neither.",
        "drain": "Seconds between the maintenance page and what comes next, for requests that are under way.",
    }
)


def check_quiesce(config: QuiesceConfig, target: str, where: str) -> QuiesceConfig:
    """Refuse what cannot be meant; the same configuration otherwise. ``target`` is the kind. Raises UsageError."""
    if config.level != "never" and not config.does:
        raise UsageError(f"{where} has a level, but neither services, maintenance_file nor on.")
    if bool(config.on) != bool(config.off):
        raise UsageError(f"{where} needs both on and off, or neither.")
    if any(not command for command in (*config.on, *config.off)):
        raise UsageError(f"{where}: a command is empty.")
    if config.services and target == "commands":
        raise UsageError(f"{where} services are those of Compose; [target] kind is {target!r}.")
    return config
