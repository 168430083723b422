"""Write a backup so that it is either complete, durable and listed, or not there at all.

A backup grows in ``.partial-<id>/``, is flushed to the disk, renamed to ``<id>/``, and exists from the moment its
``manifest.json`` does, which is written last. Whoever writes shares the lock on ``.busy``; whoever sweeps needs it
alone, so only leftovers of the dead are swept.
"""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Final

from deployguard.backups.base import failed
from deployguard.errors import BackupFailed, Busy
from deployguard.model import BackupRecord, Json

MANIFEST: Final = "manifest.json"
VERIFICATION: Final = "verification.json"
EVIDENCE: Final = "evidence.json"
PARTIAL: Final = ".partial-"
REMOVED: Final = ".removed-"
OPENED: Final = ".opened-"
_BUSY: Final = ".busy"
_BLOCK: Final = 1 << 20
READERS: Final = max(1, min(4, os.cpu_count() or 1))  # files that are read at once
SHOWN: Final = 4  # files that are told one by one
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(slots=True)
class Draft:
    """A backup that is being written; ``files`` collects (bytes, sha256) by name.

    ``close`` puts an encrypted file in the place of one that is finished, where the backup is to be encrypted.
    """

    id: str
    folder: Path
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    close: Callable[[Path], Path] | None = None

    def path(self, name: str) -> Path:
        return self.folder / name

    def finish(self, name: str) -> None:
        """Flush a file that is complete to the disk, close it to others, and note its digest."""
        path = self.path(name)
        if self.close is not None and name != EVIDENCE:
            path = self.close(path)
        path.chmod(0o600)
        flush(path)
        self.files[path.name] = (path.stat().st_size, digest(path))

    def finish_all(self) -> None:
        """Finish every file that is there, several at a time."""
        names = sorted(path.name for path in self.folder.iterdir())
        with ThreadPoolExecutor(READERS) as pool:
            list(pool.map(self.finish, names))

    def write_json(self, name: str, content: Mapping[str, Json]) -> None:
        """Write a small file of facts and finish it."""
        with open_private(self.path(name)) as target:
            target.write(json.dumps(content, indent=1, sort_keys=True).encode())
        self.finish(name)


@contextmanager
def drafting(
    directory: Path, identifier: str, close: Callable[[Path], Path] | None = None
) -> Iterator[Draft]:
    """A draft that is gone, whatever happens, unless it was sealed in the block. A full disk is one clear error."""
    with turned_clear(directory):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _busy(directory, fcntl.LOCK_SH):
            draft = Draft(identifier, directory / f"{PARTIAL}{identifier}", close=close)
            draft.folder.mkdir(mode=0o700)
            try:
                yield draft
            finally:
                shutil.rmtree(draft.folder, ignore_errors=True)


def seal(draft: Draft, record: BackupRecord) -> BackupRecord:
    """Make the draft a backup: folder in place, then the manifest. What it returns has survived a power cut."""
    sealed = replace(
        record,
        id=draft.id,
        folder=draft.id,
        files=dict(draft.files),
        seconds=round(record.seconds, 3),
    )
    place(draft, encode(sealed))
    return sealed


