"""Snapshots of RDS: made once, found, told from other people's by our tags, and deleted only when they are ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from deployguard.backups.base import UNTOUCHED
from deployguard.backups.rds_api import Answer, Api, AwsError
from deployguard.backups.rds_source import Kind, one, tags_of
from deployguard.backups.rds_wait import Seen
from deployguard.errors import BackupFailed
from deployguard.model import Json

ENDED: Final = ("available", "failed")  # states in which AWS lets a snapshot be deleted


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What AWS says of a snapshot. ``tags`` are ours, without their prefix; ``gigabytes`` is allocated."""

    name: str
    arn: str
    status: str
    percent: int | None
    source: str  # the instance or cluster
    engine: str
    version: str
    encrypted: bool
    gigabytes: int
    created: datetime | None  # None while it is being made
    tags: Mapping[str, str]

    @property
    def seen(self) -> Seen:
        return Seen(self.status, self.percent)

    def facts(self) -> dict[str, Json]:
        """What must still be true of it whenever it is looked at again."""
        return {
            "name": self.name,
            "arn": self.arn,
            "source": self.source,
            "engine": self.engine,
            "version": self.version,
            "encrypted": self.encrypted,
            "gigabytes": self.gigabytes,
            "created": self.created.isoformat() if self.created else None,
        }


def parsed(kind: Kind, found: Answer) -> Snapshot:
    """An item of an answer."""
    percent = found.get("PercentProgress")
    return Snapshot(
        name=str(found[f"{kind.snapshot}Identifier"]),
        arn=str(found.get(f"{kind.snapshot}Arn", "")),
        status=str(found.get("Status", "")),
        percent=percent if isinstance(percent, int) else None,
        source=str(found.get(kind.key, "")),
        engine=str(found.get("Engine", "")),
        version=str(found.get("EngineVersion", "")),
        encrypted=found.get("Encrypted", found.get("StorageEncrypted")) is True,
        gigabytes=int(found.get("AllocatedStorage") or 0),
        created=found.get("SnapshotCreateTime"),
        tags=tags_of(found),
    )


def find(api: Api, kind: Kind, name: str) -> Snapshot | None:
    """The snapshot of this name or ARN; None when there is none."""
    found = one(
        api,
        f"describe_{kind.snapshot_noun}s",
        f"{kind.snapshot}s",
        f"{kind.snapshot}NotFound",
        {f"{kind.snapshot}Identifier": name},
    )
    return None if found is None else parsed(kind, found)


def ours(api: Api, kind: Kind, source: str) -> tuple[Snapshot, ...]:
    """The snapshots of an instance or cluster that a deployguard made, oldest first."""
    pages = api.pages(
        f"describe_{kind.snapshot_noun}s",
        f"{kind.snapshot}s",
        **{kind.key: source, "SnapshotType": "manual"},
    )
    found = [snapshot for raw in pages if (snapshot := parsed(kind, raw)).tags.get("id")]
    return tuple(sorted(found, key=lambda one: (one.created is None, str(one.created), one.name)))


def create(
    api: Api,
    kind: Kind,
    source: str,
    *,
    names: tuple[str, ...],
    tags: list[dict[str, str]],
    owner: str,
) -> Snapshot:
    """Ask for a snapshot, once: one with the tags of this very backup (``owner`` is its id) is taken over.

    The first of ``names`` that is free, or is ours already, is used. Raises AwsError or BackupFailed.
    """
    for name in names:
        try:
            answer = api(
                f"create_{kind.snapshot_noun}",
                **{kind.key: source, f"{kind.snapshot}Identifier": name, "Tags": tags},
            )
        except AwsError as error:
            if error.code != f"{kind.snapshot}AlreadyExists":
                raise
            found = find(api, kind, name)
            # An answer may have been lost on the way, and the call was made again.
            if found is not None and found.tags.get("id") == owner:
                return found
        else:
            return parsed(kind, answer[kind.snapshot])
    raise BackupFailed(
        f"There are snapshots of the names {' and '.join(names)} that are not of this backup."
    )


def delete(api: Api, kind: Kind, name: str, owner: str) -> bool:
    """Delete the snapshot of the backup ``owner``; False when it is gone already.

    Raises BackupFailed for one that carries another backup's tag, or none, and AwsError.
    """
    found = find(api, kind, name)
    if found is None:
        return False
    if not owner or found.tags.get("id") != owner:
        raise BackupFailed(
            f"The snapshot {name} is not that of backup {owner}; it was not deleted.",
            state=UNTOUCHED,
        )
    try:
        api(f"delete_{kind.snapshot_noun}", **{f"{kind.snapshot}Identifier": name})
    except AwsError as error:
        if error.code != f"{kind.snapshot}NotFound":
            raise
    return True


def deleting_command(kind: Kind, name: str, region: str) -> str:
    """What a person types to delete one."""
    noun = kind.snapshot_noun.replace("_", "-")
    return f"aws rds delete-{noun} --{noun}-identifier {name} --region {region}"
