"""The identifiers in every revision file; of a file that has not changed since the last time, without opening it."""

import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from deployguard.model import Json
from deployguard.revisions.location import Locations
from deployguard.revisions.recorder.static import Header, read_header
from deployguard.revisions.store import Store, digest

_FILE = re.compile(r"(?!\.\#|__init__).*\.py$")

Signature = tuple[int, int, int, int]

# Seconds: what was changed so short before it was read may have changed again within the same tick of its clock.
FRESH: Final = 2.0


def signature(path: Path | str) -> Signature | None:
    """What changes whenever a file does: size, the times of its content and its entry (ns), inode. None: no file."""
    try:
        facts = os.stat(path)  # noqa: PTH116 - thousands of them
    except (OSError, ValueError):
        return None
    return (facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


def headers(
    files: Sequence[Path], store: Store | None = None
) -> Iterator[tuple[Path, Header | None]]:
    """Each file with its header; None where it declares no revision."""
    key = "headers-" + digest("\0".join(sorted({str(path.parent) for path in files})))
    kept = store.get(key) if store is not None else None
    known = kept if isinstance(kept, dict) else {}
    now, rows = time.time(), dict[str, Json]()
    anew = False
    for path in files:
        found = signature(path)
        row = known.get(str(path))
        header = _header(row, found)
        if header is None:
            anew = True
            text = path.read_bytes().decode("utf-8", errors="replace")
            header = (read_header(text),)
        if found is not None and max(found[1:3]) < (now - FRESH) * 1e9:
            told: list[Json] = [] if header[0] is None else _row(header[0])
            rows[str(path)] = [list(found), told]
        yield path, header[0]
    if store is not None and (anew or len(rows) != len(known)):
        store.put(key, rows)


def _row(header: Header) -> list[Json]:
    names: list[Json] = [list(one) for one in header[1:]]
    return [header.revision, *names]


def _header(row: Json, found: Signature | None) -> tuple[Header | None] | None:
    """The header that was kept, if the file is what it was; None when nothing was kept."""
    if not isinstance(row, list) or found is None or row[0] != list(found):
        return None
    told = row[1]
    if not isinstance(told, list) or not told:
        return (None,)
    revision, *rest = told
    names = [tuple(map(str, one)) for one in rest if isinstance(one, list)]
    return (Header(str(revision), *names),)


def revision_files(locations: Locations) -> Iterator[Path]:
    """Every file that Alembic would take for a revision, by name; one that is found twice only once."""
    seen: set[str] = set()
    for folder in locations.versions:
        if not folder.is_dir():
            continue
        for root, folders, names in os.walk(folder):
            folders[:] = (
                sorted(name for name in folders if name != "__pycache__")
                if locations.recursive
                else []
            )
            here = os.path.realpath(root)
            for name in filter(_FILE.match, sorted(names)):
                path = Path(root, name)
                real = os.path.realpath(path) if path.is_symlink() else f"{here}{os.sep}{name}"
                if real not in seen:
                    seen.add(real)
                    yield path
