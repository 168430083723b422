"""Is there room on the server for a second database beside the live one? Told where the server's disk is ours."""

from pathlib import Path
from typing import Final

from deployguard.backups import room
from deployguard.backups.base import UNTOUCHED
from deployguard.database.swap import Maintenance
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.model import BackupRecord

_WHERE: Final = """
SELECT current_setting('data_directory', true), floor(extract(epoch FROM pg_postmaster_start_time()))::bigint"""
_START: Final = 2  # the line of postmaster.pid that tells when the server was started
_SECONDS: Final = 5  # … which it notes a moment before it begins to count its own time
GROWTH: Final = 1.1  # a restored database is no larger than its source; the rest is write-ahead log


def look(maintenance: Maintenance, record: BackupRecord) -> None:
    """Raises BackupFailed when the restored database does not fit on the server's disk."""
    size = record.tools.get("database_bytes", "")
    folder = data_directory(maintenance)
    if folder is None or not size.isdigit():
        return
    needed, there = int(int(size) * GROWTH) + room.MARGIN, room.free(folder)
    if there < needed:
        raise BackupFailed(
            "There is not enough room on the server for a restore: until the swap the database is there twice."
            f" About {room.human(needed)} are needed in {folder}, but there are only {room.human(there)}.",
            state=UNTOUCHED,
        )


def data_directory(maintenance: Maintenance) -> Path | None:
    """Where the server keeps its files, when that is a folder of this machine; None where we cannot know.

    The same path may lead to another server's files here: its postmaster.pid must have the time of this one's start.
    """
    try:
        path, started = maintenance.session.rows(_WHERE)[0]
        lines = Path(path, "postmaster.pid").read_text().splitlines() if path else []
    except (OSError, EnvironmentUnreachable):  # not here, or not for us to know
        return None
    told = lines[_START].strip() if len(lines) > _START else ""
    ours = told.isdigit() and abs(int(told) - started) <= _SECONDS
    return Path(path) if ours else None
