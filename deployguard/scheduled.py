"""Backups from Python, for Celery and other schedulers: what ``deployguard backup create`` and ``prune`` do.

from deployguard.scheduled import back_up, standing

taken = back_up("/srv/shop/deployguard.toml", "production")
taken.record.id, taken.removed
standing("/srv/shop/deployguard.toml", "production").problems     # () is well
"""

import getpass
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path

from deployguard.config import Config, Environment, load
from deployguard.deploy.reporter import Silent
from deployguard.errors import BackupFailed, Busy
from deployguard.formats import Standing
from deployguard.model import BackupRecord, Verification


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was taken and read back.

    ``removed`` are the ids of those that retention let go; ``unpruned`` says why nothing was looked at ("" it was).
    """

    record: BackupRecord
    verification: Verification
    removed: tuple[str, ...] = ()
    unpruned: str = ""


def back_up(
    config: str | PathLike[str],
    environment: str = "",
    *,
    reason: str = "scheduled",
    prune: bool = True,
    by: str = "",
) -> Taken:
    """Take a backup, read it back, and remove what [retention] does not keep; says nothing.

    ``environment`` "" is the default one; ``reason`` is its class. Raises what ``deployguard.errors`` draws:
    BackupFailed (nothing is listed, or it is damaged; nothing was removed), EnvironmentUnreachable or UsageError.
    While a deploy is at work nothing is removed, and ``unpruned`` says so.
    """
    from deployguard.backups import keeping
    from deployguard.deploy.wiring import wire

    settings, chosen = _chosen(config, environment)
    who = by or getpass.getuser()
    world = wire(settings, chosen, reporter=Silent(), by=who)
    try:
        world.backups.preflight()
        record = world.take_backup(reason, "")
        found = world.backups.verify(record)
        if not found.ok:
            raise BackupFailed(f"The backup {record.id} is damaged: {'; '.join(found.evidence)}.")
        if not prune:
            return Taken(record, found, unpruned="it was not asked for")
        try:
            gone = keeping.prune(settings, chosen, world.journal, by=who, now=datetime.now(UTC))
        except Busy as error:
            return Taken(record, found, unpruned=error.message)
    finally:
        world.journal.close()
    return Taken(record, found, tuple(fate.entry.record.id for fate in gone))


def standing(config: str | PathLike[str], environment: str = "") -> Standing:
    """Whether there is a verified backup that is young enough, as ``deployguard backup status`` says it."""
    from deployguard.backups import keeping
    from deployguard.backups.standing import standing as judged

    settings, chosen = _chosen(config, environment)
    now = datetime.now(UTC)
    entries, unreadable = keeping.entries(settings, chosen, now)
    return judged(chosen.name, entries, chosen.retention, now, unreadable)


def _chosen(config: str | PathLike[str], environment: str) -> tuple[Config, Environment]:
    settings = load(Path(config), Path.cwd())
    return settings, settings.environment(environment or None)
