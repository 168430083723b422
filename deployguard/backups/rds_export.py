"""Export a snapshot's tables to S3 as Parquet files, which need no database to be read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from deployguard.backups import rds_snapshots
from deployguard.backups.base import UNTOUCHED
from deployguard.backups.rds_api import Api, AwsError
from deployguard.backups.rds_source import one
from deployguard.backups.rds_wait import Patience, Seen, wait
from deployguard.errors import BackupFailed, DeployguardError, UsageError
from deployguard.model import BackupRecord

if TYPE_CHECKING:
    from deployguard.backups.rds import RdsBackups

_NEEDED: Final = ("export_bucket", "export_role", "export_kms_key")


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished export: its identifier, and where its files are."""

    name: str
    place: str


def export(store: "RdsBackups", record: BackupRecord) -> Exported:
    """Export it and wait; an export that an earlier call began is taken over. Raises UsageError or BackupFailed."""
    rds, api = store.site.rds, store.api
    missing = [key for key in _NEEDED if not getattr(rds, key)]
    if missing:
        raise UsageError(
            f"An export needs [rds] {', '.join(missing)}; docs/rds.md says what they are."
        )
    seen = store.verify(record)
    if not seen.ok:
        raise BackupFailed(
            f"Backup {record.id} does not count: {seen.evidence[0]}.", state=UNTOUCHED
        )
    try:
        snapshot = rds_snapshots.find(api, store.kind, record.tools["snapshot"])
        if snapshot is None:
            raise _failed(f"The snapshot of {record.id} is gone.")
        name = f"{snapshot.name[:50].rstrip('-')}-export"
        _start(store, name, snapshot.arn)
        wait(
            lambda: _seen(api, name),
            f"export {name}",
            Patience(rds.timeout, rds.poll, ("complete",)),
            sleep=store.site.sleep,
            say=store.site.say,
            fail=_failed,
        )
    except AwsError as error:
        raise _failed(error.message) from None
    folder = "/".join(
        part for part in (rds.export_bucket, rds.export_prefix.strip("/"), name) if part
    )
    return Exported(name, f"s3://{folder}")


def _start(store: "RdsBackups", name: str, source: str) -> None:
    rds, api = store.site.rds, store.api
    arguments: dict[str, Any] = {
        "ExportTaskIdentifier": name,
        "SourceArn": source,
        "S3BucketName": rds.export_bucket,
        "IamRoleArn": rds.export_role,
        "KmsKeyId": rds.export_kms_key,
    }
    if rds.export_prefix:
        arguments["S3Prefix"] = rds.export_prefix
    try:
        api("start_export_task", **arguments)
    except AwsError as error:
        if error.code != "ExportTaskAlreadyExists":
            raise
        found = _task(api, name)
        if found is None or found.get("SourceArn") != source:
            raise _failed(f"There is an export {name} of another snapshot.") from None


def _task(api: Api, name: str) -> Any:
    arguments = {"ExportTaskIdentifier": name}
    return one(api, "describe_export_tasks", "ExportTasks", "ExportTaskNotFound", arguments)


def _seen(api: Api, name: str) -> Seen | None:
    found = _task(api, name)
    if found is None:
        return None
    percent = found.get("PercentProgress")
    status = str(found.get("Status", "")).lower().replace("_", "-")
    why = api.scrub(str(found.get("FailureCause") or ""))
    return Seen(status, percent if isinstance(percent, int) else None, why)


def _failed(message: str) -> DeployguardError:
    return BackupFailed(message, state=UNTOUCHED)
