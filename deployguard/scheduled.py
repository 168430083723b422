"""Backups from Python, for Celery and other schedulers: what ``deployguard backup create`` and ``prune`` do.

from deployguard.scheduled import back_up, standing

taken = back_up("/srv/shop/deployguard.toml", "production")
taken.record.id, taken.removed
standing("/srv/shop/deployguard.toml", "production").problems     # () is well
"""

import getpass
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path

from deployguard.config import Config, Environment, backup_url, load, resolve_url
from deployguard.deploy.reporter import Silent
from deployguard.deploy.telling_backups import Teller
from deployguard.deploy.world import World
from deployguard.errors import BackupFailed, Busy, EnvironmentUnreachable, UsageError
from deployguard.formats import Standing
from deployguard.model import BackupRecord, OffsiteCopy, Verification
from deployguard.notify import Notifier
from deployguard.process import Redactor


@dataclass(frozen=True, slots=True)
class Taken:
    """A backup that was taken and read back.

    ``copy`` is where it lies off-site, ``uncopied`` why it does not. ``removed`` are the ids of those that retention
    let go; ``unpruned`` says why not all were looked at ("" they were).
    """

    record: BackupRecord
    verification: Verification
    copy: OffsiteCopy | None = None
    uncopied: str = ""
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
    """Take a backup, read it back, copy it off-site where that is configured, and prune; says nothing.

    ``environment`` "" is the default one; ``reason`` is its class. Raises what ``deployguard.errors`` draws:
    BackupFailed (nothing is listed, it is damaged, or a required copy failed; nothing was removed),
    EnvironmentUnreachable or UsageError. While a deploy is at work nothing is removed, and ``unpruned`` says so.
    """
    settings, chosen = _chosen(config, environment)
    who = by or getpass.getuser()
    teller = Teller(Notifier(chosen.notify, os.environ, _hidden(chosen)), settings, chosen)
    try:
        with teller.telling("backup-failed", unattended=True):
            taken = _taken(settings, chosen, reason, who, prune=prune)
        teller.taken(taken.record, taken.copy)
    finally:
        teller.notifier.wait()  # whom it did not reach is nobody's to hear here
    return taken


def _taken(settings: Config, chosen: Environment, reason: str, who: str, *, prune: bool) -> Taken:
    from deployguard.deploy import offsite
    from deployguard.deploy.telling import settle
    from deployguard.deploy.wiring import wire

    world = wire(settings, chosen, reporter=Silent(), by=who)
    try:
        world.backups.preflight()
        record = world.take_backup(reason, "")
        found = world.backups.verify(record)
        if not found.ok:
            raise BackupFailed(f"The backup {record.id} is damaged: {'; '.join(found.evidence)}.")
        made, uncopied = offsite.copy(world, record)
        removed, unpruned = _pruned(settings, world) if prune else ((), "it was not asked for")
    finally:
        settle(world)
        world.journal.close()
    return Taken(record, found, made, uncopied, removed, unpruned)


def _pruned(settings: Config, world: World) -> tuple[tuple[str, ...], str]:
    """(ids of what was removed here, why not all was looked at): a backup was taken, whatever becomes of old ones."""
    from deployguard.backups import keeping, offsite_keeping

    chosen, journal, now = world.environment, world.journal, datetime.now(UTC)
    removed: tuple[str, ...] = ()
    try:
        gone = keeping.prune(settings, chosen, journal, by=world.by, now=now)
        removed = tuple(fate.entry.record.id for fate in gone)
        if world.offsite is None:
            return removed, ""
        _, stuck = offsite_keeping.prune(
            world.offsite(), settings, chosen, journal, by=world.by, now=now
        )
    except Busy as error:  # the next one prunes
        return removed, error.message
    except (BackupFailed, EnvironmentUnreachable) as error:
        Teller(world.notifier, settings, chosen).failed("prune-failed", error)
        return removed, error.message
    return removed, "; ".join(stuck)


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


def _hidden(environment: Environment) -> Redactor:
    """Hides the passwords of the environment's URLs, as far as these can be read."""
    found: tuple[str, ...] = ()
    with suppress(UsageError):
        found += resolve_url(environment, os.environ).secrets()
        other = backup_url(environment, os.environ)
        found += other.secrets() if other else ()
    return Redactor(found)
