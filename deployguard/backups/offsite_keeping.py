"""Which off-site copies are kept, by the same rules as the backups here, and the removal of the others."""

from collections.abc import Collection
from datetime import datetime

from deployguard.backups import beside, catalogue, keeping
from deployguard.backups.offsite import Offsite
from deployguard.backups.offsite_base import OffsiteFailed
from deployguard.backups.retention import judge
from deployguard.config import Config, Environment
from deployguard.formats import BackupEntry, Fate
from deployguard.model import BackupRecord, Verification
from deployguard.state import DeployLock, Journal

COMPARED = "a complete copy, compared with its manifest when it was made"


def look(there: Offsite, environment: Environment, journal: Journal, now: datetime) -> keeping.Look:
    """What becomes of each complete copy. Raises OffsiteFailed, EnvironmentUnreachable or StateError.

    Where the backup is still here, what is known of it counts for its copy: its pin, and how it was read back.
    """
    copies = there.listing()
    here = {one.id: one for one in catalogue.listing(there.folder).records}
    entries = [_entry(there, here.get(record.id), record, now) for record in copies.records]
    needed = keeping.needs(journal, environment.name, copies.records)
    judged = judge(
        [keeping.candidate(one, needed.get(one.record.id, "")) for one in entries],
        environment.retention,
        now,
    )
    by_id = {one.candidate.id: one for one in judged}
    fates = tuple(
        Fate(one, by_id[one.record.id].keep, by_id[one.record.id].reasons) for one in entries
    )
    return keeping.Look(there.folder, fates, copies.problems)


def _entry(
    there: Offsite, here: BackupRecord | None, record: BackupRecord, now: datetime
) -> BackupEntry:
    age = now - record.created
    if here is None:
        return BackupEntry(record, Verification(ok=True, evidence=(COMPARED,), at=now), age=age)
    # Not by a glance at the files here: the copy may outlive them, and that is what it is for.
    found = catalogue.verification(there.folder, here)
    pinned, drilled = beside.pinned(there.folder, here), beside.drilled(there.folder, here)
    return BackupEntry(record, found, drilled, pinned, age)


def prune(
    there: Offsite,
    config: Config,
    environment: Environment,
    journal: Journal,
    *,
    by: str,
    now: datetime,
    named: Collection[str] = (),
) -> tuple[tuple[Fate, ...], tuple[str, ...]]:
    """Delete the copies that the policy does not keep, or the ``named`` ones; (deleted, what could not be).

    Raises Busy while a deploy is at work, UsageError for a named one that must stay; then nothing was deleted.
    """
    with DeployLock(config.state_directory, environment.name).hold("prune copies", by):
        seen = look(there, environment, journal, now)
        going = (
            keeping.chosen(seen, named)
            if named
            else tuple(fate for fate in seen.fates if not fate.keep)
        )
    deleted, problems = list[Fate](), list[str]()
    for fate in going:
        try:
            there.delete(fate.entry.record.id)
        except OffsiteFailed as error:  # Object Lock, or no right to
            problems.append(error.message)
        else:
            deleted.append(fate)
    return tuple(deleted), tuple(problems)
