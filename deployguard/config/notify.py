"""The ``[notify]`` table: who is told of what. The addresses hold secrets, so only variables' names stand here."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from deployguard.errors import UsageError

Event: TypeAlias = Literal[
    "deploy-started",
    "deploy-awaiting-approval",
    "deploy-migrated",
    "deploy-done",
    "deploy-failed",
    "deploy-rolled-back",
    "deploy-needs-person",
    "restore-done",
    "backup-taken",
    "backup-failed",
    "backup-missed",
    "offsite-failed",
    "drill-failed",
    "prune-failed",
]
EVENTS: Final[tuple[Event, ...]] = get_args(Event)
# What somebody has to act on, and how each deploy ended.
_TOLD: Final[tuple[Event, ...]] = tuple(
    event for event in EVENTS if event not in ("deploy-started", "deploy-migrated", "backup-taken")
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class NotifyConfig:
    """``[notify]``: which variables hold addresses, and what is told. ``timeout`` in seconds."""

    urls_env: tuple[str, ...] = ()
    on: tuple[Event, ...] = _TOLD
    timeout: int = 10
    link_env: str = ""


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "urls_env": "Variables that hold addresses for Apprise (a Slack webhook, mailto://…); [] tells nobody.",
        "on": "What is told; also: deploy-started, deploy-migrated, backup-taken.",
        "timeout": "Seconds a command waits for the receivers at its end.",
        "link_env": 'The variable with a link for the messages; "" is the CI job\'s, where one runs this.',
    }
)


def check_addresses(table: Mapping[str, object], where: str) -> dict[str, object]:
    """The table with ``urls_env`` as a list; one name may stand alone.

    Raises UsageError for what is no variable's name, and never repeats it: it may be the secret itself.
    """
    given = table.get("urls_env", [])
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list) or not all(
        isinstance(name, str) and _NAME.fullmatch(name) for name in names
    ):
        raise UsageError(
            f"{where} urls_env must name environment variables, such as SLACK_WEBHOOK_URL. An address is a secret:"
            " it stands in the variable, never here."
        )
    link = table.get("link_env", "")
    if link and not (isinstance(link, str) and _NAME.fullmatch(link)):
        raise UsageError(f"{where} link_env must name an environment variable.")
    if table.get("timeout") == 0:
        raise UsageError(f"{where} timeout must be at least 1: a message takes a moment.")
    return {**table, "urls_env": names}
