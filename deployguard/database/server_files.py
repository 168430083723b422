"""Where a PostgreSQL server keeps its files, and what its disk has left, where that is a disk of this machine."""

import shutil
from pathlib import Path
from typing import Final

from deployguard.database.session import Session
from deployguard.errors import EnvironmentUnreachable

_WHERE: Final = """
SELECT current_setting('data_directory', true), floor(extract(epoch FROM pg_postmaster_start_time()))::bigint"""
_START: Final = 2  # the line of postmaster.pid that tells when the server was started
_SECONDS: Final = 5  # … which it notes a moment before it begins to count its own time


def data_directory(session: Session) -> Path | None:
    """Where the server keeps its files, when that is a folder of this machine; None where we cannot know.

    The same path may lead to another server's files here: its postmaster.pid must have the time of this one's start.
    """
    try:
        path, started = session.rows(_WHERE)[0]
        lines = Path(path, "postmaster.pid").read_text().splitlines() if path else []
    except (OSError, EnvironmentUnreachable):  # not here, or not for us to know
        return None
    told = lines[_START].strip() if len(lines) > _START else ""
    ours = told.isdigit() and abs(int(told) - started) <= _SECONDS
    return Path(path) if ours else None


def free(session: Session) -> int | None:
    """Bytes that are free on the disk of the server's files; None where we cannot know."""
    folder = data_directory(session)
    try:
        return shutil.disk_usage(folder).free if folder is not None else None
    except OSError:
        return None
