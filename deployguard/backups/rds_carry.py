"""What a new instance or cluster takes over from the one in service: the arguments of the calls that make it; pure.

A bare restore gets the default parameter, security and subnet groups, no deletion protection and no backups.
Source: the Amazon RDS API Reference, RestoreDBInstanceFromDBSnapshot and RestoreDBClusterFromSnapshot.
"""

from collections.abc import Mapping
from typing import Any, Final

from deployguard.backups.rds_api import Answer
from deployguard.backups.rds_source import CLUSTER, PREFIX, Kind, endpoint

# Field of the description → argument of the restore, where the value goes over as it is.
_INSTANCE: Final[Mapping[str, str]] = {
    "DBInstanceClass": "DBInstanceClass",
    "MultiAZ": "MultiAZ",
    "PubliclyAccessible": "PubliclyAccessible",
    "AutoMinorVersionUpgrade": "AutoMinorVersionUpgrade",
    "LicenseModel": "LicenseModel",
    "StorageType": "StorageType",
    "Iops": "Iops",
    "StorageThroughput": "StorageThroughput",
    "AllocatedStorage": "AllocatedStorage",
    "CopyTagsToSnapshot": "CopyTagsToSnapshot",
    "IAMDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
    "EnabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
    "DeletionProtection": "DeletionProtection",
    "NetworkType": "NetworkType",
}
_CLUSTER: Final[Mapping[str, str]] = {
    "Port": "Port",
    "AvailabilityZones": "AvailabilityZones",
    "DBSubnetGroup": "DBSubnetGroupName",
    "DBClusterParameterGroup": "DBClusterParameterGroupName",
    "CopyTagsToSnapshot": "CopyTagsToSnapshot",
    "IAMDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
    "EnabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
    "DeletionProtection": "DeletionProtection",
    "NetworkType": "NetworkType",
    "BacktrackWindow": "BacktrackWindow",
    "EngineMode": "EngineMode",
}
_MEMBER: Final = (
    "DBInstanceClass",
    "Engine",
    "AvailabilityZone",
    "PubliclyAccessible",
    "AutoMinorVersionUpgrade",
    "CopyTagsToSnapshot",
    "PromotionTier",
    "MonitoringInterval",
    "MonitoringRoleArn",
)
# What a restore does not take, or not everywhere: it is changed afterwards where it differs.
_LATER: Final[Mapping[str, tuple[str, ...]]] = {
    "instance": (
        "BackupRetentionPeriod",
        "PreferredBackupWindow",
        "PreferredMaintenanceWindow",
        "MaxAllocatedStorage",
        "MonitoringInterval",
    ),
    "cluster": ("BackupRetentionPeriod", "PreferredBackupWindow", "PreferredMaintenanceWindow"),
}


def restoring(kind: Kind, live: Answer, tags: Mapping[str, str]) -> dict[str, Any]:
    """The arguments that a new instance or cluster has in common with ``live``, with further ``tags`` of ours."""
    fields = _CLUSTER if kind is CLUSTER else _INSTANCE
    found = {
        argument: live[field]
        for field, argument in fields.items()
        if live.get(field) not in (None, "", [])
    }
    if kind is CLUSTER:
        found.pop("EngineMode", None) if live.get("EngineMode") == "provisioned" else None
        found |= _scaling(live)
    else:
        found |= _of_instance(live)
    for name in ("DBClusterParameterGroupName", "DBParameterGroupName", "OptionGroupName"):
        if str(found.get(name, "")).startswith("default"):
            del found[name]  # the restored version's own default, which may be a later one
    if groups := security_groups(live):
        found["VpcSecurityGroupIds"] = list(groups)
    kept = [tag for tag in live.get("TagList", ()) if not tag["Key"].startswith((PREFIX, "aws:"))]
    ours = [{"Key": PREFIX + key, "Value": value} for key, value in tags.items()]
    return {**found, "Tags": [*kept, *ours]}


