"""Is there room on the server for a second database beside the live one? Told where the server's disk is ours."""

from typing import Final

from deployguard.backups import room
from deployguard.backups.base import UNTOUCHED
from deployguard.database import server_files
from deployguard.database.swap import Maintenance
from deployguard.errors import BackupFailed
from deployguard.model import BackupRecord

GROWTH: Final = 1.1  # a restored database is no larger than its source; the rest is write-ahead log


def look(maintenance: Maintenance, record: BackupRecord) -> None:
    """Raises BackupFailed when the restored database does not fit on the server's disk."""
    size = record.tools.get("database_bytes", "")
    folder = server_files.data_directory(maintenance.session)
    if folder is None or not size.isdigit():
        return
    needed, there = int(int(size) * GROWTH) + room.MARGIN, room.free(folder)
    if there < needed:
        raise BackupFailed(
            "There is not enough room on the server for a restore: until the swap the database is there twice."
            f" About {room.human(needed)} are needed in {folder}, but there are only {room.human(there)}.",
            state=UNTOUCHED,
        )
