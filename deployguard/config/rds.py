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
    copy_region: str = ""
    copy_role: str = ""
    copy_kms_key: str = ""
    export_bucket: str = ""
    export_prefix: str = ""
    export_role: str = ""
    export_kms_key: str = ""
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
        "copy_region": "Where `backup rds copy` copies a snapshot to …",
        "copy_role": "… as this role, when it is in another account: it is shared with that account meanwhile …",
        "copy_kms_key": "… under this key of the destination; an encrypted snapshot needs one there.",
        "export_bucket": "Where `backup rds export` writes a snapshot's tables as Parquet files …",
        "export_prefix": "… in this folder of the bucket …",
        "export_role": "… by this role, which AWS takes on …",
        "export_kms_key": "… encrypted with this key.",
        "endpoint_url": 'A private endpoint of RDS; "" is the region\'s.',
    }
)
