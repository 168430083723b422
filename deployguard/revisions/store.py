"""Keeps what was read between two runs: small JSON files that only we can write, and that may vanish at any time."""

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from deployguard.model import Json

FORMAT: Final = 1
MOST_FILES: Final = 64
MOST_BYTES: Final = 32 * 1024 * 1024
_SECRET_BYTES: Final = 32
_ABANDONED: Final = 3600.0  # seconds after which an unfinished file has no writer any more


@dataclass(frozen=True, slots=True)
class Store:
    """One folder of entries. Nothing here raises: what cannot be read is not there, what cannot be kept is not kept.

    Every entry is sealed with a secret of this user on this machine that lies outside of the project, so that a
    branch that brings a cache folder along is not believed.
    """

    folder: Path
    secret: bytes = field(repr=False)

    def get(self, key: str) -> Json:
        """The value that was put under ``key``; None when there is none that is whole and ours."""
        path = self._path(key)
        try:
            if not self._ours(self.folder) or not self._ours(path):
                return None
            seal, _, body = path.read_bytes().partition(b"\n")
            if seal != self._seal(key, body):
                return None
            value: Json = json.loads(body)
            os.utime(path)  # the ones that nobody asks for go first
        except (OSError, ValueError, RecursionError):
            return None
        return value

    def put(self, key: str, value: Json) -> None:
        """Keep ``value``; a reader sees the former one or this one, never a part."""
        import tempfile  # not paid for by those who only read

        body = json.dumps(value, separators=(",", ":")).encode()
        if len(body) > MOST_BYTES // 4:
            return
        with suppress(OSError):
            self._make_folder()
            if not self._ours(self.folder):
                return
            handle, name = tempfile.mkstemp(prefix=".new-", dir=self.folder)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(self._seal(key, body) + b"\n" + body)
                Path(name).replace(self._path(key))
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise
            self.prune()

    def prune(self) -> None:
        """Keep the folder within its bounds; the entries that were used longest ago go first."""
        room = 0
        entries = sorted(self._entries(), reverse=True)
        for number, (used, size, path) in enumerate(entries):
            room += size
            abandoned = path.suffix != ".json" and used < entries[0][0] - _ABANDONED
            if number >= MOST_FILES or room > MOST_BYTES or abandoned:
                with suppress(OSError):
                    path.unlink()

    def _entries(self) -> Iterator[tuple[float, int, Path]]:
        with suppress(OSError), os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):
                    if entry.name.endswith(".json") or entry.name.startswith(".new-"):
                        facts = entry.stat(follow_symlinks=False)
                        yield facts.st_mtime, facts.st_size, Path(entry.path)

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _seal(self, key: str, body: bytes) -> bytes:
        told = f"deployguard {FORMAT} {key}\n".encode()
        return hashlib.blake2b(told + body, key=self.secret).hexdigest().encode()

    def _make_folder(self) -> None:
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.folder / ".gitignore").write_text("*\n", encoding="utf-8")

    @staticmethod
    def _ours(path: Path) -> bool:
        """A real file or folder of this user's, which nobody else can write or read."""
        facts = path.lstat()
        real = stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)
        return real and facts.st_uid == os.geteuid() and not facts.st_mode & 0o077


def open_store(folder: Path, environ: Mapping[str, str]) -> Store | None:
    """The store in ``folder``; None where this user has no place of its own for the secret."""
    home = environ.get("XDG_CACHE_HOME") or (
        str(Path(environ["HOME"], ".cache")) if environ.get("HOME") else ""
    )
    if not home or not Path(home).is_absolute():
        return None
    try:
        secret = _secret(Path(home, "deployguard"))
    except OSError:
        return None
    return Store(folder, secret) if secret else None


def _secret(folder: Path) -> bytes | None:
    path = folder / "seal"
    if not path.exists():
        import secrets
        import tempfile

        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".new-", dir=folder)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_SECRET_BYTES))
        with suppress(FileExistsError):  # somebody was faster: theirs counts
            os.link(name, path)
        Path(name).unlink()
    facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        return None
    secret = path.read_bytes()
    return secret if len(secret) == _SECRET_BYTES else None


def digest(value: Json) -> str:
    """A name for a value: the same for the same JSON, whatever the order of its keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.blake2b(text.encode(), digest_size=20).hexdigest()
