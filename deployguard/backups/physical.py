"""Base backups of a whole PostgreSQL cluster: copied, sealed, read back; a full one, or what has changed since."""

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from deployguard.backups import (
    catalogue,
    pgtools,
    physical_argv,
    physical_record,
    physical_server,
    physical_tools,
    room,
    sealed,
)
from deployguard.backups.base import Site
from deployguard.backups.physical_record import DATA, BaseBackup, Bases
from deployguard.backups.physical_server import Server
from deployguard.backups.postgres_dump import environment
from deployguard.backups.progress import Pace
from deployguard.config import PhysicalConfig
from deployguard.database import libpq
from deployguard.database.postgresql import PostgresDatabase
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from deployguard.model import Verification
from deployguard.process import Completed, run
from deployguard.wal import Archive, compression, reach, segment

APPLICATION: Final = "deployguard-physical:"
TOLD: Final = 5  # problems that are told one by one
_SHARE: Final = 10  # of a cluster, one part of so many may have changed since the backup before
_AGAIN: Final = "deployguard backup physical create"


@dataclass(frozen=True, slots=True)
class PhysicalBackups:
    """The base backups of one cluster. ``site.source`` is the URL to take them by, where there is another."""

    site: Site
    config: PhysicalConfig

    @property
    def folder(self) -> Path:
        return (self.site.directory / self.config.directory).resolve()

    @property
    def archive(self) -> Archive:
        """The archive of its log."""
        folder = (self.site.directory / self.config.wal_directory).resolve()
        return Archive(folder, compression(self.config.compression) or 0)

    def database(self) -> PostgresDatabase:
        return PostgresDatabase(self.site.source or self.site.url, address=self.site.address)

    def listing(self) -> Bases:
        return physical_record.listing(self.folder, self.site.environment)

    def sweep(self, database: PostgresDatabase) -> None:
        """Remove what a killed attempt left, and end its pg_basebackup, which may go on by itself."""
        for name in sealed.sweep(self.folder):
            if name.startswith(sealed.PARTIAL):
                database.terminate(APPLICATION + name.removeprefix(sealed.PARTIAL))

    def take(self, *, incremental: bool = False) -> BaseBackup:
        """Take a base backup and seal it.

        Raises UsageError, BackupFailed or EnvironmentUnreachable; then nothing is left.
        """
        if self.site.config.encrypt_to and not self.config.unencrypted:
            raise UsageError(
                "[backup] encrypt_to wants encrypted backups, and base backups are not: they are read where they lie."
                " Put them and the archive on an encrypted disk, and set [physical] unencrypted = true.",
                state=physical_server.UNTAKEN,
            )
        room.writable(self.folder)
        with self.database() as database:
            server = physical_server.ask(database)
            physical_server.fit(server, incremental=incremental)
            programs = physical_server.tools(self.site, self.config, server)
            self.sweep(database)
            size = server.size // (_SHARE if incremental else 1)
            room.need(self.folder, size + 2 * server.segment_bytes, "the base backup")
            created, began = self.site.now(), time.monotonic()
            identifier = catalogue.new_id(
                self.site.project, self.site.environment, created, secrets.token_hex(2)
            )
            with sealed.drafting(self.folder, identifier) as draft:
                parent = self._parent(server) if incremental else None
                done = self._copy(programs, database, draft, parent)
                if not done.ok:
                    raise self._why(done)
                record = replace(
                    self._described(draft, server, parent),
                    database=PostgresDatabase(self.site.url).name,
                    created=created,
                    finished=physical_server.ask(database).now,
                    seconds=round(time.monotonic() - began, 3),
                    tools={"pg_basebackup": programs.version},
                )
                draft.write_json(sealed.EVIDENCE, {"server": server.version})
                sealed.place(draft, physical_record.encode(record))
        return record

    def _parent(self, server: Server) -> BaseBackup:
        """The newest verified one of this cluster. Raises UsageError when there is none."""
        for one in self.listing().records:
            found = catalogue.verification(self.folder, one)
            ours = one.system == server.system and one.major == server.major
            if ours and found is not None and found.ok:
                return one
        raise UsageError(
            "There is no verified base backup of this cluster that an incremental one could stand upon.",
            state=physical_server.UNTAKEN,
            next_commands=(_AGAIN,),
        )

    def _copy(
        self,
        programs: physical_tools.Programs,
        database: PostgresDatabase,
        draft: sealed.Draft,
        parent: BaseBackup | None,
    ) -> Completed:
        pace, lines = Pace(self.site.say, self.site.every), 0
        base = parent.data(self.folder) / physical_record.MANIFEST if parent else None

        def line(text: str) -> None:
            nonlocal lines
            lines += 1
            told = physical_argv.progress(text)
            if told:
                pace(told)

        application = APPLICATION + draft.id
        argv = physical_argv.basebackup_argv(
            programs.program("pg_basebackup"), draft.path(DATA), draft.id, self.config, parent=base
        )
        around = environment(self.site, database, as_tools(programs), application)
        try:
            return run(
                argv,
                env=around,
                timeout=self.site.config.timeout,
                on_line=line,
                redact=self.site.redact,
                moving=lambda: lines,
            )
        except BaseException:
            with suppress(EnvironmentUnreachable):
                database.terminate(application)
            raise

    def _described(
        self, draft: sealed.Draft, server: Server, parent: BaseBackup | None
    ) -> BaseBackup:
        """What was copied, looked at; its files belong to their owner only."""
        data = draft.path(DATA)
        size = count = 0
        for path in (data, *data.rglob("*")):
            if path.is_symlink():
                raise BackupFailed(
                    f"{path.name} is a link out of the cluster's folder, which a base backup does not follow.",
                    state=physical_server.UNTAKEN,
                )
            path.chmod(0o700 if path.is_dir() else 0o600)
            if path.is_file():
                size, count = size + path.stat().st_size, count + 1
        own = data / physical_record.MANIFEST
        timeline, start, stop = physical_record.ranges(own)
        return BaseBackup(
            id=draft.id,
            environment=self.site.environment,
            database="",
            created=server.now,
            finished=server.now,
            system=server.system,
            server=server.version,
            major=server.major,
            timeline=timeline,
            start=start,
            stop=stop,
            segment_bytes=server.segment_bytes,
            size=size,
            count=count,
            own=_seal(own),
            wal={path.name: _seal(path) for path in sorted((data / "pg_wal").glob("0*"))},
            superuser=server.superuser,
            seconds=0.0,
            parent=parent.id if parent else None,
            parent_sha=parent.own[1] if parent else "",
        )

    def _why(self, done: Completed) -> BackupFailed:
        if "No space left on device" in done.stderr or "Disk quota exceeded" in done.stderr:
            return sealed.full(self.folder)
        said = " ".join(line for line in done.stderr.splitlines() if "error:" in line)
        text = said or done.why()
        if done.timed_out:
            text = f"nothing was copied for {self.site.config.timeout} seconds, so it was stopped"
        return BackupFailed(
            f"pg_basebackup failed: {text.rstrip('.')}.",
            state=physical_server.UNTAKEN,
            next_commands=(_AGAIN,),
        )

    def verify(self, record: BaseBackup) -> Verification:
        """Read a base backup, and all that it stands upon, back completely; what was found is kept beside it."""
        problems, evidence = list[str](), list[str]()
        try:
            chain = self.listing().chain(record)
        except BackupFailed as error:
            chain, problems = (), [error.message]
        for former, one in zip((None, *chain), chain, strict=False):
            found = self.problems(one, former)
            problems += found
            if not found:
                evidence.append(f"{one.id}: {one.count} files, {one.size} bytes, as copied")
        if not problems:
            evidence.append(self.recoverable(record))
        made = Verification(not problems, (*problems[:TOLD], *evidence), self.site.now())
        catalogue.keep_verification(self.folder, record, made)
        return made

    def problems(self, record: BaseBackup, parent: BaseBackup | None) -> list[str]:
        """What is wrong with one base backup by itself: sealed files, every copied file, the log that it needs."""
        data = record.data(self.folder)
        files = {physical_record.MANIFEST: record.own}
        files |= {f"pg_wal/{name}": file for name, file in record.wal.items()}
        found = [text for name, file in files.items() if (text := _problem(data, name, file))]
        if parent is not None and parent.own[1] != record.parent_sha:
            found.append(f"{record.id} stands upon another {parent.id} than the one that is there")
        if found:
            return found
        programs = physical_tools.choose(
            self.site, self.config.pg_bin, record.major, physical_tools.READING, "The base backup"
        )
        return self.check(programs, data)

    def check(self, programs: physical_tools.Programs, data: Path) -> list[str]:
        """What pg_verifybackup says of a folder; [] is well."""
        self.site.say(f"reading {data.parent.name} back")
        done = run(
            physical_argv.verify_argv(programs.program("pg_verifybackup"), data),
            env=libpq.environment({}, self.site.environ) | {"LC_ALL": "C"},
        )
        if done.ok:
            return []
        lines = [line for line in done.stderr.splitlines() if "error:" in line]
        return [line.partition("error: ")[2] for line in lines] or [done.why()]

    def recoverable(self, record: BaseBackup) -> str:
        """How far the archive lets one go on from a base backup, in one sentence."""
        names, size = self.archive.names(), record.segment_bytes
        if self.archive.system() not in ("", record.system):
            return (
                "the archive is another cluster's: it can be restored as it was, to no later time"
            )
        found = reach(names, self.archive.histories(), record.first, size)
        if found.missing:
            return (
                f"the archive lacks {_some(found.missing)}: nothing that was written then, or after it, can be"
                " recovered from this backup on"
            )
        if not found.last:
            first = segment(*record.first, size)
            return f"the archive has nothing from {first} on: it can be restored as it was, to no later time"
        return f"the archive goes on without a gap to {found.last}"


def as_tools(programs: physical_tools.Programs) -> pgtools.Tools:
    """The same as those that dump."""
    return pgtools.Tools(programs.major, programs.version, programs.bin)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return names[0] + more


def _seal(path: Path) -> tuple[int, str]:
    return path.stat().st_size, sealed.digest(path)


def _problem(data: Path, name: str, file: tuple[int, str]) -> str:
    try:
        same = _seal(data / name) == file
    except OSError as error:
        return f"{name} cannot be read: {error.strerror}"
    return "" if same else f"{name} is damaged: it is not as it was sealed"
