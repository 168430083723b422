"""Puts files of a copy into the place of those that are damaged here, one by one; the damaged are kept until then.

A backup keeps its manifest, its pin and its notes. Each file is replaced by one rename, so at no moment is a file
missing that was there; a repair that was cut off is begun anew and does what is left.
"""

import os
import shutil
from collections.abc import Collection
from pathlib import Path

from deployguard.backups import catalogue, sealed
from deployguard.backups.file_swap import NO_LINKS
from deployguard.backups.offsite_base import OffsiteFailed
from deployguard.errors import BackupFailed, UsageError
from deployguard.model import BackupRecord


def damaged(folder: Path, record: BackupRecord, manifest: bytes) -> tuple[str, ...]:
    """The files of the copy ``record`` that are missing or damaged in ``folder``, where the backup is.

    Raises UsageError when none is, OffsiteFailed when another backup is there.
    """
    path = folder / record.folder / sealed.MANIFEST
    found = [
        name
        for name, (size, sha) in record.files.items()
        if not _same(folder / record.folder / name, size, sha)
    ]
    if not path.is_file() or path.read_bytes() != manifest:
        if _readable(path):
            raise OffsiteFailed(
                f"The manifest of {record.id} here is not the copy's; nothing is replaced.",
                state="Nothing was changed. Who is sure that the copy is right moves the folder here away first.",
                next_commands=(f"deployguard backup verify {record.id}",),
            )
        found.append(sealed.MANIFEST)
    if not found:
        raise UsageError(
            f"The backup {record.id} is in {folder} already, and every byte is as sealed.",
            next_commands=(f"deployguard backup verify {record.id}",),
        )
    return tuple(found)


def replace(
    draft: sealed.Draft, folder: Path, record: BackupRecord, names: Collection[str]
) -> None:
    """Put the draft's files in the place of the damaged ones. Raises OffsiteFailed when they do not hold there."""
    home, kept = folder / record.folder, aside(folder / record.folder)
    kept.mkdir(mode=0o700, exist_ok=True)
    sealed.flush(draft.folder)
    for name in sorted(names, key=lambda name: name == sealed.MANIFEST):  # the manifest last
        _keep(home / name, kept / name)
        draft.path(name).replace(home / name)
    sealed.flush(home)
    problems, _ = sealed.check_files(folder, record)
    if problems:
        raise OffsiteFailed(
            f"The backup {record.id} is damaged again: {problems[0]}.",
            state=f"The files of before are kept in {kept}.",
            next_commands=("df -h", "dmesg | tail"),
        )
    found = catalogue.verification(folder, record)
    if found is not None and not found.ok:  # it was of the damaged files
        (home / sealed.VERIFICATION).unlink(missing_ok=True)
    shutil.rmtree(kept, ignore_errors=True)
    sealed.flush(folder)


def aside(folder: Path) -> Path:
    """Where the damaged files of a backup's folder lie until what replaces them is proven."""
    return folder.with_name(f".damaged-{folder.name}")


def _keep(path: Path, kept: Path) -> None:
    """Give a damaged file a second name; what an earlier try has kept is the first that was found, and stays."""
    if not path.exists() or kept.exists():
        return
    try:
        os.link(path, kept)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        path.rename(kept)


def _readable(manifest: Path) -> bool:
    try:
        catalogue.load(manifest)
    except BackupFailed:
        return False
    return True


def _same(path: Path, size: int, sha: str) -> bool:
    try:
        return path.stat().st_size == size and sealed.digest(path) == sha
    except OSError:  # gone, or the disk does not give it any more
        return False
