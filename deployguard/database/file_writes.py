"""Whether a SQLite file was written to since a mark, said only as far as it can be proven."""

import hashlib
from pathlib import Path

from deployguard.model import Json


def file_mark(path: Path) -> Json:
    """The file's change counter, where that is kept, and a digest of everything.

    The counter (bytes 24 to 27 of the header) goes up with each transaction that writes, except in WAL mode.
    Source: SQLite's "Database File Format", 1.3.7.
    """
    if not path.exists():
        return {"digest": "", "counter": 0, "wal": False}
    header = _head(path)
    wal = header[18:20] == b"\x02\x02"
    return {
        "digest": _digest(path, path.with_name(path.name + "-wal")),
        "counter": int.from_bytes(header[24:28], "big"),
        "wal": wal,
    }


def file_since(path: Path, before: Json) -> int | None:
    """At most how many transactions wrote to the file after ``before``, the migration's own included."""
    now = file_mark(path)
    if not isinstance(before, dict) or not isinstance(now, dict):
        return None
    if before.get("digest") == now["digest"]:
        return 0
    first, last = before.get("counter"), now["counter"]
    if before.get("wal") or now["wal"] or not isinstance(first, int) or not isinstance(last, int):
        return None
    return last - first if last > first else None


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def _digest(*paths: Path) -> str:
    total = hashlib.sha256()
    for path in paths:
        if path.exists():
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    total.update(block)
        total.update(b"\0")
    return total.hexdigest()
