"""A deploy's replication slot: from its backup until nobody needs to know any more what others wrote after it.

Its name is made of the deploy's id and is journaled before the slot is made, so whoever comes later finds it.
Dropping it is never a reason to fail: what stays is told by ``status`` and swept by the next deploy.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deployguard.database import Database
from deployguard.database.changes import Changes
from deployguard.deploy import names
from deployguard.deploy.facts import planned
from deployguard.deploy.run import Run, strings, text
from deployguard.errors import DeployguardError, EnvironmentUnreachable
from deployguard.model import Json
from deployguard.state import Deploy, Kind, StateError

if TYPE_CHECKING:
    from deployguard.database.slot import Slot
    from deployguard.deploy.world import World

_MB = 2**20
_RUNS = 1000  # of the past whose slot may have stayed


@dataclass(frozen=True, slots=True)
class Left:
    """A slot on the server, the deploy of ours that made it (None: another's), and whether that still needs it."""

    slot: "Slot"
    deploy: str | None
    needed: bool

    def __str__(self) -> str:
        kept = f"keeps {self.slot.pinned / _MB:.0f} MB of write-ahead log on the server"
        why = f"({self.slot.status})"
        if self.needed:
            return f"The replication slot {self.slot.name} {kept} {why}, for deploy {self.deploy}."
        drop = f"psql -c \"SELECT pg_drop_replication_slot('{self.slot.name}')\""
        who = "the next deploy drops it, or" if self.deploy else "if no other host is deploying:"
        return (
            f"The replication slot {self.slot.name} was LEFT BEHIND and {kept} {why}; {who} {drop}"
        )


def name_of(deploy: str) -> str:
    """The slot's name: a server takes lower-case letters, digits and underscores, at most 63."""
    return ("deployguard_" + re.sub(r"[^a-z0-9]+", "_", deploy.lower()))[:63]


def wanted(run: Run) -> bool:
    """Whether a slot is asked for; only PostgreSQL's dump makes one, where the server can."""
    return run.world.environment.backup.slot == "auto"


def made(subject: Run) -> Json:
    """What the deploy's backup wrote down of its slot; None where there is none that still counts."""
    found = subject.of(names.BACKUP).get("slot")
    has = isinstance(found, dict) and "name" in found
    return found if has and not _dropped(subject) else None


def changes(subject: Run, database: Database) -> Changes:
    """What others changed since the deploy's backup."""
    if why := _dropped(subject):
        return Changes(missing=why)
    plan = subject.of(names.PLAN)
    known = {one.id for one in planned(plan)} | {*strings(plan, "current"), *strings(plan, "heads")}
    found = subject.of(names.BACKUP).get("slot")
    return database.changes_since(found, known, subject.world.project.version_table)


def mind(subject: Run, database: Database) -> None:
    """Drop the slot once it keeps more log than it may: the server's disk is worth more than the count.

    Only while the deploy goes forward: who decides the way back needs what is in it. Never raises: what could not be
    dropped is told.
    """
    if made(subject) is None:
        return
    limit = subject.world.environment.backup.slot_mb
    name = name_of(subject.id)
    try:
        found = next((one for one in database.slots() if one.name == name), None)
    except EnvironmentUnreachable:
        return  # nobody knows how much it keeps; the next look tells
    if found is None or found.pinned <= limit * _MB:
        return
    why = f"the replication slot kept {found.pinned / _MB:.0f} MB of log, more than [backup] slot_mb, and was dropped"
    _write_down(subject, why)
    try:
        database.drop_slot(name)
    except EnvironmentUnreachable as error:
        subject.world.reporter.note(f"The replication slot {name} could not be dropped: {error}")
        return
    subject.world.reporter.note(
        f"{why[0].upper()}{why[1:]}: what is written since the backup is counted otherwise."
    )


def drop(subject: Run, why: str) -> None:
    """Drop the deploy's slot, if it may have made one. Never raises: what could not be dropped is told.

    ``why`` is written down first: from then on nobody counts by it.
    """
    if not text(subject.noted(names.BACKUP), "slot"):
        return
    if not _dropped(subject):
        _write_down(subject, f"the replication slot was dropped: {why}")
    name = name_of(subject.id)
    try:
        with subject.world.database() as database:
            database.drop_slot(name)
    except (DeployguardError, OSError) as error:
        subject.world.reporter.note(f"The replication slot {name} could not be dropped: {error}")


def sweep(world: "World") -> None:
    """Drop what finished deploys of ours have left behind, killed as they were. Never raises."""
    try:
        with world.database() as database:
            for left in found(world, database):
                if left.deploy and not left.needed:
                    _sweep(world, database, left.slot.name)
    except (DeployguardError, OSError) as error:
        world.reporter.note(f"Slots that were left behind could not be looked for: {error}")


def _sweep(world: "World", database: Database, name: str) -> None:
    try:
        database.drop_slot(name)
    except EnvironmentUnreachable as error:  # the others are still looked at
        world.reporter.note(f"The replication slot {name} could not be dropped: {error}")
    else:
        world.reporter.note(f"The replication slot {name} was left behind; it is dropped.")


def _write_down(subject: Run, why: str) -> None:
    """From then on nobody counts by it. Without the journal it goes all the same: one that is gone counts nothing."""
    with suppress(StateError):
        subject.note(names.BACKUP, slot_dropped=why)


def found(world: "World", database: Database) -> tuple[Left, ...]:
    """The slots of this database, and those that our journal knows wherever a restore has moved them."""
    slots = database.slots()
    if not slots:
        return ()
    ours = _by_slot(world.journal.history(world.environment.name, _RUNS))
    return tuple(
        Left(one, row.id if row else None, needed=row is not None and row.unfinished)
        for one in slots
        if (row := ours.get(one.name)) or one.database == database.name
    )


def _by_slot(rows: tuple[Deploy, ...]) -> Mapping[str, Deploy]:
    return {name_of(row.id): row for row in rows if row.kind is Kind.DEPLOY}


def _dropped(subject: Run) -> str:
    return text(subject.noted(names.BACKUP), "slot_dropped")