def place(draft: Draft, manifest: bytes) -> None:
    """Put the draft's folder in its place, then the manifest: from then on it is a backup."""
    final = draft.folder.with_name(draft.id)
    flush(draft.folder)
    draft.folder.rename(final)
    try:
        flush(final.parent)
        write_atomically(final / MANIFEST, manifest)
    except BaseException:
        with suppress(OSError):
            (final / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(final, ignore_errors=True)
        raise


@contextmanager
def aside(directory: Path, identifier: str) -> Iterator[Path]:
    """A folder for what a backup holds in the plain: its owner's, gone after the block, swept after a crash."""
    sweep(directory, lambda path: path.name.startswith(OPENED))
    with _busy(directory, fcntl.LOCK_SH):
        folder = directory / f"{OPENED}{identifier}-{secrets.token_hex(4)}"
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def sweep(directory: Path, dead_ones: Callable[[Path], bool] | None = None) -> tuple[str, ...]:
    """Remove what crashes have left (``dead_ones``: which of it), unless somebody is writing now; their names."""
    if not directory.is_dir():
        return ()
    with suppress(BlockingIOError), _busy(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
        dead = [path for path in sorted(directory.iterdir()) if (dead_ones or _left_over)(path)]
        for path in dead:
            shutil.rmtree(path, ignore_errors=True)
        return tuple(path.name for path in dead)
    return ()


def encode(record: BackupRecord) -> bytes:
    """The manifest's bytes."""
    content: dict[str, Json] = {
        "format": record.format,
        "id": record.id,
        "store": record.store,
        "environment": record.environment,
        "database": record.database,
        "created": record.created.isoformat(),
        "folder": record.folder,
        "files": {
            name: {"bytes": size, "sha256": sha} for name, (size, sha) in record.files.items()
        },
        "revision": list(record.revision),
        "counts": dict(record.counts),
        "seconds": record.seconds,
        "reason": record.reason,
        "deploy": record.deploy,
        "git_commit": record.git_commit,
        "git_tag": record.git_tag,
        "images": dict(record.images),
        "tools": dict(record.tools),
        "layout": record.layout,
        "compression": record.compression,
        "jobs": record.jobs,
        "scope": {
            "content": record.scope.content,
            "tables": list(record.scope.tables),
            "schemas": list(record.scope.schemas),
        },
        "estimates": dict(record.estimates),
    }
    if record.recipients:  # how many, never who, and no key
        content["encryption"] = {"method": "age", "recipients": record.recipients}
    return json.dumps(content, indent=1).encode() + b"\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a small file so that a crash leaves the old one or the new one, on the disk."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open_private(temporary) as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    flush(path.parent)


def open_private(path: Path) -> BinaryIO:
    """Open a new file for writing that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def digest(path: Path) -> str:
    """The file's sha256, hexadecimal."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            total.update(block)
    return total.hexdigest()


def flush(path: Path) -> None:
    """Wait until a file or a folder's entries are on the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


@contextmanager
def shared(directory: Path) -> Iterator[None]:
    """What is there now stays meanwhile: whoever removes waits, and does not begin."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _busy(directory, fcntl.LOCK_SH):
        yield


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Nobody takes, reads or removes a backup meanwhile. Raises Busy at once when somebody does."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        with _busy(directory, fcntl.LOCK_EX | fcntl.LOCK_NB):
            yield
    except BlockingIOError:
        raise Busy(
            f"A backup in {directory} is being taken or restored: try again after it."
        ) from None


@contextmanager
def turned_clear(directory: Path) -> Iterator[None]:
    """Turn a full disk, a quota or a broken disk into one clear error."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise full(directory) from error
        raise failed(
            f"The backup could not be written to {directory}: {error.strerror}."
        ) from error


def full(directory: Path) -> BackupFailed:
    """The error for a disk that has no room left."""
    return failed(f"The disk of {directory} is full (or a quota or file size limit is reached).")


def _left_over(path: Path) -> bool:
    if not path.is_dir() or path.is_symlink():
        return False
    return path.name.startswith((PARTIAL, REMOVED, OPENED)) or (
        not path.name.startswith(".") and not (path / MANIFEST).exists() and _ours(path)
    )


def _ours(path: Path) -> bool:
    """A folder that ``seal`` has renamed holds the evidence; any other folder is none of our business."""
    return (path / EVIDENCE).exists()


@contextmanager
def _busy(directory: Path, how: int) -> Iterator[None]:
    number = os.open(directory / _BUSY, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(number, how)
        yield
    finally:
        os.close(number)


def check_files(directory: Path, record: BackupRecord) -> tuple[list[str], list[str]]:
    """(problems, evidence): whether every file of a backup is there with its size and sha256."""
    folder = directory / record.folder
    with ThreadPoolExecutor(READERS) as pool:
        found = pool.map(
            lambda item: _file_problem(folder / item[0], *item[1]), record.files.items()
        )
        problems = [problem for problem in found if problem]
    if EVIDENCE not in record.files or len(record.files) < 2:
        problems.append("the manifest does not name all files of a backup")
    if problems:
        return problems, []
    if len(record.files) > SHOWN:
        return [], [
            f"{len(record.files)} files, {record.size} bytes, each with its sha256 as sealed"
        ]
    return [], [
        f"{name}: {size} bytes, sha256 {sha[:12]}… as sealed"
        for name, (size, sha) in record.files.items()
    ]


def _file_problem(path: Path, size: int, sha: str) -> str:
    try:
        found = path.stat().st_size
        same = found == size and digest(path) == sha
    except OSError as error:
        return f"{path.name} cannot be read: {error.strerror}"
    if same:
        return ""
    what = f"it has {found} bytes instead of {size}" if found != size else "its sha256 differs"
    return f"{path.name} is damaged: {what}"


def read_json(path: Path) -> Mapping[str, Json]:
    """A small file of facts; empty when it cannot be read."""
    with suppress(OSError, ValueError):
        content = json.loads(path.read_bytes())
        if isinstance(content, dict):
            return content
    return {}
