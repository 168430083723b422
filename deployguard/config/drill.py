"""``[drill]``: where a backup is restored to for practice, and how long that may take."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class DrillConfig:
    """``[drill]``: ``rto`` in seconds, the time within which the data must be back."""

    database_url_env: str = ""
    directory: str = ""
    rto: int = 7200
    verify_sql: tuple[str, ...] = ()


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "database_url_env": "The variable with the URL of a scratch PostgreSQL server, never the live one; "
        '"" starts one from the programs on this machine.',
        "directory": 'Where that server has its files meanwhile; "" is the temporary folder.',
        "rto": "Seconds within which the data must be back (recovery time objective).",
        "verify_sql": "Asked of the restored database, besides those of [health].",
    }
)
