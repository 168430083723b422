"""Encrypted backups: sealed only once they were read back, and opened in a folder that is gone afterwards.

Whoever reads a backup is given the record of an open one: the same backup, in the plain, in a folder of its own
beside the others. A backup that is not encrypted is open as it lies.
"""

import shutil
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

from deployguard.backups import age, room, sealed
from deployguard.backups.base import UNTOUCHED, Site, Unreadable, failed
from deployguard.backups.streams import Broken
from deployguard.errors import UsageError
from deployguard.model import BackupRecord

Look: TypeAlias = Callable[[BackupRecord], tuple[list[str], list[str]]]
FORMAT: Final = 3  # of the manifest: earlier versions cannot read what is encrypted
_AS_SEALED: Final = (
    "these are the bytes that were decrypted and read completely when the backup was sealed"
)


def sealing(site: Site) -> age.Sealing | None:
    """What encrypts a backup that is taken now; None where none is to be."""
    recipients = site.config.encrypt_to
    return age.sealing(recipients) if recipients else None


def encrypted(record: BackupRecord, key: age.Sealing | None) -> BackupRecord:
    """The record of a backup that ``key`` encrypts: how many can open it, never who."""
    if key is None:
        return record
    return replace(record, recipients=len(key.recipients) - 1, format=FORMAT)


def prove(
    site: Site, draft: sealed.Draft, record: BackupRecord, key: age.Sealing | None, look: Look
) -> None:
    """Read an encrypted draft back, every byte of it as it will be sealed. Raises BackupFailed."""
    if key is None:
        return
    site.say("decrypting and reading back what was encrypted")
    written = replace(record, id=draft.id, folder=draft.folder.name, files=dict(draft.files))
    try:
        with opened(site, written, key.own) as there:
            problems, _ = look(there)
    except Unreadable as error:
        problems = [error.message.rstrip(".")]
    if problems:
        raise failed(f"The encrypted backup could not be read back: {problems[0]}.")


def read(site: Site, record: BackupRecord, look: Look) -> tuple[list[str], list[str]]:
    """(problems, evidence) of a backup whose files are as sealed: what ``look`` finds in the open one.

    Without an identity only the frames of the encrypted files are looked at, and that is said. Raises UsageError for
    an identity that is not of this backup.
    """
    if not record.recipients:
        return look(record)
    folder = site.folder / record.folder
    problems = [said for name in _locked(record) if (said := age.problem(folder / name))]
    if problems:
        return problems, []
    key = identities(site)
    if key is None:
        return [], [f"its contents were not read: that needs {wanted(site)}", _AS_SEALED]
    try:
        with opened(site, record, key) as there:
            problems, evidence = look(there)
    except Unreadable as error:
        return [error.message.rstrip(".")], []
    return problems, [f"decrypted with {wanted(site)}", *evidence]


@contextmanager
def opened(
    site: Site, record: BackupRecord, key: age.Identities | None = None
) -> Iterator[BackupRecord]:
    """The backup in the plain: its record, whose folder is gone after the block. ``key`` None: the site's identity.

    Raises UsageError without an identity that opens it, Unreadable when it is damaged, BackupFailed without room.
    """
    if not record.recipients:
        yield record
        return
    key = key or _needed(site, record)
    room.need(site.folder, record.size, "the decrypted backup")
    with sealed.aside(site.folder, record.id) as folder:
        names = list(record.files)
        with sealed.turned_clear(site.folder), ThreadPoolExecutor(sealed.READERS) as pool:
            plain = list(pool.map(lambda name: _open(site, record, name, folder, key), names))
        files = {
            name: (path.stat().st_size, "")
            for name, path in zip(plain, map(folder.joinpath, plain), strict=True)
        }
        yield replace(record, folder=folder.name, files=files, recipients=0)


def _open(site: Site, record: BackupRecord, name: str, folder: Path, key: age.Identities) -> str:
    """Decrypt one file into the folder, or copy the one that is not encrypted; its plain name."""
    source, plain = site.folder / record.folder / name, name.removesuffix(age.SUFFIX)
    with sealed.open_private(folder / plain) as target:
        if plain == name:
            with source.open("rb") as file:
                shutil.copyfileobj(file, target)
            return plain
        try:
            age.decrypt(source, target, key)
        except age.NotForUs:
            raise _stranger(site, record) from None
        except Broken as error:
            raise Unreadable(
                f"{name} of backup {record.id} is damaged: {error}.",
                state=UNTOUCHED,
                next_commands=("deployguard backup list",),
            ) from None
    return plain


def openable(site: Site, record: BackupRecord | None = None) -> None:
    """Raises UsageError when this machine cannot open ``record``, or (None) what it encrypts from now on."""
    config = site.config
    if record is None:
        if config.encrypt_to and not config.restore_by_hand:
            key = identities(site)
            if key is None:
                raise _missing(site, "What this deploy backs up")
            if not age.fits(config.encrypt_to, key):
                raise UsageError(
                    f"The identity in {_place(site)} opens nothing that is encrypted to [backup] encrypt_to."
                )
    elif record.recipients:
        key = _needed(site, record)
        name = min(_locked(record), key=lambda each: record.files[each][0])
        try:
            if not age.opens(site.folder / record.folder / name, key):
                raise _stranger(site, record)
        except (Broken, OSError) as error:
            raise Unreadable(f"{name} of backup {record.id} is damaged: {error}.") from None


def identities(site: Site) -> age.Identities | None:
    """The identity that the environment holds; None where it holds none. Raises UsageError for a bad one."""
    config = site.config
    if config.identity_env:
        return age.identities(site.identity, _place(site)) if site.identity else None
    named = site.environ.get(config.identity_file_env) if config.identity_file_env else None
    if not named:
        return None
    path = site.directory / named
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"The identity in {_place(site)}, {path}, is no file.")
        if status.st_mode & 0o077:
            raise UsageError(
                f"The identity in {_place(site)}, {path}, can be read by others than its owner, so it is not used.",
                next_commands=(f"chmod 600 {path}",),
            )
        text = path.read_text(errors="replace")
    except OSError as error:
        raise UsageError(
            f"The identity in {_place(site)}, {path}, cannot be read: {error.strerror}."
        ) from None
    return age.identities(text, f"{_place(site)}, {path},")


def wanted(site: Site) -> str:
    """In words, the identity that opens what this environment encrypts."""
    if site.config.identity_env or site.config.identity_file_env:
        return f"the identity in {_place(site)}"
    return "an identity, whose variable [backup] identity_env or identity_file_env names"


def _place(site: Site) -> str:
    if site.config.identity_env:
        return f"${site.config.identity_env}"
    return f"the file that ${site.config.identity_file_env} names"


def _needed(site: Site, record: BackupRecord) -> age.Identities:
    key = identities(site)
    if key is None:
        raise _missing(site, f"Backup {record.id}")
    return key


def _missing(site: Site, what: str) -> UsageError:
    name = site.config.identity_env or site.config.identity_file_env
    return UsageError(
        f"{what} is encrypted, and this machine cannot open it: that needs {wanted(site)}"
        + (", which is not set." if name else "."),
        state=UNTOUCHED,
        next_commands=(f"export {name}=…",) if name else (),
    )


def _stranger(site: Site, record: BackupRecord) -> UsageError:
    return UsageError(
        f"The identity in {_place(site)} does not open backup {record.id}: it is of none of its"
        f" {record.recipients} recipient(s).",
        state=UNTOUCHED,
    )


def _locked(record: BackupRecord) -> list[str]:
    return [name for name in record.files if name.endswith(age.SUFFIX)]
