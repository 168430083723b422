"""``[state]``: where the journal is kept when several hosts deploy the same environment."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from deployguard.errors import UsageError

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "url_env": 'The variable with the URL of a PostgreSQL database; "" keeps the journal in the state folder.',
        "schema": "The schema in it, one a project; it is made when it isn't there.",
        "patience": "Seconds for which a deploy waits for this database when it is lost on the way.",
    }
)


@dataclass(frozen=True, slots=True)
class StateConfig:
    """``[state]``: ``patience`` in seconds."""

    url_env: str = ""
    schema: str = "deployguard"
    patience: int = 60


def check_state(state: StateConfig, target_env: str, where: str) -> StateConfig:
    """The table, if it can be right. Raises UsageError."""
    if not _NAME.fullmatch(state.schema) or state.schema.startswith("pg_"):
        raise UsageError(
            f"{where} schema is {state.schema!r}; use lower-case letters, digits and _ only, without pg_ in front."
        )
    if state.url_env and state.url_env == target_env:
        raise UsageError(
            f"{where} url_env and database_url_env are both {target_env!r}. The journal cannot lie in the"
            " database that is deployed to: a restore would take it back as well."
        )
    return state
