"""Backups of a PostgreSQL database: counted and dumped in one snapshot, read back whole, restored by a swap."""

import os
import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployguard.backups import catalogue, pgtools, room, sealed
from deployguard.backups.base import (
    NOT_MIGRATED,
    BackupRequest,
    Say,
    Site,
    TransientFailure,
    failed,
)
from deployguard.database import libpq
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.snapshot import Instant, exported
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.model import BackupRecord, Json, Restored, Verification
from deployguard.process import Completed, Redactor

DATA: Final = "database.dump"
NAME_BYTES: Final = 63  # of a database's name, PostgreSQL's limit
APPLICATION: Final = "deployguard-backup:"
_FULL: Final = ("No space left on device", "Disk quota exceeded", "File too large")
_XFSZ: Final = -25  # ended by SIGXFSZ: the file size limit
_PASSES: Final = re.compile(
    r"server closed the connection|terminating connection|connection to server|could not connect|"
    r"lock timeout|starting up|shutting down|too many (clients|connections)|remaining connection slots|"
    r"lost synchronization|could not (receive|send) data",
    re.IGNORECASE,
)
_NOISE: Final = re.compile(r"^pg_(dump|restore): ")
_TELLING: Final = re.compile(r"dumping contents of table|processing data for table|creating INDEX")


