"""Says whether archiving truly works: finishes a segment now, waits until it is archived, and looks for gaps."""

from dataclasses import dataclass

from deployguard.backups import catalogue, physical_server
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
    lacking, older = gaps(physical, server.system)
    problems += lacking
    facts = [
        ("archive_mode", how.mode),
        ("archive_command", how.library or physical.site.redact(how.command)),
        ("archived just now", archived or "nothing"),
        ("archived in all", f"{after.archived}, the last was {after.last or 'none'}"),
        ("failures", _failures(after)),
        ("missing before the newest base backup", older),
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


def gaps(physical: PhysicalBackups, system: str) -> tuple[list[str], str]:
    """What the archive lacks behind the newest verified base backup, and behind older ones only, in words.

    The latter cannot be mended: a newer base backup is what there was to do.
    """
    names, histories = physical.archive.names(), physical.archive.histories()
    problems, older = list[str](), set[str]()
    newest = True
    for record in physical.listing().records:
        if record.system != system or physical.archive.system() not in ("", system):
            continue
        lacking = reach(names, histories, record.first, record.segment_bytes).missing
        found = catalogue.verification(physical.folder, record)
        if newest:
            problems += [
                f"{name} is missing in the archive: from {record.id} on, nothing that was written then, or after it,"
                " can be recovered. Take a new base backup."
                for name in lacking
            ]
        older |= set(lacking)
        newest = newest and not (found is not None and found.ok)
    known = {problem.partition(" ")[0] for problem in problems}
    return problems, ", ".join(sorted(older - known)) or "none"


def _failures(found: Archiving) -> str:
    if not found.failed or found.last_failed_at is None:
        return "none"
    return f"{found.failed}, the last was {found.last_failed} at {found.last_failed_at.isoformat()}"
