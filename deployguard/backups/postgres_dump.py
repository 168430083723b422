"""One run of pg_dump: its environment, what is written down beside the dump, and why it failed."""

import re
import resource
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from deployguard.backups import pgargv, pgtools, room, sealed
from deployguard.backups.base import NOT_MIGRATED, Site, TransientFailure, failed
from deployguard.backups.progress import Progress
from deployguard.database import libpq
from deployguard.database.counting import Counted
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.snapshot import Instant
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.model import Json
from deployguard.process import Completed

APPLICATION: Final = "deployguard-backup:"
_FULL: Final = ("No space left on device", "Disk quota exceeded", "File too large")
_XFSZ: Final = -25  # ended by SIGXFSZ: the file size limit
PASSES: Final = re.compile(
    r"server closed the connection|terminating connection|connection to server|could not connect|"
    r"invalid snapshot identifier|"  # the session that exported it was lost
    r"lock timeout|starting up|shutting down|too many (clients|connections)|remaining connection slots|"
    r"lost synchronization|could not (receive|send) data|could not obtain lock on relation|"
    r"conflict with recovery|deadlock detected|relation .* does not exist",
    re.IGNORECASE,
)


def dump(
    site: Site,
    tools: pgtools.Tools,
    form: pgargv.Form,
    *,
    database: PostgresDatabase,
    instant: Instant,
    draft: sealed.Draft,
    scope: Sequence[str] = (),
    check: Callable[[], None] = lambda: None,
) -> None:
    """Dump what the snapshot shows into the draft. Raises BackupFailed, and what ``check`` raises now and then."""
    target = draft.path(form.data) if form.data else draft.folder
    if form.data:
        with sealed.open_private(target):
            pass  # made before pg_dump would make it with the umask's permissions
    application = APPLICATION + draft.id
    progress = Progress(
        site.say,
        draft.folder,
        tables=len(instant.tables),
        expected=room.expected(site, database.name, instant.bytes, otherwise=0, growth=1.0),
        every=site.every,
    )

    def line(text: str) -> None:
        check()
        progress.line(text)

    file = "" if tools.inside else str(target)
    done = pgtools.execute(
        tools,
        pgargv.dump_argv(
            tools.program("pg_dump"), tools.major, form, instant.name, file, scope=scope
        ),
        environment(site, database, tools, application),
        redact=site.redact,
        timeout=site.config.timeout,
        say=line,
        moving=progress.moving,
        stdout_path=target if tools.inside else None,
    )
    if not done.ok:
        if _at_limit(
            draft.folder
        ):  # one of pg_dump's helpers was ended by it, and it cannot say why
            raise sealed.full(site.folder)
        raise why(done, site.folder, site.config.timeout)


def dump_globals(
    site: Site, tools: pgtools.Tools, database: PostgresDatabase, draft: sealed.Draft
) -> str:
    """Record roles and tablespaces beside the dump; what it returns says why that is not permitted or possible."""
    target = draft.path(pgargv.GLOBALS)
    try:
        done = pgtools.execute(
            tools,
            pgargv.globals_argv(tools.program("pg_dumpall"), database.name),
            environment(site, database, tools, APPLICATION + draft.id),
            redact=site.redact,
            timeout=60,
            stdout_path=target,
        )
        said = "" if done.ok and whole_globals(target) else done.why()
    except EnvironmentUnreachable as error:
        said = error.message
    if said:
        target.unlink(missing_ok=True)
        site.say(f"roles and tablespaces could not be recorded: {said}")
    return said


def whole_globals(path: Path) -> bool:
    """Whether a file of pg_dumpall has its end."""
    return path.read_bytes().endswith(b"-- PostgreSQL database cluster dump complete\n--\n\n")


def environment(
    site: Site, database: PostgresDatabase, tools: pgtools.Tools, application: str
) -> dict[str, str]:
    """The environment for a tool that connects; the only place where it learns the password."""
    database.session.connection()  # only a connection that was made knows which address answers
    found = {**database.session.parameters, "application_name": application}
    if tools.image:
        complete = libpq.complete(found, _password(database), site.environ)
        return complete | {"LC_ALL": "C"}
    if (
        tools.inside is not None
    ):  # beside the server, where our way to it and our files do not exist
        here = ("user", "password", "dbname", "application_name", "connect_timeout")
        found = {key: found[key] for key in here if key in found}
        found |= {"host": "127.0.0.1", "port": str(libpq.DEFAULT_PORT)}
    return libpq.environment(found, site.environ) | {"LC_ALL": "C"}


def _password(database: PostgresDatabase) -> str:
    """The password that let us in, wherever it came from: a file of ours cannot be read in another container."""
    return database.session.connection().info.password


def facts(
    instant: Instant, counted: Counted, after: Mapping[str, int | None]
) -> Mapping[str, Json]:
    """What was seen in the dump's own snapshot, as it is kept beside the dump.

    ``after`` are the sequences once it was dumped: the dump's values lie between the two.
    """
    moved = {
        name
        for name in instant.cycling
        if after.get(name) != instant.sequences[name]  # it may have begun anew
    }
    return {
        "tables": [
            [table.schema, table.name, counted.exact.get(table.label)] for table in instant.tables
        ],
        "counts": dict(counted.exact),
        "estimates": dict(counted.estimates),
        "sequences_after": {
            name: after[name] for name in instant.sequences if name in after and name not in moved
        },
        "large_objects": instant.large_objects,
        "revision": [*instant.revision],
        "sequences": dict(instant.sequences),
        "position": instant.position,
        "database_bytes": instant.bytes,
        "server": instant.server,
        **({"slot": dict(instant.slot)} if instant.slot else {}),
    }


def _at_limit(folder: Path) -> bool:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if limit == resource.RLIM_INFINITY:
        return False
    return any(path.stat().st_size >= limit for path in folder.iterdir())


def why(done: Completed, folder: Path, timeout: int) -> BackupFailed:
    """Why pg_dump failed, and whether another try may help."""
    said = " ".join(
        line for line in done.stderr.splitlines() if "error:" in line or "detail:" in line
    )
    text = said or done.why()
    if done.code == _XFSZ or any(word in done.stderr for word in _FULL):
        return sealed.full(folder)
    message = f"pg_dump failed: {text.rstrip('.')}."
    if done.timed_out:
        said = f"nothing was written for {timeout} seconds, so it was stopped"
        return TransientFailure(f"pg_dump failed: {said}.", state=NOT_MIGRATED)
    if PASSES.search(text):
        return TransientFailure(message, state=NOT_MIGRATED)
    return failed(message)
