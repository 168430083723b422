"""Looks at the backups of an environment, says what becomes of each, and removes what may go.

A backup that goes is renamed out of the catalogue first and deleted then: a crash in between leaves a folder that the
next sweep removes, never half a backup that is listed.
"""

import secrets
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

from deployguard.backups import beside, catalogue, offsite_notes, sealed
from deployguard.backups.retention import NEWEST, Candidate, Read, judge
from deployguard.config import Config, DatabaseUrl, Environment
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from deployguard.formats import BackupEntry, DiskUse, Fate
from deployguard.model import BackupRecord, Json, Verification
from deployguard.state import Deploy, DeployLock, Journal

_After: TypeAlias = Callable[[], None]
_LARGEST: Final = 5  # shown by name
_HERE: Final = ("sqlite", "postgresql")  # the stores whose backups are wholly in their folder
BY_HAND: Final = "removed by hand"
_UNTOUCHABLE: Final = (NEWEST, "pinned: ", "needed by ")


@dataclass(frozen=True, slots=True)
class Look:
    """The backups of an environment, newest first; sentences on manifests that could not be read."""

    folder: Path
    fates: tuple[Fate, ...]
    problems: tuple[str, ...]


def folder_of(config: Config, environment: Environment) -> Path:
    """Where the backups of an environment lie."""
    return (config.directory / environment.backup.directory).resolve()


def ours(config: Config, environment: Environment) -> str:
    """How the ids of this project's backups of the environment begin; others may lie in the same folder."""
    return catalogue.id_begin(config.project.name, environment.name)


def look(config: Config, environment: Environment, journal: Journal, now: datetime) -> Look:
    """What becomes of each backup of the environment; no database is asked. Raises StateError or UsageError."""
    folder = folder_of(config, environment)
    listing = catalogue.listing(folder, ours(config, environment))
    needed = needs(journal, environment.name, listing.records, _removable(environment)) | {
        record.id: f"its snapshot, which lies in {where}: prune does not remove that"
        for record in listing.records
        if (where := record.tools.get("region")) and where != (environment.rds.region or where)
    }
    entries = [entry(folder, record, now) for record in listing.records]
    judged = judge(
        [candidate(one, needed.get(one.record.id, "")) for one in entries],
        environment.retention,
        now,
    )
    by_id = {one.candidate.id: one for one in judged}
    fates = tuple(
        Fate(one, by_id[one.record.id].keep, by_id[one.record.id].reasons) for one in entries
    )
    return Look(folder, fates, listing.problems)


def entries(
    config: Config, environment: Environment, now: datetime
) -> tuple[tuple[BackupEntry, ...], tuple[str, ...]]:
    """The backups of an environment, newest first, and sentences on manifests that could not be read."""
    folder = folder_of(config, environment)
    listing = catalogue.listing(folder, ours(config, environment))
    return tuple(entry(folder, record, now) for record in listing.records), listing.problems


def entry(folder: Path, record: BackupRecord, now: datetime) -> BackupEntry:
    """One backup with everything that is known of it."""
    return BackupEntry(
        record,
        checked(folder, record),
        beside.drilled(folder, record),
        beside.pinned(folder, record),
        now - record.created,
        offsite_notes.copies(folder, record),
    )


def candidate(one: BackupEntry, needed: str) -> Candidate:
    """What retention must know of a backup; ``needed`` says what needs it, "" is nothing."""
    record, pin = one.record, one.pin
    return Candidate(
        id=record.id,
        reason=record.reason,
        # a part of a database is compared with the same parts only
        of=f"{record.environment} {record.store} {record.database} {record.scope}",
        created=record.created,
        read=_read(one.verification),
        pinned=pin.reason or "no reason was given" if pin else "",
        needed=needed,
    )


def checked(folder: Path, record: BackupRecord) -> Verification | None:
    """The last verification, unless a glance shows that the files are not what was read."""
    kept = catalogue.verification(folder, record)
    lost = beside.missing(folder, record)
    return Verification(ok=False, evidence=lost, at=record.created) if lost else kept


def _read(verification: Verification | None) -> Read:
    if verification is None:
        return Read.UNREAD
    return Read.VERIFIED if verification.ok else Read.DAMAGED


def _removable(environment: Environment) -> tuple[str, ...]:
    """The stores whose backups can be removed wholly: snapshots only where AWS is configured."""
    return (*_HERE, "rds") if environment.backup.store == "rds" else _HERE


def needs(
    journal: Journal,
    environment: str,
    records: Sequence[BackupRecord],
    removable: Collection[str] = _HERE,
) -> dict[str, str]:
    """Backup → what needs it: an unfinished run that took it, was told of it or has written it down."""
    needed = {
        record.id: f"what it describes, which lies elsewhere ({record.store}): prune does not remove that"
        for record in records
        if record.store not in removable
    }
    for run in journal.all_unfinished(environment):
        told = "\n".join(_told(run, journal))
        for record in records:
            if record.id in told or (record.deploy is not None and record.deploy in told):
                needed.setdefault(record.id, f"{run.kind} {run.id}, which is unfinished")
    return needed


