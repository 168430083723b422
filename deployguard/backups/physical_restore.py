"""Brings a base backup back as a new cluster in a new folder, lets it replay the log, and proves where it came to.

Nothing of an existing cluster is ever touched: all grows beside the new folder, and takes its name at the very end.
"""

import os
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployguard.backups import physical_argv, physical_target, physical_tools, room, sealed
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_record import BaseBackup
from deployguard.backups.progress import Pace
from deployguard.database import libpq, scratch
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.recovery import NotReached, Reached, Recovery, Target
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from deployguard.process import run
from deployguard.wal import segment

GROWTH: Final = 1.1  # a cluster that replays log becomes somewhat larger
PORT: Final = 5433  # suggested: the old cluster may still have 5432
_LIST: Final = "deployguard backup physical list"
_CONF: Final = """\
# Written by deployguard: the backup had no postgresql.conf, which lay outside of the cluster's folder.
listen_addresses = 'localhost'
"""
_HBA: Final = """\
# Written by deployguard: the backup had no pg_hba.conf, which lay outside of the cluster's folder.
local all all peer
host all all 127.0.0.1/32 scram-sha-256
host all all ::1/128 scram-sha-256
"""


@dataclass(frozen=True, slots=True)
class Recovered:
    """A new cluster, stopped and well. ``counts`` are rows per table, None where the database was not there."""

    record: BaseBackup
    folder: Path
    reached: Reached
    revision: tuple[str, ...]
    counts: dict[str, int] | None
    notes: tuple[str, ...]
    next_commands: tuple[str, ...]


def restore(
    physical: PhysicalBackups,
    record: BaseBackup,
    into: Path,
    target: Target,
    fetch: Sequence[str],
) -> Recovered:
    """A new cluster in ``into``, which is not there yet or is empty, at the target.

    ``fetch`` is the argv of a restore_command without its two arguments. Raises UsageError, BackupFailed or
    EnvironmentUnreachable; then ``into`` is as it was.
    """
    into = into.absolute()
    _empty(into, physical)
    with sealed.shared(physical.folder), sealed.turned_clear(into):
        chain = physical.listing().chain(record)
        programs = _programs(physical, record, len(chain))
        physical_target.within_reach(physical, record, target)
        found = physical.verify(record)
        if not found.ok:
            raise _failed(
                f"The base backup {record.id} is damaged: {'; '.join(found.evidence)}.", into
            )
        need = int(sum(one.size for one in chain) * GROWTH)
        room.need(into.parent, need, "the new cluster")
        prefix = f".{into.name}.partial-"
        with scratch.place(programs.bin, into.parent, physical.site.environ, prefix) as folder:
            if not scratch.execute(["test", "-w", str(folder)], folder, physical.site.environ).ok:
                raise UsageError(
                    f"The user who runs the new server cannot get to {into.parent}: name a folder that it can enter.",
                    next_commands=(f"namei -l {shlex.quote(str(into.parent))}",),
                )
            _fill(physical, programs, chain, folder / "data")
            return _recover(
                physical, record, programs, places=(folder, into), target=target, fetch=fetch
            )


def _recover(
    physical: PhysicalBackups,
    record: BaseBackup,
    programs: physical_tools.Programs,
    *,
    places: tuple[Path, Path],
    target: Target,
    fetch: Sequence[str],
) -> Recovered:
    folder, into = places
    site = physical.site
    recovery = Recovery(
        programs=programs.bin,
        folder=folder,
        environ=site.environ,
        user=record.superuser,
        patience=site.config.timeout,
        say=Pace(site.say, site.every),
    )
    alone = target.kind == "consistent"  # then all the log that it needs came along
    command = "false" if alone else _restore_command(physical, record, folder, fetch)
    try:
        with recovery.recovered(target, command) as reached:
            physical_target.ended_well(physical, record, target, reached)
            revision, counts = _asked(physical, recovery, record)
    except NotReached as error:
        raise _failed(physical_target.missed(physical, record, target, str(error)), into) from None
    notes = _configured(folder / "data")
    sealed.flush(folder / "data")
    (folder / "data").rename(into)
    sealed.flush(into.parent)
    return Recovered(record, into, reached, revision, counts, notes, _next(programs, into))


def _empty(into: Path, physical: PhysicalBackups) -> None:
    """Raises UsageError for a folder that holds anything: it could be a cluster."""
    parent = into.parent
    if into.is_symlink() or (into.exists() and (not into.is_dir() or any(into.iterdir()))):
        raise UsageError(
            f"{into} is not empty. A base backup is only restored into a new folder.",
            next_commands=(f"ls -la {shlex.quote(str(into))}",),
        )
    if os.path.ismount(into):
        raise UsageError(f"{into} is a mount point. Name a new folder in it.")
    if not parent.is_dir():
        raise UsageError(f"There is no folder {parent}.")
    ours = (physical.folder, physical.archive.folder, physical.site.folder)
    if any(one in (into, *into.parents) for one in ours):
        raise UsageError(f"{into} lies among the backups. Name a folder outside of them.")


