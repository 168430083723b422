"""Looks at everything that a deploy will need, before anybody needs it. Nothing is changed or taken for granted.

Each check is one question to the same collaborator that a deploy would ask, so that what is well here is well there.
"""

import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from deployguard.deploy import origin
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError
from deployguard.notify import MISSING

DRIFT: Final = 5.0  # seconds that this machine's clock and the server's may differ
LITTLE: Final = 1 << 30  # bytes on a disk from which a person should look
_CLOCK: Final = "timedatectl set-ntp true"


class Finding(StrEnum):
    """How one thing was found."""

    WELL = "well"
    LOOK = "look"  # a deploy would go on, and somebody should know
    WRONG = "wrong"  # a deploy would stop, or could not be taken back


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that was looked at: its name, how it was found, what was seen, and what puts it right."""

    name: str
    found: Finding
    said: str
    commands: tuple[str, ...] = ()


_Check = Callable[[World], Iterator[Diagnosis]]


def examine(world: World) -> Iterator[Diagnosis]:
    """Every check in order, each as soon as it is known. One that fails is told, and the others go on."""
    for name, check in _CHECKS:
        try:
            yield from check(world)
        except DeployguardError as error:
            said = world.redact(error.message).rstrip(".")
            yield Diagnosis(name, Finding.WRONG, said, error.next_commands)


def _config(world: World) -> Iterator[Diagnosis]:
    said = f"{world.config_path.name}, environment {world.environment.name}"
    yield Diagnosis("configuration", Finding.WELL, said)


def _python(_world: World) -> Iterator[Diagnosis]:
    from importlib.metadata import version

    packages = ", ".join(
        f"{name} {version(name)}" for name in ("deployguard", "alembic", "sqlglot")
    )
    number = ".".join(map(str, sys.version_info[:3]))
    yield Diagnosis("versions", Finding.WELL, f"Python {number}, {packages}")


def _state(world: World) -> Iterator[Diagnosis]:
    folder = world.state
    place = next(one for one in (folder, *folder.parents) if one.exists())
    free = shutil.disk_usage(place).free
    if not os.access(place, os.W_OK):
        command = f"ls -ld {place}"
        said = f"{folder} cannot be written to by {world.by}"
        yield Diagnosis("state folder", Finding.WRONG, said, (command,))
        return
    unfinished = world.journal.unfinished(world.environment.name)
    if unfinished is not None:
        yield Diagnosis(
            "state folder",
            Finding.LOOK,
            f"{unfinished.kind} {unfinished.id} is not finished ({unfinished.status})",
            (f"deployguard status --env {world.environment.name}",),
        )
    elif place == folder and stat.S_IMODE(folder.stat().st_mode) & 0o077:
        said = f"others on this machine can look into {folder}"
        yield Diagnosis("state folder", Finding.LOOK, said, (f"chmod 700 {folder}",))
    elif free < LITTLE:
        said = f"only {_human(free)} are free where the journal and the logs lie"
        yield Diagnosis("state folder", Finding.LOOK, said, (f"df -h {place}",))
    else:
        yield Diagnosis("state folder", Finding.WELL, f"{folder}, {_human(free)} free")


def _database(world: World) -> Iterator[Diagnosis]:
    before = world.clock()
    with world.database() as database:
        now = database.now()
        after = world.clock()
        current = world.revisions(database)
        size = database.size()
    said = f"at {', '.join(current) or 'no revision'}, {_human(size)}"
    if not size:
        said = "there is no file yet; the first migration makes it"
    yield Diagnosis("database", Finding.WELL, said)
    if now is not None:
        yield _clock(before, now, after)


def _clock(before: datetime, there: datetime, after: datetime) -> Diagnosis:
    """The server's clock beside ours; the time that asking took proves nothing."""
    drift = max((before - there).total_seconds(), (there - after).total_seconds(), 0.0)
    if drift <= DRIFT:
        return Diagnosis("clock", Finding.WELL, "this machine's and the server's agree")
    said = f"this machine's and the server's are {drift:.0f} s apart; approvals expire by ours"
    return Diagnosis("clock", Finding.LOOK, said, (_CLOCK,))


