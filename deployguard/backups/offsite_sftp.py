"""Off-site copies on an SSH server: keys and known hosts as ssh has them, a temporary name first, then its own."""

import os
import posixpath
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from threading import get_ident
from typing import Any, Final, TypeVar  # paramiko has no types

from deployguard.backups import sealed
from deployguard.backups.offsite_base import (
    BLOCK,
    Moved,
    OffsiteFailed,
    Source,
    Taken,
    blocks,
    first_line,
)
from deployguard.config import OffsiteConfig, Place
from deployguard.errors import DeployguardError, EnvironmentUnreachable

T = TypeVar("T")
_PIECE: Final = 32768  # bytes of one request; every server takes that many
_PAUSE: Final = 1.0  # seconds before the second try; doubled for each further one


@dataclass(slots=True)
class SftpStore:
    """A folder on an SSH server. Nothing is dialled before it is asked something."""

    config: OffsiteConfig
    place: Place
    sleep: Callable[[float], None] = time.sleep
    url: str = field(init=False)
    # thread → its own connection: paramiko hands answers to whoever asks first
    _links: dict[int, tuple[Any, Any]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.url = self.config.url.rstrip("/")

    def describe(self) -> str:
        return self.url

    def preflight(self) -> None:
        with self._told("looking for the folder"):
            found = self._tried(lambda link: _stat(link, self.place.path))
        if found is None or not stat.S_ISDIR(found.st_mode):
            raise OffsiteFailed(
                f"{self.url}: the folder is not there; it is not made, for it may be a mount that is missing."
            )

    def names(self, begin: str) -> Iterator[tuple[str, int]]:
        with self._told("listing"):
            yield from self._tried(lambda link: self._listed(link, begin))

    def _listed(self, link: Any, begin: str) -> list[tuple[str, int]]:
        found = list[tuple[str, int]]()
        for folder in sorted(link.listdir_attr(self.place.path), key=lambda one: one.filename):
            name = folder.filename
            fits = name.startswith(begin) or begin.startswith(f"{name}/")
            if name.startswith(".") or not fits or not stat.S_ISDIR(folder.st_mode):
                continue
            inside = link.listdir_attr(self._path(name))
            found += [
                (f"{name}/{file.filename}", int(file.st_size))
                for file in inside
                if not file.filename.startswith(".") and stat.S_ISREG(file.st_mode)
            ]
        return sorted(one for one in found if one[0].startswith(begin))

    def size(self, name: str) -> int | None:
        with self._told(f"looking for {name}"):
            found = self._tried(lambda link: _stat(link, self._path(name)))
        return None if found is None else int(found.st_size)

    def put(self, name: str, source: Source, moved: Moved) -> None:
        folder, file = posixpath.split(self._path(name))
        growing = posixpath.join(folder, f"{sealed.PARTIAL}{file}")
        told = 0

        def send(link: Any) -> None:
            nonlocal told
            if _stat(link, folder) is None:
                try:
                    link.mkdir(folder, 0o700)
                except OSError:  # another file of the same backup was first
                    if _stat(link, folder) is None:
                        raise
            at = 0
            with link.open(growing, "wb") as target:
                target.chmod(0o600)
                target.set_pipelined(True)
                for block in blocks(source.path):
                    target.write(block)
                    at += len(block)
                    moved(max(0, at - told))
                    told = max(at, told)
            self._give_name(link, growing, posixpath.join(folder, file), source.size)

        with self._told(f"uploading {name}"):
            self._tried(send)

    def _give_name(self, link: Any, growing: str, final: str, size: int) -> None:
        """The plain rename of SFTP fails when the name exists, which is what is wanted."""
        if _stat(link, final) is not None:
            raise Taken(f"{self.url}: {final} is there already.")
        there = link.stat(growing).st_size
        if there != size:
            raise OSError(f"{there} bytes arrived instead of {size}")
        link.rename(growing, final)

    def proof(self, name: str, source: Source) -> str:  # noqa: ARG002 - one shape for all
        """SFTP has no checksum of its own."""
        return ""

    def read(self, name: str) -> Iterator[bytes]:
        at, failures = 0, 0
        with self._told(f"downloading {name}"):
            while True:
                try:
                    with self._linked().open(self._path(name), "rb") as file:
                        size = file.stat().st_size
                        while at < size:
                            for piece in file.readv(_pieces(at, size)):
                                at += len(piece)
                                failures = 0
                                yield piece
                except FileNotFoundError:
                    raise
                except _broken():
                    failures += 1
                    self._again(failures)
                else:
                    return

    def held_until(self, name: str) -> datetime | None:  # noqa: ARG002 - one shape for all
        return None

    def remove(self, name: str) -> None:
        def unlink(link: Any) -> None:
            with suppress(FileNotFoundError):
                link.remove(self._path(name))

        with self._told(f"deleting {name}"):
            self._tried(unlink)

    def forget(self, folder: str) -> None:
        def clear(link: Any) -> None:
            with suppress(FileNotFoundError):
                for left in link.listdir(self._path(folder)):
                    if left.startswith(sealed.PARTIAL):
                        link.remove(posixpath.join(self._path(folder), left))
                link.rmdir(self._path(folder))

        with self._told(f"deleting {folder}"):
            self._tried(clear)

    def sweep(self, keep: str) -> tuple[str, ...]:  # noqa: ARG002 - one shape for all
        return ()

    def close(self) -> None:
        for thread in tuple(self._links):
            self._hang_up(thread)

    def _hang_up(self, thread: int) -> None:
        client, _ = self._links.pop(thread, (None, None))
        if client is not None:
            client.close()

    def _path(self, name: str) -> str:
        return posixpath.join(self.place.path, name)

    def _tried(self, action: Callable[[Any], T]) -> T:
        """Do it, and do it anew with a new connection when the old one broke."""
        failures = 0
        while True:
            try:
                return action(self._linked())
            except (DeployguardError, FileNotFoundError, PermissionError):
                raise
            except _broken():
                failures += 1
                self._again(failures)

    def _again(self, failures: int) -> None:
        """Wait before another try; raises what is being handled when there were enough."""
        self._hang_up(get_ident())
        if failures >= max(1, self.config.tries):
            raise  # noqa: PLE0704 - called while it is handled
        self.sleep(_PAUSE * 2 ** (failures - 1))

    def _linked(self) -> Any:
        found = self._links.get(get_ident())
        if found is None:
            client = dial(self.place, self.config.timeout)
            try:
                link = client.open_sftp()
            except BaseException:
                client.close()
                raise
            link.get_channel().settimeout(self.config.timeout)
            self._links[get_ident()] = found = client, link
        return found[1]

    @contextmanager
    def _told(self, doing: str) -> Iterator[None]:
        try:
            yield
        except DeployguardError:
            raise
        except (FileNotFoundError, PermissionError) as error:
            why = error.strerror or first_line(error)
            raise OffsiteFailed(f"{self.url}: {doing} failed: {why}.") from None
        except _broken() as error:
            said = first_line(error)
            raise EnvironmentUnreachable(f"{self.url}: {doing} failed: {said}.") from None


def dial(place: Place, timeout: float) -> Any:
    """A connection as ``ssh host`` would make it: its configuration, its keys, its agent, its known hosts.

    A host that is not known is refused: whoever stands in the middle would get the backups. No password is asked.
    """
    paramiko = _paramiko()
    home = Path(os.environ.get("HOME", "~")).expanduser() / ".ssh"
    known = paramiko.SSHConfig()
    if (home / "config").is_file():
        known = paramiko.SSHConfig.from_path(str(home / "config"))
    asked = known.lookup(place.host)
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.RejectPolicy())
    named = asked.get("userknownhostsfile", "").split() or [str(home / "known_hosts")]
    for file in ("/etc/ssh/ssh_known_hosts", *named):
        if Path(file).expanduser().is_file():
            client.load_system_host_keys(str(Path(file).expanduser()))
    try:
        client.connect(
            asked["hostname"],
            port=place.port or int(asked.get("port", 22)),
            username=place.user or asked.get("user"),
            key_filename=[str(Path(one).expanduser()) for one in asked.get("identityfile", ())]
            or None,
            timeout=timeout,
            banner_timeout=timeout,
            auth_timeout=timeout,
            channel_timeout=timeout,
        )
    except BaseException:
        client.close()
        raise
    return client


def _pieces(at: int, size: int) -> list[tuple[int, int]]:
    """The next (offset, bytes) to ask for at once: all of a file at once would be in memory."""
    until = min(size, at + 4 * BLOCK)
    return [(begin, min(_PIECE, until - begin)) for begin in range(at, until, _PIECE)]


def _stat(link: Any, path: str) -> Any:
    try:
        return link.stat(path)
    except FileNotFoundError:
        return None


def _broken() -> tuple[type[Exception], ...]:
    return (_paramiko().SSHException, OSError, EOFError)


def _paramiko() -> Any:
    try:
        import paramiko
    except ImportError:
        raise OffsiteFailed(
            "sftp:// needs paramiko, which is not installed.",
            next_commands=("pip install 'deployguard[offsite]'",),
        ) from None
    return paramiko
