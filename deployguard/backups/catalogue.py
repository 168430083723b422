"""Which backups there are: the sealed manifests in the backup folder, and nothing else."""

import json
import re
from collections.abc import Mapping, Sized
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol, TypedDict

from deployguard.backups import sealed
from deployguard.errors import BackupFailed, UsageError
from deployguard.model import BackupRecord, Json, Scope, Verification

FORMATS: Final = (1, 2, 3)  # of manifests that can be read; 2 is written where it says everything
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_ID = re.compile(r"[^a-z0-9_]+")


class Sealed(Protocol):
    """Whatever was sealed: a folder with a manifest."""

    @property
    def folder(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Listing:
    """The backups of a folder, newest first, and sentences on manifests that could not be read."""

    records: tuple[BackupRecord, ...]
    problems: tuple[str, ...] = ()


def new_id(project: str, environment: str, at: datetime, suffix: str) -> str:
    """``bookings-production-20260218-103000-ab12``; the time is UTC."""
    stamp = at.astimezone(UTC).strftime("%Y%m%d-%H%M%S")
    return f"{id_begin(project, environment)}{stamp}-{suffix}"


def id_begin(project: str, environment: str) -> str:
    """How every id of this project's environment begins, and no other's: ``bookings-production-``."""
    words = (_ID.sub("_", word.lower()).strip("_") or "x" for word in (project, environment))
    return "".join(f"{word}-" for word in words)


def listing(directory: Path, begin: str = "") -> Listing:
    """Every backup below ``directory`` whose id begins so (``id_begin``: those of one project), newest first."""
    records: list[BackupRecord] = []
    problems: list[str] = []
    for manifest in sorted(directory.glob(f"*/{sealed.MANIFEST}")):
        if manifest.parent.name.startswith("."):
            continue
        try:
            record = load(manifest)
        except BackupFailed as error:
            problems.append(error.message)
        else:
            if record.id.startswith(begin):
                records.append(record)
    records.sort(key=lambda record: (record.created, record.id), reverse=True)
    return Listing(tuple(records), tuple(problems))


def find(directory: Path, wanted: str, begin: str = "") -> BackupRecord:
    """The backup of this id, of an id that begins so, of this deploy, or the ``latest``. Raises UsageError.

    One of another project or environment (``begin`` is of ours) only by its whole id: after a change of the name.
    """
    every = listing(directory).records
    records = tuple(record for record in every if record.id.startswith(begin))
    found = tuple(one for one in every if one.id == wanted) or matching(records, wanted)
    if len(found) == 1:
        return found[0]
    said = f"{len(found)} backups match {wanted!r}" if found else f"There is no backup {wanted!r}"
    raise UsageError(
        f"{said} in {directory}{_others(every, records)}.",
        next_commands=("deployguard backup list",),
    )


def matching(records: tuple[BackupRecord, ...], wanted: str) -> tuple[BackupRecord, ...]:
    """Those of ``records`` (newest first) that a person may mean: id, its beginning, deploy, or ``latest``."""
    if not wanted:
        return ()
    if wanted == "latest":
        whole = tuple(record for record in records if record.scope.whole)
        return (whole or records)[:1]  # a part cannot be restored
    exact = tuple(record for record in records if record.id == wanted)
    found = exact or tuple(
        record for record in records if record.id.startswith(wanted) or record.deploy == wanted
    )
    if all(record.deploy == wanted for record in found):
        # of what a deploy took, the one that shows how it was before
        return tuple(record for record in found if record.reason == "pre-deploy") or found
    return found


def at(directory: Path, moment: datetime, begin: str = "") -> BackupRecord:
    """The newest backup of a whole database of this time or before. Raises UsageError when there is none."""
    every = listing(directory).records
    found = tuple(record for record in every if record.id.startswith(begin))
    records = tuple(record for record in found if record.scope.whole)
    for record in records:
        if record.created <= moment:
            return record
    first = f"; the oldest is of {records[-1].created:%Y-%m-%d %H:%M:%S} UTC" if records else ""
    raise UsageError(
        f"There is no backup of {moment:%Y-%m-%d %H:%M:%S} UTC or before in {directory}{first}"
        f"{_others(every, found)}.",
        next_commands=("deployguard backup list",),
    )


def _others(every: Sized, ours: Sized) -> str:
    number = len(every) - len(ours)
    return f"; {number} there are of other projects or environments" if number else ""


def load(manifest: Path) -> BackupRecord:
    """Read one manifest. Raises BackupFailed when it is damaged or was written by a later version."""
    try:
        content = json.loads(manifest.read_bytes())
        if content["format"] not in FORMATS:
            raise BackupFailed(
                f"{manifest} has format {content['format']}; this deployguard knows up to {FORMATS[-1]}."
            )
        record = _record(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupFailed(f"The manifest {manifest} cannot be read: {error!r}.") from None
    names = (record.id, record.folder, *record.files)
    if not record.id == record.folder == manifest.parent.name or not all(
        _NAME.fullmatch(name) for name in names
    ):
        raise BackupFailed(f"The manifest {manifest} names files that are not its own.")
    return record


def _record(content: Mapping[str, Any]) -> BackupRecord:
    """Types are checked by conversion: what does not convert is damage."""
    raw: Mapping[str, Json] = content
    created = datetime.fromisoformat(str(raw["created"]))
    if created.tzinfo is None:
        raise ValueError("created has no time zone")
    return BackupRecord(
        id=str(raw["id"]),
        store=str(raw["store"]),
        environment=str(raw["environment"]),
        database=str(raw["database"]),
        created=created,
        folder=str(raw["folder"]),
        files={
            name: (_whole(file["bytes"]), str(file["sha256"]))
            for name, file in content["files"].items()
        },
        revision=tuple(str(item) for item in content["revision"]),
        counts={name: _whole(rows) for name, rows in content["counts"].items()},
        seconds=float(str(raw["seconds"])),
        reason=str(raw["reason"]),
        deploy=None if raw["deploy"] is None else str(raw["deploy"]),
        git_commit=None if raw["git_commit"] is None else str(raw["git_commit"]),
        # what backups of before do not say is not known
        git_tag=None if raw.get("git_tag") is None else str(raw["git_tag"]),
        images={name: str(digest) for name, digest in content.get("images", {}).items()},
        tools={name: str(text) for name, text in content["tools"].items()},
        format=_whole(raw["format"]),
        **(_first(str(raw["store"])) if raw["format"] == 1 else _second(content)),
    )


class _Form(TypedDict):
    layout: str
    compression: str
    jobs: int
    scope: Scope
    estimates: Mapping[str, int | None]
    recipients: int


def _first(store: str) -> _Form:
    """What format 1 did not say: every dump was in pg_dump's custom format, whole, and every table was counted."""
    layout = "custom" if store == "postgresql" else ""
    return _Form(layout=layout, compression="", jobs=1, scope=Scope(), estimates={}, recipients=0)


def _second(content: Mapping[str, Any]) -> _Form:
    scope, locked = content["scope"], content.get("encryption")
    if locked and locked["method"] != "age":
        raise ValueError("it is encrypted with a method that there is not")
    return _Form(
        layout=str(content["layout"]),
        compression=str(content["compression"]),
        jobs=_whole(content["jobs"]),
        scope=Scope(
            str(scope["content"]),
            tuple(str(name) for name in scope["tables"]),
            tuple(str(name) for name in scope["schemas"]),
        ),
        estimates={
            name: None if rows is None else _whole(rows)
            for name, rows in content["estimates"].items()
        },
        recipients=_whole(locked["recipients"]) if locked else 0,
    )


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is not a count")
    return value


def keep_verification(directory: Path, record: Sealed, found: Verification) -> None:
    """Write what reading the backup back has shown beside it."""
    content = {
        "manifest": sealed.digest(directory / record.folder / sealed.MANIFEST),
        "ok": found.ok,
        "evidence": list(found.evidence),
        "at": found.at.isoformat(),
    }
    path = directory / record.folder / sealed.VERIFICATION
    with sealed.turned_clear(directory):
        sealed.write_atomically(path, json.dumps(content, indent=1).encode() + b"\n")


def verification(directory: Path, record: Sealed) -> Verification | None:
    """The last verification of this very manifest; None when there is none that can be trusted."""
    folder = directory / record.folder
    try:
        content = json.loads((folder / sealed.VERIFICATION).read_bytes())
        if content["manifest"] != sealed.digest(folder / sealed.MANIFEST):
            return None
        evidence = tuple(str(line) for line in content["evidence"])
        return Verification(content["ok"] is True, evidence, datetime.fromisoformat(content["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None
