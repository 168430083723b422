"""``[watch]``: how a running migration is watched, and when it is cut off for what it does to others."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """``[watch]``: times in seconds; ``interval`` 0 looks at nothing, ``max_seconds`` 0 cancels nothing.

    ``min_free_mb`` in megabytes of 1,000,000 bytes.
    """

    interval: float = 1.0
    max_blocked: int = 5
    # Longer than [migrate] lock_timeout: a statement that only waits gives up by itself first, and is tried again.
    max_seconds: float = 10.0
    min_free_mb: int = 1000
    max_lag: float = 60.0


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "interval": "Seconds between two looks at who waits for whom; 0 looks at nothing, and cancels nothing.",
        "max_blocked": "When more sessions than this wait behind the migration …",
        "max_seconds": "… for this long, its statement is cancelled; 0 is never. Keep it above lock_timeout.",
        "min_free_mb": "MB that should stay free on the disk of the server's files; less is told, where visible.",
        "max_lag": "Seconds that a replica may be late before it is told; 0 is never.",
    }
)
