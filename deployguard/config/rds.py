"""The ``[rds]`` table: which instance or cluster is backed up by snapshots, and what its keys mean."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class RdsConfig:
    """``[rds]``: snapshots of an instance or a cluster, where ``[backup] store`` is "rds". Times in seconds."""

    instance: str = ""
    cluster: str = ""
    region: str = ""
    snapshot: str = "before-migration-{time}"
    tags: tuple[str, ...] = ()
    timeout: int = 7200
    poll: float = 15.0
    endpoint_url: str = ""


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "instance": "Its identifier …",
        "cluster": "… or the cluster's; one of the two.",
        "region": '"" is what AWS_REGION or the profile says.',
        "snapshot": "Also {environment}, {project}, {reason}. {time} is YYYYMMDD-HHMMSS in UTC.",
        "tags": '"key=value" each, on snapshots besides our own.',
        "timeout": "Seconds without any progress that a snapshot or a restore is waited for.",
        "poll": "Seconds between two looks at it.",
        "endpoint_url": 'A private endpoint of RDS; "" is the region\'s.',
    }
)
