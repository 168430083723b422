"""Read a SQLite backup back: every page, index and row of it, and what was counted."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from deployguard.backups import sealed
from deployguard.database import same_counts
from deployguard.database.sqlite import count_all
from deployguard.model import BackupRecord

DATA: Final = "database.sqlite3"


def check_contents(folder: Path, record: BackupRecord) -> tuple[list[str], list[str]]:
    """(problems, evidence) from opening the copy and reading every page and row of it."""
    facts = sealed.read_json(folder / sealed.EVIDENCE)
    problems, evidence = list[str](), list[str]()
    if facts.get("counts") != dict(record.counts) or facts.get("revision") != [*record.revision]:
        problems.append("the manifest's counts or revision are not those that were taken")
    try:
        with closing(immutable(folder / DATA)) as link:
            said = integrity(link)
            if said:
                problems.append(f"integrity_check: {said}")
            broken = len(link.execute("PRAGMA foreign_key_check").fetchall())
            if broken != facts.get("foreign_key_violations"):
                problems.append(f"foreign_key_check: {broken} rows without their parent")
            problems += same_counts(record.counts, count_all(link))
    except sqlite3.Error as error:
        problems.append(f"it cannot be read as a database: {error}")
        return problems, evidence
    if not problems:
        evidence.append("integrity_check and foreign_key_check found nothing new")
        evidence.append(f"{sum(record.counts.values())} rows in {len(record.counts)} tables")
    return problems, evidence


def integrity(link: sqlite3.Connection) -> str:
    """What SQLite's own look at every page and index finds first; "" is nothing."""
    said = [str(row[0]) for row in link.execute("PRAGMA integrity_check(5)")]
    return "" if said == ["ok"] else (said or ["it said nothing"])[0]


def immutable(path: Path) -> sqlite3.Connection:
    """A connection that takes no lock and leaves no file beside: for files that nobody else uses."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, isolation_level=None
    )
