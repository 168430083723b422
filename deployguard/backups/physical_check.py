"""Says whether archiving truly works: finishes a segment now, waits until it is archived, and looks for gaps."""

from dataclasses import dataclass

from deployguard.backups import physical_server
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_server import Archiving
from deployguard.errors import BackupFailed, UsageError
from deployguard.wal import reach

_NAME = "deployguard-check"


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found of the archive; ``problems`` are sentences, none is well."""

    problems: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


def check(physical: PhysicalBackups, command: str) -> Checked:
    """Look at the settings, finish a segment, wait until it is archived, and look for gaps.

    ``command`` is the archive_command to suggest. Raises UsageError when nothing can be archived at all.
    """
    with physical.database() as database:
        server = physical_server.ask(database)
        physical_server.fit(server, incremental=False)
        how = physical_server.archiving(database)
        on(how, command)
        where, name, _ = physical_server.mark(database, _NAME)
        problems, archived = list[str](), ""
        try:
            archived = physical_server.await_archived(
                database,
                physical.archive,
                (where, name),
                server.segment_bytes,
                physical.config.archive_wait,
            )
        except BackupFailed as error:
            problems.append(error.message)
        after = physical_server.archiving(database)
    problems += gaps(physical, server.system)
    facts = [
        ("archive_mode", how.mode),
        ("archive_command", how.library or physical.site.redact(how.command)),
        ("archived just now", archived or "nothing"),
        ("archived in all", f"{after.archived}, the last was {after.last or 'none'}"),
        ("failures", _failures(after)),
        ("archive", str(physical.archive.folder)),
    ]
    return Checked(tuple(problems), tuple(facts))


def on(how: Archiving, command: str) -> None:
    """Raises UsageError when the server archives nothing, with the statements that begin it."""
    if how.on:
        return
    text = command.replace("'", "''")
    raise UsageError(
        f"The server archives nothing: archive_mode is {how.mode}, archive_command {how.command!r}.",
        next_commands=(
            "psql -c \"ALTER SYSTEM SET archive_mode = 'on'\"  # and restart the server",
            f'psql -c "ALTER SYSTEM SET archive_command = \'{text}\'" -c "SELECT pg_reload_conf()"',
        ),
    )


def gaps(physical: PhysicalBackups, system: str) -> list[str]:
    """Sentences on what the archive lacks for a base backup that is here."""
    names, histories = physical.archive.names(), physical.archive.histories()
    found: dict[str, str] = {}
    for record in physical.listing().records:
        if record.system != system or physical.archive.system() not in ("", system):
            continue
        for name in reach(names, histories, record.first, record.segment_bytes).missing:
            found.setdefault(name, record.id)
    return [
        f"{name} is missing in the archive: from {record} on, nothing that was written then, or after it, can be"
        " recovered. Take a new base backup."
        for name, record in sorted(found.items())
    ]


def _failures(found: Archiving) -> str:
    if not found.failed or found.last_failed_at is None:
        return "none"
    return f"{found.failed}, the last was {found.last_failed} at {found.last_failed_at.isoformat()}"
