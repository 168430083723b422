"""age: files that only whoever holds the identity can read. The one place that imports pyrage.

Everything is streamed, 64 KiB at a time. A secret key is never in an error, a repr or a file.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final  # pyrage has no types

from deployguard.backups import sealed
from deployguard.backups.streams import Broken
from deployguard.errors import EnvironmentUnreachable, UsageError

SUFFIX: Final = ".age"
_MISSING: Final = "Encrypted backups need pyrage, which is not installed here."
_SSH: Final = "-----BEGIN "


class NotForUs(Exception):
    """None of the identities opens the file: it is encrypted to others, or its header is damaged."""


class _Enough(Exception):
    """The first bytes came out, which was the question."""


@dataclass(frozen=True, slots=True)
class Identities:
    """Secret keys that open files."""

    keys: tuple[Any, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sealing:
    """Encrypts the files of one backup to its recipients, and to an identity that is nowhere but here.

    With that one they can be read back as they are written, on a machine that has none of the recipients' identities.
    """

    recipients: tuple[Any, ...] = field(repr=False)
    own: Identities = field(repr=False)

    def close(self, path: Path) -> Path:
        """Put the encrypted file, whose name ends with .age, in the place of the file."""
        target = path.with_name(path.name + SUFFIX)
        with path.open("rb") as source, sealed.open_private(target) as file:
            encrypt(source, file, self.recipients)
        path.unlink()
        return target


def sealing(recipients: Sequence[str]) -> Sealing:
    """For one backup. Raises EnvironmentUnreachable without pyrage, UsageError for what is no recipient."""
    pyrage = _pyrage()
    own = pyrage.x25519.Identity.generate()
    return Sealing((*map(_recipient, recipients), own.to_public()), Identities((own,)))


def identities(text: str, where: str) -> Identities:
    """The secret keys in a text: lines of age-keygen, or one private key of OpenSSH. ``where`` names it in errors."""
    pyrage = _pyrage()
    keys: list[Any] = []
    try:
        if text.lstrip().startswith(_SSH):
            keys.append(pyrage.ssh.Identity.from_buffer(text.strip().encode() + b"\n"))
        else:
            lines = [line.strip() for line in text.splitlines()]
            keys += [pyrage.x25519.Identity.from_str(line) for line in lines if _telling(line)]
    except pyrage.IdentityError as error:
        # What it says of an OpenSSH key is worth knowing; nothing of the key is in it.
        locked = "; it has a passphrase" if "decrypted first" in str(error) else ""
        raise UsageError(
            f"{where[:1].upper()}{where[1:]} holds no identity that can be read{locked}."
        ) from None
    if not keys:
        raise UsageError(
            f"{where[:1].upper()}{where[1:]} holds no identity: no line of it begins with AGE-SECRET-KEY-1."
        )
    return Identities(tuple(keys))


def _telling(line: str) -> bool:
    return bool(line) and not line.startswith("#")


def encrypt(source: BinaryIO, target: BinaryIO, recipients: Sequence[Any]) -> None:
    """Encrypt a stream. Raises OSError as the disk does."""
    pyrage, sink = _pyrage(), _Sink(target.write)
    try:
        pyrage.encrypt_io(source, sink, recipients)
    except pyrage.EncryptError as error:
        raise sink.error or OSError(None, str(error)) from None


def decrypt(path: Path, target: BinaryIO, with_: Identities) -> None:
    """Decrypt a file to its end. Raises NotForUs, streams.Broken, or OSError as the disk does."""
    _decrypt(path, target.write, with_)


def opens(path: Path, with_: Identities) -> bool:
    """Whether an identity opens the file; only its beginning is read. Raises streams.Broken or OSError."""
    try:
        with suppress(_Enough):
            _decrypt(path, _stop, with_)
    except NotForUs:
        return False
    return True


def fits(recipients: Sequence[str], with_: Identities) -> bool:
    """Whether what is encrypted to the recipients can be opened with an identity; tried in memory."""
    pyrage = _pyrage()
    locked = pyrage.encrypt(b"deployguard", [_recipient(each) for each in recipients])
    try:
        return bool(pyrage.decrypt(locked, with_.keys) == b"deployguard")
    except pyrage.DecryptError:
        return False


def problem(path: Path) -> str:
    """Why a file is no whole file of age, as far as can be told without an identity; "" when nothing is.

    The header's end, and the length of the last piece: the pieces before it are of 64 KiB and a tag of 16 bytes.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.readline(64) != b"age-encryption.org/v1\n":
            return f"{path.name} is no file of age"
        while (line := file.readline(1 << 16)) and not line.startswith(b"--- "):
            continue
        left = size - file.tell() - _NONCE
    if not line.endswith(b"\n") or left < _TAG:
        return f"{path.name} is not whole: it ends in its header"
    rest = left % (_PIECE + _TAG)
    if left != _TAG and 0 < rest <= _TAG:
        return f"{path.name} is not whole: it ends in the middle"
    return ""


_NONCE: Final = 16  # bytes behind the header
_TAG: Final = 16  # bytes behind each piece
_PIECE: Final = 1 << 16


class _Sink:
    """What pyrage writes to. It turns the errors of a file into texts of its own; here they are kept."""

    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self._write = write
        self.error: OSError | None = None

    def write(self, data: bytes) -> int:
        try:
            self._write(data)
        except OSError as error:
            self.error = error
            raise
        return len(data)

    def flush(self) -> None:
        """The file is flushed by whoever closes it."""


def _decrypt(path: Path, write: Callable[[bytes], Any], with_: Identities) -> None:
    pyrage, sink = _pyrage(), _Sink(write)
    try:
        with path.open("rb") as source:
            pyrage.decrypt_io(source, sink, with_.keys)
    except pyrage.DecryptError as error:
        if "No matching keys" in str(error):
            raise NotForUs(path.name) from None
        raise Broken(f"it cannot be decrypted ({error})") from None
    except OSError as error:
        if sink.error is not None or error.errno is not None:
            raise
        raise Broken(f"it cannot be decrypted ({error})") from None


def _stop(data: bytes) -> None:  # noqa: ARG001 - takes what a file's write takes
    raise _Enough


def _recipient(text: str) -> Any:
    pyrage = _pyrage()
    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError as error:
        raise UsageError(f"[backup] encrypt_to: {text[:20]}… is no recipient: {error}.") from None


def _pyrage() -> Any:
    try:
        import pyrage
    except ImportError:
        raise EnvironmentUnreachable(
            _MISSING, next_commands=("pip install 'deployguard[encrypt]'",)
        ) from None
    return pyrage
