"""Copy a snapshot to another region, or to another account: shared with it first, copied by it, unshared again."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from deployguard.backups import rds_snapshots, sealed
from deployguard.backups.base import UNTOUCHED
from deployguard.backups.rds_api import Api, AwsError
from deployguard.backups.rds_snapshots import Snapshot
from deployguard.backups.rds_source import Kind, own_tags
from deployguard.backups.rds_wait import Patience, Seen, wait
from deployguard.errors import BackupFailed, DeployguardError, UsageError
from deployguard.model import BackupRecord, Json

if TYPE_CHECKING:
    from deployguard.backups.rds import RdsBackups

COPIES: Final = "copies.json"
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/.+")


@dataclass(frozen=True, slots=True)
class Copied:
    """A copy: its name, its ARN, and where it is; ``account`` "" is that of the snapshot."""

    name: str
    arn: str
    region: str
    account: str


def destination(region: str, role: str, key: str, *, here: str, encrypted: bool) -> tuple[str, str]:
    """(region, account) to copy to; account "" is our own. Pure; raises UsageError for what AWS would refuse."""
    match = _ROLE.fullmatch(role)
    if role and match is None:
        raise UsageError(f"[rds] copy_role {role!r} is not the ARN of a role.")
    if not role and region in ("", here):
        raise UsageError(
            f"[rds] copy_region or copy_role must name another region than {here}, or a role of another account."
        )
    if encrypted and not key:
        raise UsageError(
            "The snapshot is encrypted: [rds] copy_kms_key must name a key of the region and account that it is"
            " copied to."
        )
    return region or here, match[1] if match else ""


def copy(store: "RdsBackups", record: BackupRecord) -> Copied:
    """Copy it and wait; a copy that an earlier call began is taken over. Raises UsageError or BackupFailed."""
    seen = store.verify(record)
    if not seen.ok:
        raise BackupFailed(
            f"Backup {record.id} does not count: {seen.evidence[0]}.", state=UNTOUCHED
        )
    rds, api, kind = store.site.rds, store.api, store.kind
    try:
        snapshot = rds_snapshots.find(api, kind, record.tools["snapshot"])
        if snapshot is None:
            raise BackupFailed(f"The snapshot of {record.id} is gone.", state=UNTOUCHED)
        region, account = destination(
            rds.copy_region,
            rds.copy_role,
            rds.copy_kms_key,
            here=api.region,
            encrypted=snapshot.encrypted,
        )
        with _shared(api, kind, snapshot, account):
            there = Api(store.site, region=region, credentials=_assumed(store) if account else None)
            try:
                found = _copied(store, there, record, snapshot)
            finally:
                there.close()
    except AwsError as error:
        raise BackupFailed(error.message, state=UNTOUCHED) from None
    made = Copied(found.name, found.arn, region, account)
    _keep(store, record, made)
    return made


def _copied(store: "RdsBackups", there: Api, record: BackupRecord, snapshot: Snapshot) -> Snapshot:
    kind, rds = store.kind, store.site.rds
    arguments: dict[str, Any] = {
        f"Source{kind.snapshot}Identifier": snapshot.arn,
        f"Target{kind.snapshot}Identifier": snapshot.name,
        "Tags": own_tags(rds, {**snapshot.tags, "copy-of": snapshot.arn}),
    }
    if rds.copy_kms_key:
        arguments["KmsKeyId"] = rds.copy_kms_key
    if there.region != store.api.region:
        arguments["SourceRegion"] = store.api.region
    try:
        there(f"copy_{kind.snapshot_noun}", **arguments)
    except AwsError as error:
        if error.code != f"{kind.snapshot}AlreadyExists":
            raise
    name = snapshot.name
    there.site.say(f"copying the snapshot {name} to {there.region}")
    wait(
        partial(_seen, there, kind, name),
        f"copy {name} in {there.region}",
        Patience(rds.timeout, rds.poll),
        sleep=store.site.sleep,
        say=store.site.say,
        fail=_failed,
    )
    found = rds_snapshots.find(there, kind, name)
    if found is None or found.tags.get("id") != record.id:
        raise _failed(f"The snapshot {name} in {there.region} is not a copy of this backup.")
    same = (found.engine, found.version, found.gigabytes, found.encrypted or not snapshot.encrypted)
    if same != (snapshot.engine, snapshot.version, snapshot.gigabytes, True):
        raise _failed(
            f"The copy {name} in {there.region} is not like the snapshot: {found.facts()}."
        )
    return found


def _seen(there: Api, kind: Kind, name: str) -> Seen | None:
    found = rds_snapshots.find(there, kind, name)
    return None if found is None else found.seen


def _failed(message: str) -> DeployguardError:
    return BackupFailed(message, state=UNTOUCHED)


@contextmanager
def _shared(api: Api, kind: Kind, snapshot: Snapshot, account: str) -> Iterator[None]:
    """Let another account read the snapshot, only as long as it copies."""
    if not account:
        yield
        return
    arguments = {f"{kind.snapshot}Identifier": snapshot.name, "AttributeName": "restore"}
    call = f"modify_{kind.snapshot_noun}_attribute"
    api(call, **arguments, ValuesToAdd=[account])
    try:
        yield
    finally:
        with suppress(AwsError):  # it is told by the next copy; the copy itself counts
            api(call, **arguments, ValuesToRemove=[account])


def _assumed(store: "RdsBackups") -> Mapping[str, str]:
    sts = Api(store.site, service="sts")
    try:
        found = sts("assume_role", RoleArn=store.site.rds.copy_role, RoleSessionName="deployguard")
    finally:
        sts.close()
    given = found["Credentials"]
    return {
        "aws_access_key_id": given["AccessKeyId"],
        "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def copies(store: "RdsBackups", record: BackupRecord) -> tuple[Copied, ...]:
    """The copies that were made of a backup, as far as they were written down beside it."""
    content = sealed.read_json(store.site.folder / record.folder / COPIES).get("copies")
    listed = content if isinstance(content, list) else []
    keys = ("name", "arn", "region", "account")
    return tuple(
        Copied(*(str(item.get(key, "")) for key in keys))
        for item in listed
        if isinstance(item, dict)
    )


def _keep(store: "RdsBackups", record: BackupRecord, made: Copied) -> None:
    known = [one for one in copies(store, record) if one.arn != made.arn]
    content: Json = {"copies": [asdict(one) for one in (*known, made)]}
    path = store.site.folder / record.folder / COPIES
    sealed.write_atomically(path, json.dumps(content, indent=1).encode() + b"\n")
