"""What a place for off-site copies must do, and how it fails: the Protocol that S3, GCS, SFTP and a folder share."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol, Self, TypeAlias

from deployguard.backups import sealed
from deployguard.errors import BackupFailed
from deployguard.model import BackupRecord

BLOCK: Final = 1 << 20  # bytes that are in memory at once
STILL_HERE: Final = "The backup itself is here and sealed; only its copy is not."
Moved: TypeAlias = Callable[[int], None]  # takes how many bytes more have been moved


class OffsiteFailed(BackupFailed):
    """A copy could not be made, read or deleted. The backup in the local catalogue is not touched by that."""

    def __init__(
        self, message: str, *, state: str = STILL_HERE, next_commands: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message, state=state, next_commands=next_commands)


class Taken(OffsiteFailed):
    """The name is taken already; nothing is overwritten."""


class Damaged(OffsiteFailed):
    """What the store holds is not what was sent."""


@dataclass(frozen=True, slots=True)
class Source:
    """A file of a sealed backup: where it is, its bytes and its sha256 (hexadecimal)."""

    path: Path
    size: int
    sha256: str


class ObjectStore(Protocol):
    """Holds objects by names of the form "backup-id/file". Whatever it raises is a DeployguardError."""

    url: str  # where it is, with no secret in it

    def describe(self) -> str:
        """Where copies go and how they are protected, for people."""

    def preflight(self) -> None:
        """Look that it answers and can do what is configured. Raises EnvironmentUnreachable or OffsiteFailed."""

    def names(self, begin: str) -> Iterator[tuple[str, int]]:
        """(name, bytes) of every complete object whose name begins so."""

    def size(self, name: str) -> int | None:
        """The object's bytes; None when there is none."""

    def put(self, name: str, source: Source, moved: Moved) -> None:
        """Store the file, whole or not at all. Raises Taken when the name exists."""

    def proof(self, name: str, source: Source) -> str:
        """What the store's own checksum and size prove, for people; "" when nothing does. Raises Damaged."""

    def read(self, name: str) -> Iterator[bytes]:
        """The object's bytes, in blocks. A broken connection is taken up where it broke."""

    def held_until(self, name: str) -> datetime | None:
        """Before this the store lets nobody delete the object; None is no lock."""

    def remove(self, name: str) -> None:
        """Delete one object, every version of it. One that is not there is no error."""

    def forget(self, folder: str) -> None:
        """Delete what is left of a backup's folder when its objects are gone."""

    def sweep(self, keep: str) -> tuple[str, ...]:
        """Give up uploads that were interrupted long ago, except those of the backup ``keep``; their names."""

    def close(self) -> None:
        """Let connections go."""


class Window:
    """Bytes ``begin`` to ``begin + size`` of a file, as a file of their own that is never in memory as a whole.

    ``stopped`` is asked before each read; when it says yes, reading raises ``Stopped``.
    """

    def __init__(self, path: Path, begin: int, size: int, stopped: Callable[[], bool]) -> None:
        self._file: BinaryIO = path.open("rb")
        self._begin, self._size, self._at = begin, size, 0
        self._stopped = stopped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, wanted: int | None = -1) -> bytes:
        if self._stopped():
            raise Stopped
        left = self._size - self._at
        count = left if wanted is None or wanted < 0 else min(wanted, left)
        self._file.seek(self._begin + self._at)
        data = self._file.read(count)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, (0, self._at, self._size)[whence] + offset)
        return self._at

    def tell(self) -> int:
        return self._at

    def blocks(self) -> Iterator[bytes]:
        """All of it, from its beginning."""
        self.seek(0)
        while block := self.read(BLOCK):
            yield block


class Stopped(BaseException):
    """A transfer that was asked to end because another one failed; no library may take it for a failure to retry."""


def blocks(path: Path) -> Iterator[bytes]:
    """A file's bytes, in blocks."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def md5(data: Iterator[bytes]) -> bytes:
    """The digest that stores make of what they received: against accidents, not against people."""
    total = hashlib.md5(usedforsecurity=False)
    for block in data:
        total.update(block)
    return total.digest()


def sha256(data: Iterator[bytes]) -> bytes:
    """The digest of all blocks."""
    total = hashlib.sha256()
    for block in data:
        total.update(block)
    return total.digest()


def first_line(error: BaseException) -> str:
    """What a library's error says, on one line of bearable length, with the name of its kind."""
    said = " ".join(str(error).split())[:300].rstrip(".")
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def has_data(record: BackupRecord) -> bool:
    """Whether the backup's data are files in its folder; of a cloud's snapshot, only the evidence is."""
    return bool(record.files.keys() - {sealed.EVIDENCE})


def is_manifest(content: bytes) -> bool:
    """Whether these bytes are the manifest of some backup, and not what is left of one."""
    try:
        return "files" in json.loads(content)
    except (ValueError, TypeError):
        return False