def _programs(physical: PhysicalBackups, record: BaseBackup, links: int) -> physical_tools.Programs:
    names = [*physical_tools.SERVING, *([physical_tools.COMBINING] if links > 1 else [])]
    return physical_tools.choose(
        physical.site, physical.config.pg_bin, record.major, names, "The base backup"
    )


def _fill(
    physical: PhysicalBackups,
    programs: physical_tools.Programs,
    chain: Sequence[BaseBackup],
    data: Path,
) -> None:
    """Copy a full backup, or put a chain together; what came out is read back again."""
    site, folders = physical.site, [one.data(physical.folder) for one in chain]
    if len(chain) == 1:
        site.say("copying the base backup")
        shutil.copytree(folders[0], data, symlinks=True)
    else:
        site.say(f"putting {len(chain)} base backups together")
        argv = physical_argv.combine_argv(programs.program(physical_tools.COMBINING), folders, data)
        done = run(argv, env=libpq.environment({}, site.environ) | {"LC_ALL": "C"})
        if not done.ok:
            raise BackupFailed(
                f"pg_combinebackup failed: {done.why()}.", state="Nothing was restored."
            )
    problems = physical.check(programs, data)
    if problems:
        raise BackupFailed(
            f"What was restored is not what was backed up: {'; '.join(problems[:3])}.",
            state="Nothing was restored.",
        )
    for path in (data, *data.rglob("*")):
        scratch.hand_over(path)


def _restore_command(
    physical: PhysicalBackups, record: BaseBackup, folder: Path, fetch: Sequence[str]
) -> str:
    """How the new cluster gets its log: by ``fetch``, else from copies that are laid ready for it.

    A server never runs as root, and who it runs as may get neither to deployguard nor to the archive.
    """
    archive = physical.archive
    probe = next(iter(sorted(archive.names())), "")
    if not probe:
        return "false"
    trial = folder / "trial"
    # by a shell, as the server will run it: what we may start is not what a process of its user may
    tried = ["sh", "-c", shlex.join([*fetch, probe, str(trial)])]
    done = scratch.execute(tried, folder, physical.site.environ)
    if done.ok and trial.exists():
        trial.unlink()
        return " ".join([*(shlex.quote(word).replace("%", "%%") for word in fetch), "%f", "%p"])
    physical.site.say(
        "laying the archived log ready: the new server's user cannot fetch it by itself"
    )
    return _laid_ready(physical, record, folder)


def _laid_ready(physical: PhysicalBackups, record: BaseBackup, folder: Path) -> str:
    archive, ready = physical.archive, folder / "log-ready"
    first = segment(0, record.first.number, record.segment_bytes)[8:]
    names = [
        name
        for name in sorted(archive.names())
        if name.endswith(".history") or (name[8:24] >= first and not name.endswith(".backup"))
    ]
    room.need(folder, len(names) * record.segment_bytes, "the archived log")
    ready.mkdir(mode=0o700)
    for name in names:
        archive.fetch(name, ready / name)
        scratch.hand_over(ready / name)
    scratch.hand_over(ready)
    place = shlex.quote(str(ready)).replace("%", "%%")
    return f"test -f {place}/%f && cp {place}/%f %p"


def _asked(
    physical: PhysicalBackups, recovery: Recovery, record: BaseBackup
) -> tuple[tuple[str, ...], dict[str, int] | None]:
    """Revision and rows of the application's database in the new cluster."""
    with PostgresDatabase(recovery.url(record.database)) as database:
        try:
            revision = database.current_revisions(physical.site.version_table)
            physical.site.say("counting rows")
            return revision, database.row_counts()
        except EnvironmentUnreachable as error:
            if "does not exist" not in error.message:
                raise
            return (), None


def _failed(message: str, into: Path) -> BackupFailed:
    return BackupFailed(
        message,
        state=f"{into} was not made, and no other cluster was touched.",
        next_commands=(_LIST, "deployguard backup physical check"),
    )


def _configured(data: Path) -> tuple[str, ...]:
    """Give the new cluster the files without which no server starts, where the backup had none; what was done."""
    notes = []
    for name, text in (("postgresql.conf", _CONF), ("pg_hba.conf", _HBA), ("pg_ident.conf", "")):
        path = data / name
        if path.exists():
            continue
        with sealed.open_private(path) as file:
            file.write(text.encode())
        scratch.hand_over(path)
        if text:
            notes.append(
                f"{name} lay outside of the cluster and was written anew: compare it with yours"
            )
    notes.append("archive_mode is off in it until you ALTER SYSTEM RESET archive_mode")
    return tuple(notes)


def _next(programs: physical_tools.Programs, into: Path) -> tuple[str, ...]:
    who = scratch.owner()
    place = shlex.quote(str(into))
    options = shlex.quote(f"-p {PORT} -c data_directory={shlex.quote(str(into))}")
    start = (
        f"{shlex.quote(programs.program('pg_ctl'))} -D {place} -l {place}/log -o {options} -w start"
    )
    if who is not None:
        start = f"runuser -u {who.pw_name} -- {start}"
    return (start, f"psql -h localhost -p {PORT}")
