"""A restore for practice: into a scratch server, compared with what was backed up, asked questions, and timed."""

import re
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deployguard.backups import (
    beside,
    drill_container,
    opening,
    pgargv,
    pgtools,
    plain,
    postgres_restore,
    room,
)
from deployguard.backups.base import Inside, Site
from deployguard.backups.postgres_dump import environment
from deployguard.backups.postgres_verify import dumped_by
from deployguard.config import DatabaseUrl, parse_url
from deployguard.database import libpq, scratch
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.swap import Maintenance
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from deployguard.model import BackupRecord, Drilled
from deployguard.process import Redactor

if TYPE_CHECKING:
    from deployguard.backups.postgres import PostgresBackups

APPLICATION: Final = "deployguard-drill"
NAME: Final = "deployguard_drill_"
SCHEMA_SECONDS: Final = 600.0  # seconds that reading the schema out of a dump may take
EXPANSION: Final = (
    8  # a database with its indexes, to its compressed dump, where nothing better is known
)
_NAME: Final = r'(?:"(?:[^"]|"")+"|[A-Za-z_][\w$]*)'
_NAMES: Final = rf"{_NAME}(?:\s*,\s*{_NAME})*"
_ROLES: Final = (
    re.compile(rf"\bOWNER TO ({_NAME})"),
    re.compile(rf"^GRANT .* TO ({_NAMES})", re.MULTILINE),
    re.compile(rf"^REVOKE .* FROM ({_NAMES})", re.MULTILINE),
    re.compile(rf"\bFOR (?:ROLE|USER) ({_NAMES})"),
    re.compile(rf"^CREATE POLICY .*? TO ({_NAMES})", re.MULTILINE),
    re.compile(rf"\bSET SESSION AUTHORIZATION ({_NAME})"),
)
# Comments, settings of one run, and in a plain dump what belongs to the data.
_OF_ONE_RUN: Final = (
    "--",
    "\\",
    "SET ",
    "SELECT pg_catalog.",
    "REFRESH MATERIALIZED VIEW ",
    "BEGIN;",
    "COMMIT;",
)
# Of data, which a dump of the schema has not.
_LARGE: Final = re.compile(r"^(ALTER|COMMENT ON|(GRANT|REVOKE) .* ON) LARGE OBJECT \d+")
_PART: Final = re.compile(_NAME)
_NOBODY: Final = frozenset({"public", "PUBLIC", "postgres", scratch.USER})


def drill(store: "PostgresBackups", record: BackupRecord) -> Drilled:
    """Restore ``record`` for practice, keep what was found beside it, and tell it."""
    began = time.monotonic()
    found = store.verify(record)
    read = time.monotonic() - began
    site = store.site
    if not found.ok:
        result = Drilled(False, site.now(), read, found.evidence[:1])
    else:
        with opening.opened(site, record) as there_is, _server(store, record) as (url, inside):
            there = replace(site, url=url, address=None, inside=inside)
            result = _rehearsed(there, there_is, read)
    beside.keep_drill(site.folder, record, result)
    return result


def _rehearsed(there: Site, record: BackupRecord, read: float) -> Drilled:
    from deployguard.backups.postgres import PostgresBackups

    store, fresh, began = PostgresBackups(there), f"{NAME}{secrets.token_hex(4)}", time.monotonic()
    with store.database() as database:
        maintenance = Maintenance(database, APPLICATION)
    made: tuple[str, ...] = ()
    try:
        made = scratch.make_roles(maintenance.session, sorted(roles(schema(there, record))))
        there.say(f"restoring {record.id} into the scratch database {fresh}")
        maintenance.create_like(fresh, fresh)
        postgres_restore.fill(store, maintenance, record, fresh, there.say)
        counts = postgres_restore.compare(store, record, fresh)
        seconds = read + time.monotonic() - began
        evidence = [
            (
                f"restored and read back in {seconds:.1f} s on PostgreSQL {maintenance.version[0]};"
                f" {beside.against(there.drill.rto, seconds)}"
            ),
            f"{sum(counts.values())} rows in {len(counts)} tables, as they were backed up",
            _schema_alike(there, record, fresh),
            *_asked(there, fresh),
        ]
    except BackupFailed as error:
        return Drilled(False, there.now(), read + time.monotonic() - began, (error.message,))
    finally:
        maintenance.drop(fresh)
        scratch.drop_roles(maintenance.session, made)
        maintenance.close()
    return Drilled(True, there.now(), seconds, tuple(evidence))


def _asked(there: Site, fresh: str) -> Iterator[str]:
    """The answers of the user's verification statements. Raises BackupFailed at the first that is not true."""
    with PostgresDatabase(replace(there.url, database=fresh)) as database:
        for statement in there.drill.verify_sql:
            ok, detail = database.check(statement)
            if not ok:
                raise BackupFailed(f"The verification statement {statement!r} failed: {detail}.")
            yield f"{statement}: {detail}"


# --- where -----------------------------------------------------------------------------------------


