"""Which base backups and which archived log are kept: what a kept backup stands upon, or replays, never goes."""

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from deployguard.backups import catalogue, physical_record, sealed
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_record import BaseBackup
from deployguard.backups.retention import Candidate, Judged, Read, judge
from deployguard.config import PhysicalConfig
from deployguard.config.retention import RetentionConfig
from deployguard.errors import BackupFailed
from deployguard.wal import Archive, number_of

_CLASS = "scheduled"  # base backups have one class only, with a rule of its own


@dataclass(frozen=True, slots=True)
class Pruning:
    """What becomes of each base backup, newest first, and the archived files that nothing needs any more."""

    fates: tuple[tuple[BaseBackup, Judged], ...]
    log: tuple[Path, ...]
    log_bytes: int
    problems: tuple[str, ...]

    @property
    def going(self) -> tuple[BaseBackup, ...]:
        return tuple(record for record, judged in self.fates if not judged.keep)


def look(physical: PhysicalBackups, now: datetime) -> Pruning:
    """What may go; nothing is changed. While a manifest cannot be read, nothing may: nobody knows what it needs."""
    bases = physical.listing()
    judged = decide([(one, _read(physical, one)) for one in bases.records], physical.config, now)
    if bases.problems:
        why = ("a manifest cannot be read, so nothing goes",)
        judged = tuple((one, Judged(each.candidate, True, why)) for one, each in judged)
        return Pruning(judged, (), 0, bases.problems)
    going = {one.id for one, each in judged if not each.keep}
    everybody = physical_record.listing(
        physical.folder
    )  # another environment may share the folders
    kept = [one for one in everybody.records if one.id not in going]
    log = () if everybody.problems else unneeded(physical.archive, kept)
    return Pruning(judged, log, sum(path.stat().st_size for path in log), ())


def decide(
    records: Sequence[tuple[BaseBackup, Read]], config: PhysicalConfig, now: datetime
) -> tuple[tuple[BaseBackup, Judged], ...]:
    """By the rule of [physical] keep; a parent of one that stays, stays. Pure."""
    policy = RetentionConfig(scheduled=config.keep)
    needed: dict[str, str] = {}
    known = {one.id: one for one, _ in records}
    while True:
        found = judge(
            [
                Candidate(
                    one.id, _CLASS, one.system, one.created, read, needed=needed.get(one.id, "")
                )
                for one, read in records
            ],
            policy,
            now,
        )
        more = {
            one.parent: f"{one.id}, which stands upon it"
            for one in (known[each.candidate.id] for each in found if each.keep)
            if one.parent in known and one.parent not in needed
        }
        if not more:
            return tuple((known[each.candidate.id], each) for each in found)
        needed |= {parent: why for parent, why in more.items() if parent}


def unneeded(archive: Archive, kept: Sequence[BaseBackup]) -> tuple[Path, ...]:
    """Archived files from before the oldest backup of their cluster that is kept; none while there is no backup.

    Which timeline a segment is of does not matter: the position only grows. Histories are small, and stay.
    """
    ours = [one for one in kept if one.system == archive.system()]
    if not ours:
        return ()
    size = ours[0].segment_bytes
    oldest = min(one.first.number for one in ours)
    return tuple(
        path
        for name, path in sorted(archive.names().items())
        if not name.endswith(".history") and number_of(name, size).number < oldest
    )


def prune(physical: PhysicalBackups, now: datetime) -> Pruning:
    """Remove what may go. Raises Busy while a base backup is taken or restored; then nothing was removed."""
    with sealed.alone(physical.folder):
        found = look(physical, now)
        # those that stand upon others first: after a crash no link of a chain that is listed is missing
        for record in sorted(found.going, key=lambda one: one.created, reverse=True):
            _unlist(physical.folder, record)
        for path in found.log:
            path.unlink(missing_ok=True)
    sealed.sweep(physical.folder)
    return found


def _unlist(folder: Path, record: BaseBackup) -> None:
    aside = folder / f"{sealed.REMOVED}{record.folder}-{secrets.token_hex(2)}"
    try:
        (folder / record.folder).rename(aside)
        sealed.flush(folder)
    except OSError as error:
        raise BackupFailed(
            f"The base backup {record.id} could not be removed: {error.strerror}.",
            state="It is still there, as are those that were to go after it.",
            next_commands=("deployguard backup physical list",),
        ) from error
    shutil.rmtree(aside, ignore_errors=True)


def _read(physical: PhysicalBackups, record: BaseBackup) -> Read:
    found = catalogue.verification(physical.folder, record)
    if found is None:
        return Read.UNREAD
    return Read.VERIFIED if found.ok else Read.DAMAGED