def _migrations(world: World) -> Iterator[Diagnosis]:
    heads = world.graph().heads
    yield Diagnosis("revisions", Finding.WELL, f"the newest is {', '.join(heads) or 'none'}")
    world.migrator.preflight()
    runner = world.environment.migrate.runner
    yield Diagnosis("migrations", Finding.WELL, f"can be run ({runner})")


def _backups(world: World) -> Iterator[Diagnosis]:
    world.openable(None)
    world.backups.preflight()
    yield Diagnosis("backups", Finding.WELL, "can be taken, and opened again")


def _restores(world: World) -> Iterator[Diagnosis]:
    if (found := world.unrestorable()) is None:
        yield Diagnosis("restores", Finding.WELL, "nothing keeps a backup from being put in place")
    else:
        yield Diagnosis("restores", Finding.LOOK, *found)


def _offsite(world: World) -> Iterator[Diagnosis]:
    if world.offsite is None:
        said = "no place elsewhere is configured: backups are lost with this machine"
        yield Diagnosis("off-site", Finding.LOOK, said, (f"$EDITOR {world.config_path}",))
        return
    there = world.offsite()
    there.preflight()
    yield Diagnosis("off-site", Finding.WELL, there.describe())


def _application(world: World) -> Iterator[Diagnosis]:
    if world.environment.target.kind == "none":
        said = "none is configured: only the database is migrated"
        yield Diagnosis("application", Finding.WELL, said)
        return
    world.target.preflight()
    release = world.target.current()
    running = ", ".join(f"{name} {_short(text)}" for name, text in release.images.items())
    found = Finding.WELL if world.target.running() else Finding.LOOK
    yield Diagnosis("application", found, running or "nothing runs")


def _quiesce(world: World) -> Iterator[Diagnosis]:
    if world.quiescer is not None:
        world.quiescer.preflight()
        yield Diagnosis("holding still", Finding.WELL, "writers can be held still")


def _health(world: World) -> Iterator[Diagnosis]:
    health = world.environment.health
    if not (health.asks or health.verify_sql):
        said = "nothing says whether the application works: a deploy cannot see that it broke it"
        yield Diagnosis("health", Finding.LOOK, said, (f"$EDITOR {world.config_path}",))
        return
    count = len(health.checks) + len(health.urls)
    yield Diagnosis(
        "health", Finding.WELL, f"{count + len(health.verify_sql)} checks are configured"
    )


def _git(world: World) -> Iterator[Diagnosis]:
    commit = origin.commit(world.config_path.parent, os.environ)
    if commit:
        yield Diagnosis("git", Finding.WELL, f"at {commit[:12]}")
    else:
        said = "no commit is known: history cannot say what was deployed"
        yield Diagnosis("git", Finding.LOOK, said)


def _notify(world: World) -> Iterator[Diagnosis]:
    asked = world.notifier
    if not (asked.addresses or asked.missing):
        said = "nobody is told when a deploy fails at night"
        yield Diagnosis("notifications", Finding.LOOK, said, (f"$EDITOR {world.config_path}",))
        return
    for name in asked.missing:
        yield Diagnosis("notifications", Finding.WRONG, f"{name} is not set", (f"export {name}=…",))
    if asked.addresses and not _has("apprise"):
        yield Diagnosis("notifications", Finding.WRONG, MISSING)
    elif asked.addresses:
        names = ", ".join(one.name for one in asked.addresses)
        said = f"{names}; whether they arrive, `deployguard notify test` says"
        yield Diagnosis("notifications", Finding.WELL, said)


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def _short(image: str) -> str:
    return image.removeprefix("sha256:")[:12] if image.startswith("sha256:") else image


def _human(size: int) -> str:
    from deployguard.backups.room import human

    return human(size)


_CHECKS: Final[tuple[tuple[str, _Check], ...]] = (
    ("configuration", _config),
    ("versions", _python),
    ("state folder", _state),
    ("git", _git),
    ("database", _database),
    ("migrations", _migrations),
    ("backups", _backups),
    ("restores", _restores),
    ("off-site", _offsite),
    ("application", _application),
    ("holding still", _quiesce),
    ("health", _health),
    ("notifications", _notify),
)
