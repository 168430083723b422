"""Point-in-time recovery: a new instance or cluster as the live one was at a time, checked, and left beside it.

It is not switched: everything written since would be lost to applications, and which rows of it are wanted only a
person knows. AWS is only asked for a time that it can go back to.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from deployguard.backups import rds_carry
from deployguard.backups.base import UNTOUCHED
from deployguard.backups.rds_api import Answer, AwsError
from deployguard.backups.rds_evidence import Beside, look_beside
from deployguard.backups.rds_settle import Settler
from deployguard.backups.rds_source import CLUSTER, Kind, described, endpoint, one, refuse, tags_of
from deployguard.backups.rds_wait import Patience, Seen, Stopwatch, wait
from deployguard.errors import BackupFailed, DeployguardError, UsageError

if TYPE_CHECKING:
    from deployguard.backups.rds import RdsBackups

_AGAIN: Final = ("AlreadyExists", "InvalidDBInstanceState", "InvalidDBClusterState")


@dataclass(frozen=True, slots=True)
class Recovered:
    """The new one: its identifier and address, the time it is of, and what could be read from it."""

    name: str
    address: str
    at: datetime
    beside: Beside


def window(kind: Kind, found: Answer, automated: Answer | None) -> tuple[datetime, datetime]:
    """From when to when AWS can go back; pure. Raises UsageError where it cannot at all."""
    latest = found.get("LatestRestorableTime")
    days = int(found.get("BackupRetentionPeriod") or 0)
    if not isinstance(latest, datetime) or days == 0:
        raise UsageError(
            f"The {kind.word} keeps no automatic backups (BackupRetentionPeriod is {days}), so AWS cannot go back in"
            " time."
        )
    told = found.get("EarliestRestorableTime")
    if kind is not CLUSTER:
        told = ((automated or {}).get("RestoreWindow") or {}).get("EarliestTime")
    # What AWS does not tell is bounded by what cannot be earlier.
    made = found.get("InstanceCreateTime") or found.get("ClusterCreateTime") or latest
    return (
        told if isinstance(told, datetime) else max(made, latest - timedelta(days=days))
    ), latest


def refuse_time(at: datetime, earliest: datetime, latest: datetime) -> None:
    """Raises UsageError for a time that AWS cannot go back to; pure."""
    if not earliest <= at <= latest:
        raise UsageError(
            f"{_text(at)} is out of reach: AWS can go back to any time from {_text(earliest)} to {_text(latest)}."
        )


def recover(store: "RdsBackups", at: datetime) -> Recovered:
    """Make it, or go on with what an earlier call began, and wait. Raises UsageError or BackupFailed."""
    api, kind, say = store.api, store.kind, store.site.say
    stamp = at.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    name = f"{store.name[:44].rstrip('-')}-at-{stamp}"
    try:
        live = described(api, kind, store.name)
        refuse(kind, store.name, live, store.site.url)
        found = kind.describe(api, name)
        if found is None:
            refuse_time(at, *window(kind, live, _automated(store)))
            say(f"making the {kind.word} {name}, as {store.name} was at {_text(at)}")
            _make(store, live, name, at)
        elif tags_of(found).get("recovered") != stamp:
            raise UsageError(f"There is another {kind.word} {name} already.", state=UNTOUCHED)
        new = _settled(store, live, name, stamp)
    except AwsError as error:
        raise BackupFailed(error.message, state=UNTOUCHED) from None
    if different := rds_carry.differences(kind, live, new):
        say(f"Note: the new {kind.word} is not like {store.name}: {'; '.join(different)}.")
    address, port = endpoint(kind, new)
    return Recovered(name, address, at, look_beside(store.site, address, port))


def _make(store: "RdsBackups", live: Answer, name: str, at: datetime) -> None:
    stamp = at.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    arguments: dict[str, Any] = rds_carry.restoring(store.kind, live, {"recovered": stamp})
    if store.kind is CLUSTER:
        for only_from_snapshots in ("AvailabilityZones", "EngineMode"):
            arguments.pop(only_from_snapshots, None)
        call = "restore_db_cluster_to_point_in_time"
        arguments |= {
            "DBClusterIdentifier": name,
            "SourceDBClusterIdentifier": store.name,
            "RestoreToTime": at,
        }
    else:
        call = "restore_db_instance_to_point_in_time"
        arguments |= {
            "TargetDBInstanceIdentifier": name,
            "SourceDBInstanceIdentifier": store.name,
            "RestoreTime": at,
        }
    try:
        store.api(call, **arguments)
    except AwsError as error:
        if not error.code.endswith("AlreadyExists"):  # the answer of the first try was lost
            raise


def _settled(store: "RdsBackups", live: Answer, name: str, stamp: str) -> Answer:
    """The new one, once it is available and like the live one."""
    api, kind, rds = store.api, store.kind, store.site.rds
    settler, watch = Settler(api, kind, {"recovered": stamp}), Stopwatch(store.site.sleep)
    while watch.seconds <= rds.timeout:
        wait(
            partial(_seen, store, name),
            f"{kind.word} {name}",
            Patience(rds.timeout, rds.poll),
            sleep=store.site.sleep,
            say=store.site.say,
            fail=_failed,
        )
        new = described(api, kind, name)
        try:
            if settler.settled(live, new):
                return new
        except AwsError as error:
            if not error.code.endswith(_AGAIN):
                raise
        watch.pause(rds.poll)
    raise _failed(f"The instances of {name} did not become available.")


def _seen(store: "RdsBackups", name: str) -> Seen | None:
    found = store.kind.describe(store.api, name)
    return None if found is None else Seen(str(found.get(store.kind.state, "")))


def _failed(message: str) -> DeployguardError:
    return BackupFailed(message, state=UNTOUCHED)


def _automated(store: "RdsBackups") -> Answer | None:
    if store.kind is CLUSTER:
        return None
    return one(
        store.api,
        "describe_db_instance_automated_backups",
        "DBInstanceAutomatedBackups",
        "DBInstanceAutomatedBackupNotFound",
        {"DBInstanceIdentifier": store.name},
    )


def _text(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
