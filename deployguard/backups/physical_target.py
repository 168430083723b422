"""Where a restore goes back to: the base backup to begin with, whether the archive gets there, and whether it did."""

from collections.abc import Callable
from datetime import datetime

from deployguard.backups import catalogue, physical_marks
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_record import LIST, BaseBackup
from deployguard.database.recovery import NotReached, Reached, Target
from deployguard.errors import BackupFailed, UsageError
from deployguard.wal import lsn, number_of, reach


def choose(physical: PhysicalBackups, wanted: str, target: Target) -> BaseBackup:
    """The base backup to begin with: ``latest`` is the newest verified one from which the target lies ahead.

    Raises UsageError for one that was only finished after the target.
    """
    bases = physical.listing()
    limit = _limit(physical, target)
    if wanted != "latest":
        record = bases.find(wanted)
        if not limit(record):
            raise UsageError(
                f"{record.id} was finished at {record.finished.isoformat()}, after {target.value}: its replay begins"
                " too late. Take an older one.",
                next_commands=LIST,
            )
        return record
    found = [one for one in bases.records if _verified(physical, one) and limit(one)]
    if found:
        return found[0]
    before = "" if target.kind in ("end", "consistent") else f" of {target.value} or before"
    raise UsageError(f"There is no verified base backup{before}.", next_commands=LIST)


def _limit(physical: PhysicalBackups, target: Target) -> Callable[[BaseBackup], bool]:
    if target.kind == "time":
        moment = datetime.fromisoformat(target.value)
        return lambda one: one.finished <= moment
    mark = physical_marks.known(physical).get(target.value) if target.kind == "name" else None
    if mark is None:
        return lambda _: True
    return lambda one: one.system == mark.system and lsn(one.stop) <= lsn(mark.lsn)


def _verified(physical: PhysicalBackups, record: BaseBackup) -> bool:
    found = catalogue.verification(physical.folder, record)
    return found is not None and found.ok


def within_reach(physical: PhysicalBackups, record: BaseBackup, target: Target) -> None:
    """Raises BackupFailed at once where the end is asked for and the archive has a gap on the way to it."""
    archive = physical.archive
    if target.kind == "consistent":
        return
    if archive.system() not in ("", record.system):
        raise UsageError(
            f"{archive.folder} is the archive of another cluster: {archive.system()}, and the backup is of"
            f" {record.system}."
        )
    if target.kind == "end":
        found = reach(archive.names(), archive.histories(), record.first, record.segment_bytes)
        if found.missing:
            raise BackupFailed(
                f"The archive lacks {found.missing[0]}, so its end cannot be reached from {record.id}.",
                state="Nothing was restored. --to takes a time before that, --consistent the backup alone.",
                next_commands=("deployguard backup physical check",),
            )
        if not found.last:  # where the archive is not mounted, its end seems to be here
            raise BackupFailed(
                f"The archive has nothing from {record.id} on in {archive.folder}: is it mounted?",
                state="Nothing was restored. --consistent takes the backup alone.",
                next_commands=("deployguard backup physical check",),
            )


def ended_well(
    physical: PhysicalBackups, record: BaseBackup, target: Target, reached: Reached
) -> None:
    """Raises NotReached where a server took a failure of its restore_command for the end of the log."""
    archive, size = physical.archive, record.segment_bytes
    last = reach(archive.names(), archive.histories(), record.first, size).last
    if target.kind == "end" and last and lsn(reached.lsn) <= number_of(last, size).number * size:
        raise NotReached(f"the replay ended at {reached.lsn}, before {last}, which is archived")


def missed(physical: PhysicalBackups, record: BaseBackup, target: Target, said: str) -> str:
    """Says why the target was not reached, with what the archive lacks for it."""
    archive = physical.archive
    found = reach(archive.names(), archive.histories(), record.first, record.segment_bytes)
    wanted = {"time": "time ", "name": "restore point "}.get(target.kind, "")
    text = f"{wanted}{target.value or target.kind}"
    lacking = (
        f" The archive lacks {', '.join(found.missing[:3])}."
        if found.missing
        else f" The archive ends with {found.last or 'nothing for this backup'}."
    )
    return f"The {text} was not reached from {record.id}: {said.rstrip('.')}.{lacking}"