@contextmanager
def _server(
    store: "PostgresBackups", record: BackupRecord
) -> Iterator[tuple[DatabaseUrl, Inside | None]]:
    """The scratch server that is configured, else one of our own; and how programs run in its container, if any.

    Raises EnvironmentUnreachable or UsageError.
    """
    site, variable = store.site, store.site.drill.database_url_env
    if variable:
        if not site.environ.get(variable):
            raise UsageError(
                f"The environment variable {variable}, which [drill] names for the scratch server, is not set.",
                next_commands=(f"export {variable}=…",),
            )
        url = parse_url(site.environ[variable], f"The environment variable {variable}")
        _refuse_live(store, url)
        yield url, None
        return
    major = max(1, *(int(part) for part in re.findall(r"^\d+", record.tools.get("server", ""))))
    programs = _programs(site, major)
    if programs is None:
        with drill_container.server(site, major) as found:
            yield found
        return
    parent = _parent(site)
    size = record.tools.get("database_bytes", "")
    needed = int(size) if size.isdigit() else EXPANSION * record.size
    room.need(parent, 2 * needed, "the scratch server")
    site.say(f"starting a scratch server from {programs}")
    with scratch.server(programs, parent, site.environ) as url:
        yield url, None


def _refuse_live(store: "PostgresBackups", url: DatabaseUrl) -> None:
    """A drill never loads, fills or risks the server that people work with."""
    live = store.site.url
    same = (live.host, live.port or libpq.DEFAULT_PORT) == (
        url.host,
        url.port or libpq.DEFAULT_PORT,
    )
    with PostgresDatabase(url) as database:
        there = database.identity().rpartition("/")[0]
    try:
        with store.database() as database:
            same = same or database.identity().rpartition("/")[0] == there
    except EnvironmentUnreachable:
        store.site.say(
            "the live server does not answer; its address is what tells it from the scratch server"
        )
    if same:
        raise UsageError(
            f"{store.site.drill.database_url_env} leads to the live server {live.display()};"
            " a drill needs another one."
        )


def _programs(site: Site, major: int) -> Path | None:
    """Where a server lies that is as new as the one that was backed up; the oldest such one."""
    # Debian's /usr/bin has the client programs of a version whose server lies in a folder of its own.
    for tools in sorted(pgtools.everywhere(site), key=lambda tools: tools.major):
        if tools.bin is not None and tools.major >= major and scratch.can_serve(tools.bin):
            return tools.bin
    return None


def _parent(site: Site) -> Path:
    given = site.drill.directory or site.environ.get("TMPDIR") or "/tmp"  # noqa: S108 - a folder in it is ours alone
    folder = (site.directory / given).resolve()
    if not folder.is_dir():
        raise UsageError(f"[drill] directory: there is no folder {folder}.")
    return folder


# --- roles and schema ------------------------------------------------------------------------------


def roles(lines: Iterable[str]) -> set[str]:
    """The roles that a schema names, as owners, in grants and policies; pure. One too many does no harm."""
    text = "\n".join(lines)
    found = (match for pattern in _ROLES for match in pattern.findall(text))
    return {_plain(name) for names in found for name in _PART.findall(names)} - _NOBODY


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def schema(site: Site, record: BackupRecord) -> list[str]:
    """The lines of a dump that define its schema, without comments."""
    path = site.folder / record.folder / pgargv.form_of(record).data
    if record.layout == "plain":
        return _telling(plain.definitions(path))
    here = record.layout == "directory"
    tools = pgtools.choose(site, dumped_by(record), f"Backup {record.id}", here=here)
    file = "" if tools.inside else str(path)
    argv = pgargv.schema_argv(tools.program("pg_restore"), file)
    around = libpq.environment({}, site.environ) | {"LC_ALL": "C"}
    return _lines_of(site, tools, argv, around, path if tools.inside else None)


def _schema_alike(there: Site, record: BackupRecord, fresh: str) -> str:
    """A sentence on the restored schema. Raises BackupFailed when it is another one."""
    tools = pgtools.choose(there, dumped_by(record), f"Backup {record.id}")
    if tools.major != dumped_by(record):
        return f"its schema was not compared: pg_dump {dumped_by(record)} made the backup, {tools.major} is here"
    with PostgresDatabase(replace(there.url, database=fresh)) as database:
        around = environment(there, database, tools, APPLICATION)
    argv = pgargv.schema_dump_argv(tools.program("pg_dump"))
    now = Counter(_lines_of(there, tools, argv, around))
    then = Counter(line for line in schema(there, record) if not _LARGE.match(line))
    odd = [*(then - now), *(now - then)]
    if odd:
        raise BackupFailed(f"The restored schema differs from the one that was backed up: {odd[0]}")
    return f"its schema is the one that was backed up ({sum(now.values())} lines of SQL)"


def _lines_of(
    site: Site,
    tools: pgtools.Tools,
    argv: list[str],
    around: dict[str, str],
    source: Path | None = None,
) -> list[str]:
    done = pgtools.execute(
        tools,
        argv,
        around,
        redact=Redactor(site.url.secrets()),
        timeout=SCHEMA_SECONDS,
        stdin_path=source,
    )
    if not done.ok:
        raise BackupFailed(f"The schema could not be read: {done.why()}")
    return _telling(done.stdout.splitlines())


def _telling(lines: Iterable[str]) -> list[str]:
    """Without comments, and without pg_dump's own settings, which are of one run."""
    return [line for line in lines if line.strip() and not line.startswith(_OF_ONE_RUN)]
