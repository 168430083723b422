"""Is there room for it, and is it worth another try: what every store asks before and after."""

import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from deployguard.backups import catalogue
from deployguard.backups.base import Say, Site, TransientFailure, failed
from deployguard.errors import BackupFailed
from deployguard.state import prepare_folder

T = TypeVar("T")
MARGIN = 16 * 1024 * 1024  # bytes that are never planned to be used
GROWTH = (
    1.3  # how much larger than the last one, measured against the database, a backup may become
)


def human(size: float) -> str:
    """Bytes for people: 1.4 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def free(folder: Path) -> int:
    """Bytes that we may still write where ``folder`` is, or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def need(folder: Path, size: int, what: str) -> None:
    """Raises BackupFailed when ``size`` bytes, and a margin, do not fit."""
    there = free(folder)
    if there < size + MARGIN:
        raise failed(
            f"There is not enough room for {what} in {folder}: about {human(size)} are needed and"
            f" {human(MARGIN)} must stay free, but there are only {human(there)}."
        )


def expected(site: Site, database: str, now: int, otherwise: int, growth: float = GROWTH) -> int:
    """Bytes that a backup will take: by the last one's share of its database, else ``otherwise``.

    ``now`` is how large the database is.
    """
    for record in catalogue.listing(
        site.folder, catalogue.id_begin(site.project, site.environment)
    ).records:
        was = record.tools.get("database_bytes", "")
        if record.scope.whole and record.database == database and was.isdigit() and int(was):
            return int(record.size / int(was) * now * growth)
    return otherwise


def writable(folder: Path) -> None:
    """Raises BackupFailed when nothing can be written to the backup folder."""
    try:
        prepare_folder(folder)
        probe = folder / ".probe"
        probe.touch(0o600)
        probe.unlink(missing_ok=True)  # another process may look at the same time
    except OSError as error:
        there = next(one for one in (folder, *folder.parents) if one.exists())
        raise failed(
            f"Backups cannot be written to {folder}: {error.strerror}. It is [backup] directory in deployguard.toml.",
            f"ls -ld {shlex.quote(str(there))}",
        ) from None


def retrying(action: Callable[[], T], site: Site, say: Say) -> T:
    """Do it, and do it again after ``pause`` seconds when the failure was one that passes."""
    tries, pause = max(1, site.config.tries), site.config.pause
    for number in range(1, tries + 1):
        try:
            return action()
        except TransientFailure as error:
            if number == tries:
                tried = f" It was tried {tries} times." if tries > 1 else ""
                raise BackupFailed(
                    error.message + tried, state=error.state, next_commands=error.next_commands
                ) from None
            say(f"{error.message} Trying again in {pause} seconds ({number} of {tries} tries).")
            (site.sleep or time.sleep)(pause)
    raise AssertionError("unreachable: the last try returns or raises")