@dataclass(slots=True)
class PostgresBackups:
    """The backup store of one PostgreSQL database."""

    site: Site

    def database(self) -> PostgresDatabase:
        return PostgresDatabase(self.site.url, address=self.site.address)

    @property
    def redact(self) -> Redactor:
        return Redactor(self.site.url.secrets())

    def preflight(self) -> None:
        self._preflight()

    def _preflight(self) -> pgtools.Tools:
        room.writable(self.site.folder)
        self.sweep()
        with self.database() as database:
            tools = pgtools.choose(self.site, database.server_version[0], "The server")
            now = database.size()
            # the first time: a dump is compressed, and has no indexes
            size = room.expected(self.site, database.name, now, otherwise=now // 2)
        room.need(self.site.folder, size, "the backup")
        return tools

    def sweep(self) -> tuple[str, ...]:
        """Remove what a killed attempt left, and end its pg_dump: its locks would hold up a migration."""
        removed = sealed.sweep(self.site.folder)
        with self.database() as database:
            for name in removed:
                if name.startswith(sealed.PARTIAL):
                    database.terminate(APPLICATION + name.removeprefix(sealed.PARTIAL))
        return removed

    def kept_name(self, deploy: str) -> str:
        with self.database() as database:
            name = database.name
        tail = "_failed_" + re.sub(r"[^A-Za-z0-9_]+", "_", deploy)
        return name.encode()[: NAME_BYTES - len(tail)].decode(errors="ignore") + tail

    def take(self, request: BackupRequest) -> BackupRecord:
        tools = self._preflight()
        return room.retrying(lambda: self._take(request, tools), self.site, self.site.say)

    def _take(self, request: BackupRequest, tools: pgtools.Tools) -> BackupRecord:
        created, began = self.site.now(), time.monotonic()
        identifier = catalogue.new_id(
            self.site.project, self.site.environment, created, secrets.token_hex(2)
        )
        with sealed.drafting(self.site.folder, identifier) as draft, self.database() as database:
            try:
                with exported(
                    database,
                    application=APPLICATION + identifier,
                    version_table=self.site.version_table,
                    on_table=self._counting,
                ) as instant:
                    self._dump(tools, database, instant, identifier, draft.path(DATA))
            except EnvironmentUnreachable as error:
                raise self._lost(error) from None
            draft.finish(DATA)
            draft.write_json(sealed.EVIDENCE, facts(instant))
            return sealed.seal(
                draft,
                BackupRecord(
                    id=identifier,
                    store="postgresql",
                    environment=self.site.environment,
                    database=database.name,
                    created=created,
                    folder=identifier,
                    files={},
                    revision=instant.revision,
                    counts=instant.counts,
                    seconds=time.monotonic() - began,
                    reason=request.reason,
                    deploy=request.deploy,
                    git_commit=request.git_commit,
                    tools={
                        "pg_dump": tools.version,
                        "server": instant.server,
                        "database_bytes": str(instant.bytes),
                    },
                ),
            )

    def _dump(
        self,
        tools: pgtools.Tools,
        database: PostgresDatabase,
        instant: Instant,
        identifier: str,
        target: Path,
    ) -> None:
        with sealed.open_private(target):
            pass  # made before pg_dump would make it with the umask's permissions
        file = "" if tools.inside else str(target)
        done = pgtools.execute(
            tools,
            pgtools.dump_argv(tools.program("pg_dump"), instant.name, file),
            environment(self.site, database, tools, APPLICATION + identifier),
            redact=self.redact,
            timeout=self.site.config.timeout,
            say=telling(self.site.say),
            stdout_path=target if tools.inside else None,
        )
        if not done.ok:
            raise why(done, self.site.folder)

    def _counting(self, label: str, number: int, of: int) -> None:
        self.site.say(f"counting {label} ({number} of {of})")

    def _lost(self, error: EnvironmentUnreachable) -> BackupFailed:
        if _PASSES.search(error.message):
            return TransientFailure(error.message, state=NOT_MIGRATED)
        return failed(error.message)

    def verify(self, record: BackupRecord) -> Verification:
        problems, evidence = sealed.check_files(self.site.folder, record)
        if not problems:
            problems, more = self._read_back(record)
            evidence += more
        found = Verification(not problems, (*problems, *evidence), self.site.now())
        catalogue.keep_verification(self.site.folder, record, found)
        return found

    def _read_back(self, record: BackupRecord) -> tuple[list[str], list[str]]:
        """(problems, evidence) from decompressing the whole dump, and from its table of contents."""
        folder = self.site.folder / record.folder
        taken = sealed.read_json(folder / sealed.EVIDENCE)
        if taken.get("counts") != dict(record.counts) or taken.get("revision") != [
            *record.revision
        ]:
            return ["the manifest's counts or revision are not those that were taken"], []
        tools = pgtools.choose(self.site, dumped_by(record), f"Backup {record.id}")
        program, dump = tools.program("pg_restore"), folder / DATA
        file = "" if tools.inside else str(dump)
        read = self._offline(tools, pgtools.read_argv(program, file), dump)
        if not read.ok:
            return [f"pg_restore cannot read it to the end: {read.why()}"], []
        listed = self._offline(tools, pgtools.contents_argv(program, file), dump)
        if not listed.ok:
            return [f"pg_restore cannot list it: {listed.why()}"], []
        missing = tables_missing(listed.stdout, taken)
        if missing:
            return [f"the dump has no data of {', '.join(missing)}"], []
        rows, tables = sum(record.counts.values()), len(record.counts)
        return [], [
            f"pg_restore {tools.version} read the whole dump",
            f"its table of contents has all {tables} tables that were counted ({rows} rows)",
        ]

    def _offline(self, tools: pgtools.Tools, argv: list[str], dump: Path) -> Completed:
        return pgtools.execute(
            tools,
            argv,
            libpq.environment({}, self.site.environ) | {"LC_ALL": "C"},
            redact=self.redact,
            timeout=self.site.config.timeout,
            stdin_path=dump if tools.inside else None,
        )

    def restore(
        self, record: BackupRecord, *, kept_as: str, on_progress: Say, still: Json = None
    ) -> Restored:
        from deployguard.backups import postgres_restore

        return postgres_restore.restore(self, record, kept_as, on_progress, still)

    def restored(self, record: BackupRecord, *, kept_as: str) -> bool:
        from deployguard.backups import postgres_restore

        return postgres_restore.restored(self, record, kept_as)


def environment(
    site: Site, database: PostgresDatabase, tools: pgtools.Tools, application: str
) -> dict[str, str]:
    """The environment for a tool that connects; the only place where it learns the password."""
    database.session.connection()  # only a connection that was made knows which address answers
    found = {**database.session.parameters, "application_name": application}
    if (
        tools.inside is not None
    ):  # beside the server, where our way to it and our files do not exist
        here = ("user", "password", "dbname", "application_name", "connect_timeout")
        found = {key: found[key] for key in here if key in found}
        found |= {"host": "127.0.0.1", "port": str(libpq.DEFAULT_PORT)}
    return libpq.environment(found, site.environ) | {"LC_ALL": "C"}


def facts(instant: Instant) -> Mapping[str, Json]:
    """What was seen in the dump's own snapshot, as it is kept beside the dump."""
    return {
        "tables": [[schema, name, rows] for schema, name, rows in instant.tables],
        "counts": dict(instant.counts),
        "revision": [*instant.revision],
        "sequences": dict(instant.sequences),
        "position": instant.position,
        "database_bytes": instant.bytes,
        "server": instant.server,
    }


def why(done: Completed, folder: Path) -> BackupFailed:
    """Why pg_dump failed, and whether another try may help."""
    said = " ".join(
        line for line in done.stderr.splitlines() if "error:" in line or "detail:" in line
    )
    text = said or done.why()
    if done.code == _XFSZ or any(word in done.stderr for word in _FULL):
        return sealed.full(folder)
    message = f"pg_dump failed: {text.rstrip('.')}."
    if done.timed_out:
        return TransientFailure(f"pg_dump failed: {done.why()}.", state=NOT_MIGRATED)
    if _PASSES.search(text):
        return TransientFailure(message, state=NOT_MIGRATED)
    return failed(message)


def dumped_by(record: BackupRecord) -> int:
    """The major version of the pg_dump that made it; only that or a newer pg_restore reads it."""
    match = re.match(r"\d+", record.tools.get("pg_dump", ""))
    if match is None:
        raise BackupFailed(f"The manifest of {record.id} does not say which pg_dump made it.")
    return int(match[0])


def tables_missing(contents: str, taken: Mapping[str, Json]) -> tuple[str, ...]:
    """Counted tables whose data the table of contents of a dump does not have; pure."""
    tables = taken.get("tables")
    counted = (
        [each for each in tables if isinstance(each, list)] if isinstance(tables, list) else []
    )
    names = [(str(each[0]), str(each[1])) for each in counted]
    return tuple(
        f"{schema}.{name}"
        for schema, name in names
        # pg_restore prints a line break in a name as a blank
        if f" TABLE DATA {schema} {name} ".replace("\n", " ") not in contents
    )


def telling(say: Say) -> Say:
    """Of what the tools say with --verbose, the lines that show progress."""

    def line(text: str) -> None:
        if _TELLING.search(text):
            say(_NOISE.sub("", text).strip())

    return line


def jobs() -> int:
    """How many connections restore at once."""
    return max(1, min(4, os.cpu_count() or 1))