def _told(run: Deploy, journal: Journal) -> Iterator[str]:
    yield run.id
    yield from _texts(dict(run.options))
    for event in journal.events(run.id):
        yield from _texts(dict(event.evidence))


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def prune(
    config: Config,
    environment: Environment,
    journal: Journal,
    *,
    by: str,
    now: datetime,
    named: Collection[str] = (),
) -> tuple[Fate, ...]:
    """Remove what the policy does not keep, or the ``named`` ones by hand; those that were removed.

    Raises Busy while a deploy is at work, UsageError for a named one that must stay; then nothing was removed.
    """
    folder = folder_of(config, environment)
    lock = DeployLock(config.state_directory, environment.name)
    with lock.hold("prune backups", by):  # what a deploy is about to rely on must not go meanwhile
        seen = look(config, environment, journal, now)
        going = (
            chosen(seen, named) if named else tuple(fate for fate in seen.fates if not fate.keep)
        )
        _remove(folder, [fate.entry.record for fate in going], _elsewhere(config, environment))
    sealed.sweep(folder)
    return going


def _remove(
    folder: Path, records: Sequence[BackupRecord], elsewhere: Callable[[BackupRecord], _After]
) -> None:
    """Unlist all of them, then delete them: what fails in between is left to a sweep, and is listed nowhere."""
    unlisted = list[tuple[Path, _After]]()
    try:
        for record in records:
            after = elsewhere(record)
            unlisted.append((_unlist(folder, record), after))
    finally:
        for aside, after in unlisted:
            shutil.rmtree(aside, ignore_errors=True)
            with suppress(BackupFailed, EnvironmentUnreachable):
                after()


def _elsewhere(config: Config, environment: Environment) -> Callable[[BackupRecord], _After]:
    """What a provider keeps of a backup: let go of right before it is unlisted, deleted after."""

    def release(record: BackupRecord) -> _After:
        if record.store != "rds":
            return lambda: None
        from deployguard.backups.base import Site
        from deployguard.backups.rds import RdsBackups

        site = Site(
            url=DatabaseUrl("postgresql"),  # no database is asked
            directory=config.directory,
            project=config.project.name,
            environment=environment.name,
            config=environment.backup,
            rds=environment.rds,
        )
        return RdsBackups(site).release(record)

    return release


def chosen(seen: Look, named: Collection[str]) -> tuple[Fate, ...]:
    """The named ones, in the order of the list. Raises UsageError for one that must stay, or is not there."""
    for name in named:
        if not any(fate.entry.record.id == name for fate in seen.fates):
            raise UsageError(
                f"There is no backup {name!r} any more.", next_commands=("deployguard backup list",)
            )
    going = tuple(fate for fate in seen.fates if fate.entry.record.id in named)
    for fate in going:
        must = [why for why in fate.reasons if why.startswith(_UNTOUCHABLE)]
        if must:
            name = fate.entry.record.id
            raise UsageError(
                f"The backup {name} must stay: {'; '.join(must)}. Nothing was removed.",
                next_commands=(f"deployguard backup show {name}",),
            )
    return tuple(replace(fate, keep=False, reasons=(BY_HAND,)) for fate in going)


def _unlist(folder: Path, record: BackupRecord) -> Path:
    """Take a backup out of the catalogue; where its files lie until they are deleted."""
    aside = folder / f"{sealed.REMOVED}{record.folder}-{secrets.token_hex(2)}"
    try:
        (folder / record.folder).rename(aside)
        pinned = (aside / beside.PIN).exists()  # since it was looked at; now nobody can any more
        if pinned:
            aside.rename(folder / record.folder)
        sealed.flush(folder)
    except OSError as error:
        raise _stays(record, error.strerror or str(error)) from error
    if pinned:
        raise _stays(record, "it was pinned just now")
    return aside


def _stays(record: BackupRecord, why: str) -> BackupFailed:
    return BackupFailed(
        f"The backup {record.id} could not be removed: {why}.",
        state="It is still there, as are those that were to go after it.",
        next_commands=("deployguard backup list",),
    )


def disk_use(folder: Path, environment: str, found: Sequence[BackupEntry]) -> DiskUse:
    """What the backups of an environment take, and the disk that they lie on."""
    classes: dict[str, list[int]] = {}
    for one in found:
        classes.setdefault(one.record.reason, []).append(one.record.size)
    mine = {one.record.folder for one in found}
    there = folder.iterdir() if folder.is_dir() else ()
    others = [path for path in there if path.is_dir() and path.name not in mine]
    disk = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists()))
    return DiskUse(
        environment=environment,
        folder=str(folder),
        classes=tuple((name, len(sizes), sum(sizes)) for name, sizes in sorted(classes.items())),
        largest=tuple(sorted(found, key=lambda one: -one.record.size)[:_LARGEST]),
        others=sum(_bytes(path) for path in others),
        free=disk.free,
        total=disk.total,
    )


def _bytes(path: Path) -> int:
    """All files below a folder; what goes away meanwhile counts nothing."""
    total = 0
    for file in (path, *path.rglob("*")):
        with suppress(OSError):
            total += file.lstat().st_size if file.is_file() else 0
    return total
