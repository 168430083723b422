"""What is known of a backup's off-site copies: ``offsite.json`` beside its manifest, one entry a place."""

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from deployguard.backups import sealed
from deployguard.model import BackupRecord, Json, OffsiteCopy

OFFSITE: Final = "offsite.json"
_FORMAT: Final = 1


def copies(directory: Path, record: BackupRecord) -> tuple[OffsiteCopy, ...]:
    """The copies of this very backup that were complete when they were noted, latest first."""
    folder = directory / record.folder
    content = sealed.read_json(folder / OFFSITE)
    try:
        mine = sealed.digest(folder / sealed.MANIFEST)
        raw = content.get("copies", [])
        found = [_copy(item) for item in raw] if isinstance(raw, list) else []
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()
    kept = [copy for copy in found if copy.manifest == mine]
    return tuple(sorted(kept, key=lambda copy: copy.at, reverse=True))


def note(directory: Path, record: BackupRecord, copy: OffsiteCopy) -> None:
    """Keep that this copy is complete; what was noted of the same place before is replaced."""
    others = [one for one in copies(directory, record) if one.url != copy.url]
    _write(directory, record, [copy, *others])


def drop(directory: Path, record: BackupRecord, url: str) -> None:
    """Forget the copy at ``url``: it was deleted."""
    former = copies(directory, record)
    left = [one for one in former if one.url != url]
    if len(left) != len(former):
        _write(directory, record, left)


def _write(directory: Path, record: BackupRecord, found: list[OffsiteCopy]) -> None:
    content: Mapping[str, Json] = {"format": _FORMAT, "copies": [_document(one) for one in found]}
    path = directory / record.folder / OFFSITE
    sealed.write_atomically(path, json.dumps(content, indent=1).encode() + b"\n")


def _document(copy: OffsiteCopy) -> Json:
    return {
        "url": copy.url,
        "at": copy.at.isoformat(),
        "manifest": copy.manifest,
        "files": dict(copy.files),
        "held_until": copy.held_until.isoformat() if copy.held_until else None,
    }


def _copy(raw: object) -> OffsiteCopy:
    if not isinstance(raw, dict):
        raise TypeError("a copy is a table")
    until = raw.get("held_until")
    return OffsiteCopy(
        url=str(raw["url"]),
        at=datetime.fromisoformat(raw["at"]),
        manifest=str(raw["manifest"]),
        files={str(name): str(proof) for name, proof in raw["files"].items()},
        held_until=datetime.fromisoformat(until) if until else None,
    )
