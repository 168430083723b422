"""Put one SQLite file in the place of another: atomic, and the former one is kept.

The live file is first brought to one file (its write-ahead log folded in), which SQLite only does while nobody else
has it open; then, under an exclusive lock, it gets its second name, and the new file takes its first name in one
rename. A crash before the rename leaves the live file as it was, after it the new one: there is no third state.
"""

import errno
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from deployguard.backups import sealed
from deployguard.backups.base import UNTOUCHED, WrittenMeanwhile
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError

PATIENCE: Final = 2.0  # seconds that somebody's lock is waited for
_NEW: Final = ".restoring-"
_NOTE: Final = ".restored.json"  # beside the kept file: which backup took its place
NO_LINKS: Final = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_BESIDE: Final = ("-wal", "-shm", "-journal")


def already(live: Path, kept_as: str, backup: str) -> bool:
    """Whether this very restore was done before. Raises UsageError when the name is taken by something else."""
    if Path(kept_as).name != kept_as or not kept_as:
        raise UsageError(f"{kept_as!r} is not a file name.")
    kept = live.with_name(kept_as)
    if not kept.exists() or (live.exists() and kept.samefile(live)):
        return False
    with suppress(OSError, ValueError, TypeError, KeyError):
        if json.loads(_note(kept).read_bytes())["backup"] == backup:
            return True
    raise UsageError(f"{kept} exists already; choose another name to keep the live database under.")


@contextmanager
def beside(live: Path, source: Path) -> Iterator[Path]:
    """A copy of ``source`` in the live file's folder, on the disk, with the live file's owner and permissions."""
    for dead in live.parent.glob(f".{live.name}{_NEW}*"):
        dead.unlink()
    fresh = live.with_name(f".{live.name}{_NEW}{os.getpid()}")
    try:
        with sealed.open_private(fresh) as target, source.open("rb") as data:
            shutil.copyfileobj(data, target, 1 << 20)
        if live.exists():
            status = live.stat()
            with suppress(PermissionError):
                os.chown(fresh, status.st_uid, status.st_gid)
            fresh.chmod(status.st_mode & 0o7777)
        sealed.flush(fresh)
        yield fresh
    except OSError as error:
        raise BackupFailed(
            f"The backup could not be copied beside {live}: {error.strerror}.", state=UNTOUCHED
        ) from error
    finally:
        fresh.unlink(missing_ok=True)


def swap(
    live: Path,
    fresh: Path,
    kept_as: str,
    backup: str,
    written: Callable[[], int | None] | None = None,
) -> None:
    """Keep ``live`` as ``kept_as``; ``fresh`` becomes ``live``. Raises EnvironmentUnreachable when it is in use.

    ``written`` says how much was written to the live file; anything but 0 up to the lock raises WrittenMeanwhile.
    """
    kept = live.with_name(kept_as)
    if not live.exists():
        for suffix in _BESIDE:  # a log of a file that is gone must not be applied to the new one
            live.with_name(live.name + suffix).unlink(missing_ok=True)
        _replace(fresh, live)
        return
    with closing(_alone(live, written)) as link:
        sealed.write_atomically(_note(kept), json.dumps({"backup": backup}).encode())
        kept.unlink(missing_ok=True)  # ours, of a try that was killed: `already` has looked
        try:
            os.link(live, kept)
        except (
            OSError
        ):  # a file system without hard links; opening the file ourselves would drop our lock
            with closing(sqlite3.connect(kept)) as copy:
                link.backup(copy)
            shutil.copymode(live, kept)
            sealed.flush(kept)
        sealed.flush(live.parent)
        _replace(fresh, live)


def _replace(fresh: Path, live: Path) -> None:
    fresh.replace(live)
    sealed.flush(live.parent)


def _alone(live: Path, written: Callable[[], int | None] | None = None) -> sqlite3.Connection:
    """A connection with an exclusive lock on a file that is complete by itself."""
    users = open_elsewhere(live)
    if users:
        raise _in_use(live, f"process {', '.join(map(str, users))} has it open")
    link = sqlite3.connect(live, timeout=PATIENCE, isolation_level=None)
    try:
        # The file is read for `written` before it is locked: closing it would drop our own lock. What is committed
        # in between changes the data version, which our own folding does not.
        version = link.execute("PRAGMA data_version").fetchone()
        rows = written() if written is not None else 0
        folded = link.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
        # a lock that outlives its transaction: inside of one, the file could not be copied
        link.execute("PRAGMA locking_mode = EXCLUSIVE")
        link.execute("BEGIN EXCLUSIVE")
        link.execute("COMMIT")
        moved = link.execute("PRAGMA data_version").fetchone() != version
    except sqlite3.OperationalError as error:
        link.close()
        raise _in_use(live, str(error)) from None
    if not folded:
        link.close()
        raise _in_use(live, "its write-ahead log is in use")
    if written is not None and (rows != 0 or moved):
        link.close()
        raise WrittenMeanwhile(rows or None)
    return link


def _in_use(live: Path, why: str) -> EnvironmentUnreachable:
    return EnvironmentUnreachable(
        f"{live} cannot be replaced while another process uses it ({why}): what that process writes would be lost."
        " Stop it and try again.",
        state=UNTOUCHED,
        next_commands=(f"fuser -v {live}",),
    )


def open_elsewhere(live: Path) -> tuple[int, ...]:
    """Processes (not ourselves) that have the file open, as far as the system lets us see."""
    wanted, found = live.stat(), set[int]()
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        pid = int(entry.parts[2])
        if pid == os.getpid() or pid in found:
            continue
        with suppress(OSError):
            status = entry.stat()
            if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
                found.add(pid)
    return tuple(sorted(found))


def _note(kept: Path) -> Path:
    return kept.with_name(kept.name + _NOTE)
