"""A restore of a SQLite backup for practice: a copy of its own, compared, asked questions, and timed."""

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TypeAlias

from deployguard.backups import beside, opening, room, sealed
from deployguard.backups.base import Site
from deployguard.backups.sqlite_check import DATA
from deployguard.database import same_counts
from deployguard.database.sqlite import SqliteDatabase, count_all, open_file
from deployguard.model import BackupRecord, Drilled, Verification

AsFile: TypeAlias = Callable[[BackupRecord], AbstractContextManager[BackupRecord]]


def drill(site: Site, record: BackupRecord, found: Verification, file: AsFile) -> Drilled:
    """Restore ``record``, which was just read back, for practice; keep what was found beside it."""
    if not found.ok:
        result = Drilled(False, site.now(), 0.0, found.evidence[:1])
    else:
        began = time.monotonic()
        with (
            opening.opened(site, record) as opened,
            file(opened) as there,
            sealed.aside(site.folder, record.id) as folder,  # swept, if this is killed
        ):
            source, copy = site.folder / there.folder / DATA, folder / DATA
            room.need(site.folder, source.stat().st_size, "the restored copy")
            with sealed.open_private(copy) as target, source.open("rb") as data:
                shutil.copyfileobj(data, target, 1 << 20)
            problems, evidence = _looked_at(site, record, copy)
        seconds = time.monotonic() - began
        measured = f"restored in {seconds:.1f} s; {beside.against(site.drill.rto, seconds)}"
        said = (*problems, measured, *evidence)
        result = Drilled(not problems, site.now(), seconds, said)
    beside.keep_drill(site.folder, record, result)
    return result


def _looked_at(site: Site, record: BackupRecord, copy: Path) -> tuple[list[str], list[str]]:
    """(problems, evidence) of a restored file."""
    with closing(open_file(copy)) as link:
        counts = count_all(link)
    problems = [*same_counts(record.counts, counts)]
    evidence = [f"{sum(counts.values())} rows in {len(counts)} tables, as they were backed up"]
    with SqliteDatabase(copy) as database:
        revision = database.current_revisions(site.version_table)
        if revision != record.revision:
            problems.append(f"its revision is {revision}, {record.revision} was backed up")
        for statement in site.drill.verify_sql:
            ok, detail = database.check(statement)
            (evidence if ok else problems).append(f"{statement}: {detail}")
    return problems, evidence
