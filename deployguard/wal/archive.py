"""The folder of archived log: a file gets in whole, on the disk and once; it gets out whole or not at all."""

import fcntl
import gzip
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Final

from deployguard.errors import BackupFailed, UsageError
from deployguard.wal.names import is_file, is_segment, is_size, number_of

SYSTEM: Final = "system"  # holds the number of the one cluster whose log this is
_LOCK: Final = ".lock"
_TEMPORARY: Final = ".tmp-"
_GZIP: Final = ".gz"
_BLOCK: Final = 1 << 20
# XLogLongPageHeaderData: magic, info, timeline, address, continued, (padding), system, segment's and page's size.
_HEAD: Final = struct.Struct("<HHIQI4xQII")
_LONG: Final = 2  # of info: the first page of a segment has the long header
_NOT_ARCHIVED: Final = "The server keeps the segment, and asks again."


class Missing(Exception):
    """The archive is well, and has no such file."""


def compression(text: str) -> int | None:
    """The level of gzip; 0 is none, None is nothing that we know."""
    method, colon, level = text.partition(":")
    if method == "none" and not colon:
        return 0
    if method != "gzip" or (colon and level not in tuple("123456789")):
        return None
    return int(level or 6)


@dataclass(frozen=True, slots=True)
class Archive:
    """Archived log in one folder. ``level`` of gzip for what gets in, 0 is none; both are read."""

    folder: Path
    level: int = 0

    def names(self) -> Mapping[str, Path]:
        """What is archived, by the server's name for it."""
        if not self.folder.is_dir():
            return {}
        found = {path.name.removesuffix(_GZIP): path for path in self.folder.iterdir()}
        return {name: path for name, path in found.items() if is_file(name)}

    def histories(self) -> Mapping[int, str]:
        """The contents of the history files, by timeline."""
        return {
            int(name[:8], 16): b"".join(_blocks(path)).decode(errors="replace")
            for name, path in self.names().items()
            if name.endswith(".history")
        }

    def system(self) -> str:
        """The number of the cluster whose log this is; "" while nothing says so."""
        mark = self.folder / SYSTEM
        return mark.read_text().strip() if mark.exists() else ""

    def path(self, name: str) -> Path | None:
        """Where a file lies."""
        places = (self.folder / name, self.folder / (name + _GZIP))
        return next((path for path in places if path.exists()), None)

    def put(self, source: Path) -> bool:
        """Take a file in; whether it was new. Done again with the same contents it is well.

        Raises UsageError for a name that no server gives, BackupFailed when it is another file than the one that is
        there, is not whole, is of another cluster, or cannot be written.
        """
        name = source.name
        if not is_file(name):
            raise UsageError(
                f"{name!r} is no file of a write-ahead log: give %p of archive_command."
            )
        try:
            system = _checked(source, name)
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._alone():
                self._of(system)
                there = self.path(name)
                if there is not None:
                    _same(source, there, name)
                    _flush(there)  # who wrote it may have been killed before this
                else:
                    self._write(source, name)
                _flush(self.folder)
        except OSError as error:
            raise _refused(f"{name} could not be archived: {error.strerror or error}.") from error
        return there is None

    def fetch(self, name: str, target: Path) -> None:
        """Put a file where the server wants it. Raises Missing, or BackupFailed when that cannot be said."""
        if not self.folder.is_dir():
            raise BackupFailed(f"There is no archive in {self.folder}.")
        if not is_file(name):
            raise BackupFailed(
                f"{name!r} is no file of a write-ahead log: give %f of restore_command."
            )
        there = self.path(name)
        if there is None and not self.system():  # a mount that is missing looks like this
            raise BackupFailed(f"In {self.folder} nothing was ever archived: is it mounted?")
        if there is None:
            raise Missing(name)
        temporary = target.with_name(f"{target.name}.deployguard")
        try:
            with _private(temporary) as file:
                for block in _blocks(there):
                    file.write(block)
            if is_segment(name):
                _checked(temporary, name)
            temporary.replace(target)
        except OSError as error:
            raise BackupFailed(
                f"{there} could not be fetched: {error.strerror or error}."
            ) from error
        finally:
            temporary.unlink(missing_ok=True)

    def _write(self, source: Path, name: str) -> None:
        temporary = self.folder / f"{_TEMPORARY}{name}"
        final = self.folder / (name + _GZIP if self.level else name)
        try:
            with _private(temporary) as file, _packed(file, self.level) as target:
                for block in _blocks(source):
                    target.write(block)
            _flush(temporary)
            if _digest(temporary, packed=bool(self.level)) != _digest(source):
                raise _refused(f"{name} is not in the archive as it was written.")
            temporary.rename(final)
        finally:
            temporary.unlink(missing_ok=True)

    def _of(self, system: int | None) -> None:
        """Log of one cluster only: two that archive into one folder would overwrite, or replay, each other's."""
        known = self.system()
        if system is None or known == str(system):
            return
        if known:
            raise _refused(
                f"{self.folder} is the archive of another cluster: {known}, not {system}."
            )
        temporary = self.folder / f"{_TEMPORARY}{SYSTEM}"
        with _private(temporary) as file:
            file.write(f"{system}\n".encode())
        _flush(temporary)
        temporary.rename(self.folder / SYSTEM)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One at a time: what is temporary then is of somebody who was killed."""
        number = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            for dead in self.folder.glob(f"{_TEMPORARY}*"):
                dead.unlink()
            yield
        finally:
            os.close(number)


def _checked(source: Path, name: str) -> int | None:
    """The number of the cluster, of a segment that is whole and is the one that its name says."""
    size = source.stat().st_size
    if name.endswith((".history", ".backup")):
        return None
    with source.open("rb") as file:
        head = file.read(_HEAD.size)
    if not is_size(size) or len(head) < _HEAD.size:
        raise _refused(f"{name} is not whole: it has {size} bytes.")
    _, info, _, address, _, system, segment_bytes, _ = _HEAD.unpack(head)
    if not info & _LONG or segment_bytes != size or address != number_of(name, size).number * size:
        raise _refused(
            f"{name} is not the segment of its name: its first page says something else."
        )
    return int(system)


def _same(source: Path, there: Path, name: str) -> None:
    if _digest(source) != _digest(there):
        raise _refused(
            f"{name} is in the archive already, with other contents: {there}. It is not overwritten. Two servers may"
            " archive into one folder, or one was set back in time without a new timeline."
        )


def _digest(path: Path, *, packed: bool = False) -> bytes:
    total = hashlib.sha256()
    for block in _blocks(path, packed=packed):
        total.update(block)
    return total.digest()


def _blocks(path: Path, *, packed: bool = False) -> Iterator[bytes]:
    """The contents of a file, unpacked. Raises OSError, also for a packed file that is damaged or cut."""
    try:
        with _opened(path, packed=packed or path.suffix == _GZIP) as file:
            while block := file.read(_BLOCK):
                yield block
    except (EOFError, zlib.error) as error:
        raise OSError(f"{path.name} is damaged: {error}") from error


def _opened(path: Path, *, packed: bool) -> BufferedIOBase:
    return gzip.open(path, "rb") if packed else path.open("rb")


@contextmanager
def _packed(file: BufferedIOBase, level: int) -> Iterator[BufferedIOBase]:
    if not level:
        yield file
        return
    with gzip.GzipFile("", "wb", level, file, mtime=0) as target:
        yield target


def _private(path: Path) -> BufferedIOBase:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _flush(path: Path) -> None:
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _refused(message: str) -> BackupFailed:
    return BackupFailed(message, state=_NOT_ARCHIVED)
