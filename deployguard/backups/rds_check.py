"""Whether what a restored database holds is what was counted beside its snapshot; pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployguard.backups.rds_evidence import Beside
from deployguard.database import same_counts
from deployguard.model import BackupRecord, Json


@dataclass(frozen=True, slots=True)
class Said:
    """Half a sentence on what is wrong, or "", and one on what was found."""

    problem: str
    evidence: str = ""


def check_rows(record: BackupRecord, taken: Mapping[str, Json], found: Beside) -> Said:
    """Compare with what was sealed. Where somebody wrote during the snapshot, only tables and revision must agree."""
    if found.why:
        return Said(f"it could not be read, as the live one could: {found.why.rstrip('.')}")
    if tuple(found.revision) != tuple(record.revision):
        return Said(
            f"its revision is {_listed(found.revision)}, {_listed(record.revision)} was backed up"
        )
    different = same_counts(record.counts, found.counts)
    exact = taken.get("rows_written_until_available") == 0
    if different and exact:
        return Said("; ".join(different[:5]))
    if missing := sorted({*record.counts} ^ {*found.counts}):
        return Said(f"its tables are not those that were counted: {', '.join(missing[:5])}")
    rows, tables = sum(found.counts.values()), len(found.counts)
    how = (
        "as counted"
        if not different
        else "not all as counted beside, where somebody wrote meanwhile"
    )
    return Said("", f"the new one answers: {rows} rows in {tables} tables, {how}")


def _listed(revisions: tuple[str, ...]) -> str:
    return ", ".join(revisions) or "no revision"
