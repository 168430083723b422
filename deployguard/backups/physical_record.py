"""What is known of a base backup: its manifest, the list of them, and which ones stand upon which."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from deployguard.backups import sealed
from deployguard.errors import BackupFailed, UsageError
from deployguard.wal import Place, lsn

FORMAT: Final = 1
DATA: Final = "data"
MANIFEST: Final = "backup_manifest"  # pg_basebackup's own, with the sha256 of every file
LIST: Final = ("deployguard backup physical list",)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True)
class BaseBackup:
    """One sealed base backup of a whole cluster, in the folder of its id.

    ``start`` and ``stop`` are positions in the log on ``timeline``; ``finished`` is the server's own time. ``own`` is
    (bytes, sha256) of pg_basebackup's manifest, ``wal`` the same of the segments that came along. ``parent`` is the
    backup that an incremental one stands upon, and ``parent_sha`` the sha256 of that one's manifest.
    """

    id: str
    environment: str
    database: str  # the application's; a name, never a URL
    created: datetime
    finished: datetime
    system: str  # the number that the cluster was born with
    server: str
    major: int
    timeline: int
    start: str
    stop: str
    segment_bytes: int
    size: int  # bytes of all files
    count: int  # of files
    own: tuple[int, str]
    wal: Mapping[str, tuple[int, str]]
    superuser: str  # who may ask the new cluster
    seconds: float
    tools: Mapping[str, str] = field(default_factory=dict)
    parent: str | None = None
    parent_sha: str = ""

    @property
    def folder(self) -> str:
        return self.id

    @property
    def kind(self) -> str:
        return "incremental" if self.parent else "full"

    @property
    def first(self) -> Place:
        """The segment that its replay begins in."""
        return Place(self.timeline, lsn(self.start) // self.segment_bytes)

    def data(self, directory: Path) -> Path:
        return directory / self.id / DATA


@dataclass(frozen=True, slots=True)
class Bases:
    """The base backups of an environment, newest first, and sentences on manifests that could not be read."""

    records: tuple[BaseBackup, ...]
    problems: tuple[str, ...] = ()

    def chain(self, record: BaseBackup) -> tuple[BaseBackup, ...]:
        """The full backup and those upon it up to ``record``. Raises BackupFailed when a link is gone."""
        known = {one.id: one for one in self.records}
        chain = [record]
        while (parent := chain[0].parent) is not None:
            if parent not in known or known[parent] in chain:
                raise BackupFailed(
                    f"The base backup {chain[0].id} stands upon {parent}, which is not there any more.",
                    state="It cannot be restored.",
                    next_commands=LIST,
                )
            chain.insert(0, known[parent])
        return tuple(chain)

    def find(self, wanted: str) -> BaseBackup:
        """The one of this id, of its beginning, or the ``latest``. Raises UsageError."""
        exact = [one for one in self.records if one.id == wanted]
        found = exact or [one for one in self.records if wanted and one.id.startswith(wanted)]
        if wanted == "latest":
            found = list(self.records[:1])
        if len(found) == 1:
            return found[0]
        said = (
            f"{len(found)} base backups match {wanted!r}"
            if found
            else f"There is no base backup {wanted!r}"
        )
        raise UsageError(f"{said}.", next_commands=LIST)


def encode(record: BaseBackup) -> bytes:
    """The manifest's bytes."""
    size, sha = record.own
    content = {
        "format": FORMAT,
        "id": record.id,
        "store": "postgresql-physical",
        "kind": record.kind,
        "environment": record.environment,
        "database": record.database,
        "created": record.created.isoformat(),
        "finished": record.finished.isoformat(),
        "seconds": round(record.seconds, 3),
        "system": record.system,
        "server": record.server,
        "major": record.major,
        "timeline": record.timeline,
        "start": record.start,
        "stop": record.stop,
        "segment_bytes": record.segment_bytes,
        "bytes": record.size,
        "files": record.count,
        "backup_manifest": {"bytes": size, "sha256": sha},
        "wal": {name: {"bytes": n, "sha256": sha} for name, (n, sha) in record.wal.items()},
        "superuser": record.superuser,
        "tools": dict(record.tools),
        "parent": record.parent,
        "parent_sha256": record.parent_sha,
    }
    return json.dumps(content, indent=1).encode() + b"\n"


def listing(directory: Path, environment: str | None = None) -> Bases:
    """Every base backup below ``directory``, newest first; of one environment if named."""
    records: list[BaseBackup] = []
    problems: list[str] = []
    for manifest in sorted(directory.glob(f"[!.]*/{sealed.MANIFEST}")):
        try:
            record = load(manifest)
        except BackupFailed as error:
            problems.append(error.message)
        else:
            if environment in (None, record.environment):
                records.append(record)
    records.sort(key=lambda one: (one.created, one.id), reverse=True)
    return Bases(tuple(records), tuple(problems))


def load(manifest: Path) -> BaseBackup:
    """Read one manifest. Raises BackupFailed when it is damaged or was written by a later version."""
    try:
        content = json.loads(manifest.read_bytes())
        if content["format"] != FORMAT:
            raise BackupFailed(
                f"{manifest} has format {content['format']}; this deployguard knows {FORMAT}."
            )
        record = _record(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupFailed(f"The manifest {manifest} cannot be read: {error!r}.") from None
    if record.id != manifest.parent.name or not all(map(_NAME.fullmatch, (record.id, *record.wal))):
        raise BackupFailed(f"The manifest {manifest} names files that are not its own.")
    return record


def _record(content: Mapping[str, Any]) -> BaseBackup:
    """Types are checked by conversion: what does not convert is damage."""
    created, finished = (datetime.fromisoformat(content[key]) for key in ("created", "finished"))
    if created.tzinfo is None or finished.tzinfo is None:
        raise ValueError("a time has no zone")
    record = BaseBackup(
        id=str(content["id"]),
        environment=str(content["environment"]),
        database=str(content["database"]),
        system=str(content["system"]),
        server=str(content["server"]),
        start=str(content["start"]),
        stop=str(content["stop"]),
        superuser=str(content["superuser"]),
        major=int(content["major"]),
        timeline=int(content["timeline"]),
        segment_bytes=int(content["segment_bytes"]),
        created=created,
        finished=finished,
        size=int(content["bytes"]),
        count=int(content["files"]),
        own=_sealed(content["backup_manifest"]),
        wal={name: _sealed(file) for name, file in content["wal"].items()},
        seconds=float(content["seconds"]),
        tools={name: str(text) for name, text in content["tools"].items()},
        parent=None if content["parent"] is None else str(content["parent"]),
        parent_sha=str(content["parent_sha256"]),
    )
    lsn(record.start), lsn(record.stop)
    if record.segment_bytes <= 0:
        raise ValueError("a segment has no bytes")
    return record


def _sealed(file: Mapping[str, Any]) -> tuple[int, str]:
    return int(file["bytes"]), str(file["sha256"])


def ranges(manifest: Path) -> tuple[int, str, str]:
    """(timeline, start, stop) of the log that a backup needs, by its own manifest. Raises BackupFailed."""
    try:
        found: Sequence[Mapping[str, Any]] = json.loads(manifest.read_bytes())["WAL-Ranges"]
        (one,) = found
        lsn(str(one["Start-LSN"])), lsn(str(one["End-LSN"]))
        return int(one["Timeline"]), str(one["Start-LSN"]), str(one["End-LSN"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BackupFailed(f"pg_basebackup's manifest cannot be read: {error!r}.") from None
