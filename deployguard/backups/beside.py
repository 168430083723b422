"""What lies beside a sealed backup and was learnt later: its pin, its last drill; and whether its files are there."""

import json
from datetime import datetime
from pathlib import Path
from typing import Final

from deployguard.backups import sealed
from deployguard.model import BackupRecord, Drilled, Json, Pin

PIN: Final = "pin.json"
DRILL: Final = "drill.json"
MARK: Final = "mark.json"


def pin(directory: Path, record: BackupRecord, pinned: Pin) -> None:
    """Keep a backup for ever, until ``unpin``; a second pin replaces the first."""
    folder = directory / record.folder
    content = {
        "manifest": sealed.digest(folder / sealed.MANIFEST),
        "reason": pinned.reason,
        "by": pinned.by,
        "at": pinned.at.isoformat() if pinned.at else "",
    }
    with sealed.turned_clear(directory):
        sealed.write_atomically(folder / PIN, json.dumps(content, indent=1).encode() + b"\n")


def unpin(directory: Path, record: BackupRecord) -> bool:
    """Take the pin away; whether there was one."""
    path = directory / record.folder / PIN
    with sealed.turned_clear(directory):
        if not path.exists():
            return False
        path.unlink()
        sealed.flush(path.parent)
    return True


def pinned(directory: Path, record: BackupRecord) -> Pin | None:
    """The pin of a backup. One that cannot be read pins as well: somebody meant it to stay."""
    path = directory / record.folder / PIN
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_bytes())
        at = datetime.fromisoformat(content["at"])
        return Pin(str(content["reason"]), str(content["by"]), at)
    except (OSError, ValueError, KeyError, TypeError):
        return Pin(f"{PIN} cannot be read")


def drilled(directory: Path, record: BackupRecord) -> Drilled | None:
    """The last restore drill of this very manifest; None when there is none that can be trusted."""
    folder = directory / record.folder
    try:
        content = json.loads((folder / DRILL).read_bytes())
        if content["manifest"] != sealed.digest(folder / sealed.MANIFEST):
            return None
        return Drilled(
            content["ok"] is True,
            datetime.fromisoformat(content["at"]),
            float(content["seconds"]),
            tuple(str(line) for line in content.get("evidence", ())),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_mark(directory: Path, record: BackupRecord, mark: Json) -> None:
    """Keep where writing stood before the backup was taken, so that what came after can be counted."""
    folder = directory / record.folder
    content = {"manifest": sealed.digest(folder / sealed.MANIFEST), "mark": mark}
    sealed.write_atomically(folder / MARK, json.dumps(content).encode() + b"\n")


def mark(directory: Path, record: BackupRecord) -> Json:
    """Where writing stood before this very backup was taken; None is unknown."""
    folder = directory / record.folder
    content = sealed.read_json(folder / MARK)
    try:
        same = content.get("manifest") == sealed.digest(folder / sealed.MANIFEST)
    except OSError:
        return None
    return content.get("mark") if same else None


def slot(directory: Path, record: BackupRecord) -> Json:
    """What was written down of the replication slot that begins at a backup; None where none was asked for.

    Its ``name`` and ``position``, what it does not show, and the values of the sequences; or ``without``: why not.
    """
    taken = sealed.read_json(directory / record.folder / sealed.EVIDENCE)
    found = taken.get("slot")
    if not isinstance(found, dict):
        return None
    return {**found, "sequences": taken.get("sequences")} if "name" in found else found


def keep_drill(directory: Path, record: BackupRecord, found: Drilled) -> None:
    """Write down what a restore drill has shown."""
    folder = directory / record.folder
    content = {
        "manifest": sealed.digest(folder / sealed.MANIFEST),
        "ok": found.ok,
        "at": found.at.isoformat(),
        "seconds": round(found.seconds, 3),
        "evidence": list(found.evidence),
    }
    with sealed.turned_clear(directory):
        sealed.write_atomically(folder / DRILL, json.dumps(content, indent=1).encode() + b"\n")


def against(rto: int, seconds: float) -> str:
    """How a measured recovery time stands to the one that is wanted, both in seconds."""
    how = "within" if seconds <= rto else "SLOWER than"
    return f"{how} the {rto} s of [drill] rto"


def missing(directory: Path, record: BackupRecord) -> tuple[str, ...]:
    """Sentences on files that are gone or have another size: a look that reads none of them."""
    said = []
    for name, (size, _) in record.files.items():
        try:
            found = (directory / record.folder / name).stat().st_size
        except OSError:
            said.append(f"{name} is not there any more")
            continue
        if found != size:
            said.append(f"{name} has {found} bytes instead of {size}")
    return tuple(said)
