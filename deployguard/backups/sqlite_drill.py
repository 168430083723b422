"""A restore of a SQLite backup for practice: a copy of its own, compared, asked questions, and timed."""

import shutil
import time
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from deployguard.backups import beside, room, sealed
from deployguard.backups.base import Site
from deployguard.database import same_counts
from deployguard.database.sqlite import SqliteDatabase, count_all, open_file
from deployguard.model import BackupRecord, Drilled, Verification

_PREFIX: Final = ".drill-"


def drill(site: Site, record: BackupRecord, found: Verification) -> Drilled:
    """Restore ``record``, which was just read back, for practice; keep what was found beside it."""
    from deployguard.backups.sqlite import DATA

    if not found.ok:
        result = Drilled(False, site.now(), 0.0, found.evidence[:1])
    else:
        source = site.folder / record.folder / DATA
        room.need(site.folder, source.stat().st_size, "the restored copy")
        began = time.monotonic()
        with TemporaryDirectory(prefix=_PREFIX, dir=site.folder) as folder:
            copy = Path(folder) / DATA
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
