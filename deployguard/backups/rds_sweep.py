"""Find the snapshots that killed attempts asked for, and delete those that are surely ours and of no use."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from deployguard.backups import rds_snapshots, sealed
from deployguard.backups.rds_api import Api
from deployguard.backups.rds_snapshots import Snapshot
from deployguard.backups.rds_source import PREFIX, Kind
from deployguard.errors import BackupFailed

OWNER: Final = ".rds-owner"
STALE: Final = timedelta(
    days=1
)  # another machine's unfinished snapshot is spoken of when it is older


def sweep(api: Api, kind: Kind, name: str) -> tuple[str, ...]:
    """The names of the snapshots that were deleted. Raises AwsError and BackupFailed.

    A snapshot is asked for while its backup is a draft in the folder, and marked once the manifest is sealed. So one
    without the mark whose backup is not in the folder any more belongs to an attempt that died, if it was begun from
    this folder. What another machine began is only named, when it is old.
    """
    deleted, now = list[str](), api.site.now()
    folder, me = api.site.folder, owner(api.site.folder)
    for one in rds_snapshots.ours(api, kind, name):
        identifier = one.tags["id"]
        if one.tags.get("sealed"):
            continue
        if one.tags.get("folder") != me:
            if one.created is not None and now - one.created > STALE:
                command = rds_snapshots.deleting_command(kind, one.name, api.region)
                api.site.say(
                    f"Another machine began the snapshot {one.name} and never finished it: {command}"
                )
        elif (folder / identifier / sealed.MANIFEST).exists():
            mark(api, one, identifier)  # it was killed between the manifest and the mark
        elif any(path.exists() for path in _written(folder, identifier)):
            continue  # it is being written
        elif one.status in rds_snapshots.ENDED:
            rds_snapshots.delete(api, kind, one.name, identifier)
            deleted.append(one.name)
        else:
            api.site.say(
                f"A killed attempt left the snapshot {one.name} ({one.status}); it is deleted later."
            )
    return tuple(deleted)


def _written(folder: Path, identifier: str) -> Iterator[Path]:
    yield folder / f"{sealed.PARTIAL}{identifier}"  # first: it is renamed to the other
    yield folder / identifier


def mark(api: Api, snapshot: Snapshot, identifier: str) -> None:
    """Say on the snapshot that its manifest is sealed: from now on no sweep deletes it."""
    seal = sealed.digest(api.site.folder / identifier / sealed.MANIFEST)[:32]
    api(
        "add_tags_to_resource",
        ResourceName=snapshot.arn,
        Tags=[{"Key": f"{PREFIX}sealed", "Value": seal}],
    )


def release(api: Api, kind: Kind, name: str, backup: str, region: str) -> Callable[[], None]:
    """Take the mark off a backup's snapshot, which is to go; what is returned deletes it.

    Between the two the backup is unlisted: from then on a sweep deletes what a crash leaves, and before, it marks the
    snapshot again. Raises AwsError or BackupFailed.
    """
    if region not in ("", api.region):  # that it is not here does not mean that it is gone
        raise BackupFailed(
            f"The snapshot of {backup} lies in {region}, and [rds] region is {api.region} now.",
            state="It is still there, as are those that were to go after it.",
        )
    found = rds_snapshots.find(api, kind, name) if name else None
    if found is None:
        return lambda: None
    if found.tags.get("id") != backup:
        raise BackupFailed(
            f"The snapshot {name} is not that of {backup}; nothing of it was removed."
        )
    api("remove_tags_from_resource", ResourceName=found.arn, TagKeys=[f"{PREFIX}sealed"])

    def delete() -> None:
        rds_snapshots.delete(api, kind, name, backup)

    return delete


def owner(folder: Path) -> str:
    """The mark of this backup folder, made once: it tells whose unfinished snapshots are ours."""
    path = folder / OWNER
    if not path.exists():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError), path.open("x", encoding="ascii") as file:
            path.chmod(0o600)
            file.write(secrets.token_hex(16))
    return path.read_text(encoding="ascii").strip()
