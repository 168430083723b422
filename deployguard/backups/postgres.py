"""Backups of a PostgreSQL database: counted and dumped in one snapshot, read back whole, restored by a swap."""

import re
import secrets
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from deployguard.backups import catalogue, opening, pgtools, room, sealed
from deployguard.backups.base import (
    NOT_MIGRATED,
    BackupRequest,
    Say,
    Site,
    TransientFailure,
    failed,
    want_store,
)
from deployguard.backups.pgargv import Form
from deployguard.backups.postgres_dump import APPLICATION, PASSES, dump, dump_globals, facts
from deployguard.backups.postgres_scope import narrowed, scope_argv
from deployguard.backups.postgres_source import caught_up, check, is_standby
from deployguard.backups.postgres_verify import read_back
from deployguard.backups.progress import Pace
from deployguard.config import DatabaseUrl
from deployguard.database import slot
from deployguard.database.counting import Counted, counting
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.snapshot import Instant, exported, sequences
from deployguard.errors import BackupFailed, DeployguardError, EnvironmentUnreachable
from deployguard.model import BackupRecord, Drilled, Json, Restored, Verification

NAME_BYTES: Final = 63  # of a database's name, PostgreSQL's limit


@dataclass(slots=True)
class PostgresBackups:
    """The backup store of one PostgreSQL database."""

    site: Site

    _primary: DatabaseUrl | None = field(default=None, init=False, repr=False)
    _whole: BackupRecord | None = field(
        default=None, init=False, repr=False
    )  # the last one that was read back

    def database(self) -> PostgresDatabase:
        """The database that is restored into."""
        return PostgresDatabase(self.primary(), address=self.site.address)

    def source(self) -> PostgresDatabase:
        """The database that backups are read from: the server itself, or a replica of it."""
        return PostgresDatabase(self.site.source or self.site.url, address=self.site.address)

    def primary(self) -> DatabaseUrl:
        """The URL for a restore: the one for backups, unless a replica is behind it, which takes no change."""
        if self._primary is None:
            self._primary = self.site.url
            if self.site.source is not None:
                with self.source() as database:
                    if not is_standby(database):
                        self._primary = self.site.source
        return self._primary

    def preflight(self) -> None:
        self._preflight()

    def _preflight(self) -> tuple[pgtools.Tools, Form]:
        room.writable(self.site.folder)
        self.sweep()
        with self.source() as database:
            check(self.site, database)
            tools = pgtools.choose(self.site, database.server_version[0], "The server")
            form = pgtools.form(self.site, tools)
            now = database.size()
            # the first time: a dump is compressed, and has no indexes
            size = room.expected(self.site, database.name, now, otherwise=now // 2)
        if self.site.config.encrypt_to:
            opening.sealing(self.site)
            size *= 2  # what is encrypted is decrypted beside it, to be read back
        room.need(self.site.folder, size, "the backup")
        return tools, form

    def sweep(self) -> tuple[str, ...]:
        """Remove what a killed attempt left, and end its pg_dump: its locks would hold up a migration."""
        removed = sealed.sweep(self.site.folder)
        with self.source() as database:
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
        tools, form = room.retrying(self._preflight, self.site, self.site.say)
        return room.retrying(lambda: self._take(request, tools, form), self.site, self.site.say)

    def _take(self, request: BackupRequest, tools: pgtools.Tools, form: Form) -> BackupRecord:
        created, began = self.site.now(), time.monotonic()
        identifier = catalogue.new_id(
            self.site.project, self.site.environment, created, secrets.token_hex(2)
        )
        key = opening.sealing(self.site)
        with (
            sealed.drafting(self.site.folder, identifier, key.close if key else None) as draft,
            self.source() as database,
        ):
            try:
                caught_up(self.site, database)
                seen = self._dump(tools, form, database, draft, request)
                unrecorded = (
                    dump_globals(self.site, tools, database, draft) if request.scope.whole else ""
                )
            except EnvironmentUnreachable as error:
                raise self._lost(error) from None
            except BackupFailed:
                self._end(database, identifier)
                raise
            draft.finish_all()
            instant, counted, after = seen
            draft.write_json(
                sealed.EVIDENCE,
                {**facts(instant, counted, after), "globals_missing": unrecorded},
            )
            record = opening.encrypted(
                BackupRecord(
                    id=identifier,
                    store="postgresql",
                    environment=self.site.environment,
                    database=database.name,
                    created=created,
                    folder=identifier,
                    files={},
                    revision=instant.revision,
                    counts=counted.exact,
                    estimates=counted.estimates,
                    seconds=time.monotonic() - began,
                    reason=request.reason,
                    deploy=request.deploy,
                    git_commit=request.git_commit,
                    git_tag=request.git_tag,
                    images=request.images,
                    tools={
                        "pg_dump": tools.version,
                        "server": instant.server,
                        "database_bytes": str(instant.bytes),
                    },
                    layout=form.layout,
                    compression=form.compression,
                    jobs=form.jobs,
                    scope=request.scope,
                ),
                key,
            )
            opening.prove(self.site, draft, record, key, lambda there: read_back(self.site, there))
            return sealed.seal(draft, record)

    def _slot(self, name: str) -> str:
        """The slot to make; "" where the backup's role could make one that the deploy's role could never drop."""
        if not name or self.site.source is None:
            return name
        with PostgresDatabase(self.site.url, address=self.site.address) as deploying:
            if slot.may_use(deploying.session):
                return name
        self.site.say("no replication slot: the role of database_url may not drop it")
        return ""

    def _dump(
        self,
        tools: pgtools.Tools,
        form: Form,
        database: PostgresDatabase,
        draft: sealed.Draft,
        request: BackupRequest,
    ) -> tuple[Instant, Counted, Mapping[str, int | None]]:
        """Dump and count beside each other; what was seen, and the sequences after it."""
        site, application, scope = self.site, APPLICATION + draft.id, request.scope
        with (
            exported(
                database,
                application=application,
                version_table=site.version_table,
                slot_name=self._slot(request.slot),
            ) as whole,
            counting(
                database,
                instant := narrowed(whole, scope),
                application=application,
                jobs=pgtools.connections(site),
                budget=site.config.count_budget,
                on_table=self._counting(),
            ) as count,
        ):
            dump(
                site,
                tools,
                form,
                database=database,
                instant=instant,
                draft=draft,
                scope=scope_argv(whole, scope),
                check=count.check,
            )
            counted = count.finish()
        for table, rows in counted.estimates.items():
            about = "unknown" if rows is None else f"about {rows}"
            site.say(f"no time to count {table}: {about} rows by the planner's statistics")
        return instant, counted, sequences(database)

    def _end(self, database: PostgresDatabase, identifier: str) -> None:
        """End what a dump that failed left on the server: a pg_dump that is killed leaves its helpers behind."""
        with suppress(EnvironmentUnreachable):
            database.terminate(APPLICATION + identifier)

    def _counting(self) -> Callable[[str, int, int], None]:
        pace = Pace(self.site.say, self.site.every)
        return lambda label, number, of: pace(f"counting {label} ({number} of {of})")

    def _lost(self, error: EnvironmentUnreachable) -> BackupFailed:
        if PASSES.search(error.message):
            return TransientFailure(error.message, state=NOT_MIGRATED)
        return failed(error.message)

    def verify(self, record: BackupRecord) -> Verification:
        want_store(record, "postgresql")
        problems, evidence = self._read(record)
        found = Verification(not problems, (*problems, *evidence), self.site.now())
        catalogue.keep_verification(self.site.folder, record, found)
        self._whole = record if found.ok else None
        return found

    def _read(self, record: BackupRecord) -> tuple[list[str], list[str]]:
        """(problems, evidence): the digests of the files are taken beside pg_restore, which has one processor."""
        with ThreadPoolExecutor(1) as beside:
            sums = beside.submit(sealed.check_files, self.site.folder, record)
            try:
                problems, more = opening.read(
                    self.site, record, lambda there: read_back(self.site, there)
                )
            except (DeployguardError, OSError):
                if not sums.result()[0]:
                    raise
                problems, more = [], []
        damaged, evidence = sums.result()
        # A file that is not as it was sealed says more than what pg_restore makes of it.
        return (damaged, []) if damaged else (problems, evidence + more)

    def damages(self, record: BackupRecord) -> tuple[str, ...]:
        """What is wrong with a backup, before it is restored.

        What we have read back already needs only to be the very same files still.
        """
        if self._whole == record:
            return tuple(sealed.check_files(self.site.folder, record)[0])
        found = self.verify(record)
        return () if found.ok else found.evidence

    def drill(self, record: BackupRecord) -> Drilled:
        from deployguard.backups import postgres_drill

        return postgres_drill.drill(self, record)

    def restore(
        self, record: BackupRecord, *, kept_as: str, on_progress: Say, still: Json = None
    ) -> Restored:
        from deployguard.backups import postgres_restore

        return postgres_restore.restore(self, record, kept_as, on_progress, still)

    def restored(self, record: BackupRecord, *, kept_as: str) -> bool:
        from deployguard.backups import postgres_restore

        return postgres_restore.restored(self, record, kept_as)
