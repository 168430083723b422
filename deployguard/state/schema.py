"""The journal's tables, and the forward-only steps that bring an older state file up to date."""

import os
import sqlite3
from pathlib import Path

from deployguard.state.records import StateError

# Each entry takes the file from version i to i + 1. Entries are never edited after a release, only added.
MIGRATIONS = (
    """
    CREATE TABLE deploys (
        id TEXT PRIMARY KEY,
        environment TEXT NOT NULL,
        kind TEXT NOT NULL,
        started TEXT NOT NULL,
        by TEXT NOT NULL,
        status TEXT NOT NULL,
        digest TEXT NOT NULL DEFAULT '',
        summary TEXT NOT NULL DEFAULT '',
        finished TEXT,
        plan TEXT NOT NULL DEFAULT '{}',
        options TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    CREATE INDEX deploys_by_environment ON deploys (environment, started);
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        deploy TEXT NOT NULL REFERENCES deploys (id),
        at TEXT NOT NULL,
        step TEXT NOT NULL,
        kind TEXT NOT NULL,
        evidence TEXT NOT NULL DEFAULT '{}'
    ) STRICT;
    CREATE INDEX events_by_deploy ON events (deploy, seq);
    CREATE TABLE approvals (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        plan_digest TEXT NOT NULL,
        environment TEXT NOT NULL,
        by TEXT NOT NULL,
        reason TEXT NOT NULL,
        at TEXT NOT NULL,
        expires TEXT
    ) STRICT;
    CREATE INDEX approvals_by_digest ON approvals (plan_digest);
    """,
    """
    ALTER TABLE deploys ADD COLUMN host TEXT NOT NULL DEFAULT '';
    ALTER TABLE events ADD COLUMN uid TEXT NOT NULL DEFAULT '';
    ALTER TABLE approvals ADD COLUMN uid TEXT NOT NULL DEFAULT '';
    CREATE UNIQUE INDEX events_by_uid ON events (uid) WHERE uid <> '';
    CREATE UNIQUE INDEX approvals_by_uid ON approvals (uid) WHERE uid <> '';
    """,
)


def open_state(path: Path) -> sqlite3.Connection:
    """Open (and make, if need be) the state file: 0600 in a folder 0700, every commit on the disk.

    Raises StateError when it cannot be written, is no SQLite file, or was made by a newer deployguard.
    """
    try:
        prepare_folder(path.parent)
        # Made by us first: SQLite would use the umask, and its -wal and -shm files copy these permissions.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise StateError(
            f"The state folder {path.parent} cannot be written: {error.strerror}."
        ) from error
    connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        _upgrade(connection, path)
    except sqlite3.DatabaseError as error:
        connection.close()
        raise StateError(
            f"{path} is not a usable state file: {error}.",
            next_commands=(f"mv {path} {path}.damaged   # history starts anew; backups are kept",),
        ) from error
    except StateError:
        connection.close()
        raise
    return connection


def prepare_folder(folder: Path) -> None:
    """Make the state folder, private to this user and ignored by git."""
    for missing in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        missing.mkdir(mode=0o700, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def _upgrade(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute(
        "BEGIN IMMEDIATE"
    )  # two first runs at once: the second waits and sees it done
    try:
        version = _version(connection, path)
        for script in MIGRATIONS[version:]:
            for statement in filter(str.strip, script.split(";")):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection, path: Path) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StateError(
            f"{path} was written by a newer deployguard (format {version}; this one knows "
            f"{len(MIGRATIONS)}). Install that version again; nothing was read or written."
        )
    return version