def _of_instance(live: Answer) -> dict[str, Any]:
    port = endpoint(Kind("instance", "db_instance", "", "", ""), live)[1]
    zone = {} if live.get("MultiAZ") else {"AvailabilityZone": live.get("AvailabilityZone")}
    options = live.get("OptionGroupMemberships") or [{}]
    authority = live.get("CACertificateIdentifier")
    found = {
        "Port": port,
        "DBSubnetGroupName": (live.get("DBSubnetGroup") or {}).get("DBSubnetGroupName"),
        "DBParameterGroupName": parameter_group(live),
        "OptionGroupName": options[0].get("OptionGroupName"),
        "CACertificateIdentifier": authority,
        **zone,
    }
    return {key: value for key, value in found.items() if value}


def _scaling(live: Answer) -> dict[str, Any]:
    serverless = live.get("ServerlessV2ScalingConfiguration")
    if not serverless:
        return {}
    keys = ("MinCapacity", "MaxCapacity", "SecondsUntilAutoPause")
    return {"ServerlessV2ScalingConfiguration": {k: serverless[k] for k in keys if k in serverless}}


def member(found: Answer, name: str, cluster: str, tags: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of CreateDBInstance for an instance of the new cluster that is like ``found``."""
    arguments = {key: found[key] for key in _MEMBER if found.get(key) not in (None, "")}
    group = parameter_group(found)
    if group and not group.startswith("default"):
        arguments["DBParameterGroupName"] = group
    kept = [tag for tag in found.get("TagList", ()) if not tag["Key"].startswith((PREFIX, "aws:"))]
    ours = [{"Key": PREFIX + key, "Value": value} for key, value in tags.items()]
    return arguments | {
        "DBInstanceIdentifier": name,
        "DBClusterIdentifier": cluster,
        "Tags": [*kept, *ours],
    }


def changes(kind: Kind, live: Answer, new: Answer) -> dict[str, Any]:
    """What must still be changed in ``new`` to be like ``live``: arguments of ModifyDBInstance or -Cluster."""
    found = {
        key: live[key]
        for key in _LATER[kind.word]
        if live.get(key) not in (None, "") and live.get(key) != new.get(key)
    }
    if "MonitoringInterval" in found and live.get("MonitoringRoleArn"):
        found["MonitoringRoleArn"] = live["MonitoringRoleArn"]
    return found


def differences(kind: Kind, live: Answer, new: Answer) -> tuple[str, ...]:
    """In what the finished new one is not like the live one, so that applications would notice; sentences."""
    pairs = [
        ("security groups", security_groups(live), security_groups(new)),
        ("port", endpoint(kind, live)[1], endpoint(kind, new)[1]),
        ("encryption", live.get("StorageEncrypted", False), new.get("StorageEncrypted", False)),
        ("deletion protection", live.get("DeletionProtection"), new.get("DeletionProtection")),
    ]
    if kind is CLUSTER:
        pairs += [
            ("subnet group", live.get("DBSubnetGroup"), new.get("DBSubnetGroup")),
            (
                "parameter group",
                live.get("DBClusterParameterGroup"),
                new.get("DBClusterParameterGroup"),
            ),
        ]
    else:
        subnet = [(one.get("DBSubnetGroup") or {}).get("DBSubnetGroupName") for one in (live, new)]
        pairs += [
            ("subnet group", subnet[0], subnet[1]),
            ("parameter group", parameter_group(live), parameter_group(new)),
            ("class", live.get("DBInstanceClass"), new.get("DBInstanceClass")),
            ("availability in several zones", live.get("MultiAZ"), new.get("MultiAZ")),
        ]
    return tuple(f"its {what} is {b}, not {a}" for what, a, b in pairs if a != b)


def security_groups(found: Answer) -> tuple[str, ...]:
    """The ids of the security groups, sorted."""
    return tuple(sorted(str(g["VpcSecurityGroupId"]) for g in found.get("VpcSecurityGroups", ())))


def parameter_group(found: Answer) -> str:
    """The parameter group of an instance; "" where none is told."""
    groups = found.get("DBParameterGroups") or [{}]
    return str(groups[0].get("DBParameterGroupName", ""))


def needs_reboot(found: Answer) -> bool:
    """Whether parameters of its group only count after a reboot."""
    return any(
        g.get("ParameterApplyStatus") == "pending-reboot"
        for g in found.get("DBParameterGroups", ())
    )
