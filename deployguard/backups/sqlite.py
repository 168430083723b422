"""Backups of a SQLite file: the online backup API, read back whole, restored by replacing the file."""

import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from deployguard.backups import catalogue, file_swap, opening, room, sealed, sqlite_dump, streams
from deployguard.backups.base import (
    NOT_MIGRATED,
    UNTOUCHED,
    BackupRequest,
    Say,
    Site,
    TransientFailure,
    Unreadable,
    failed,
    want_store,
)
from deployguard.backups.pgargv import Form, form_of
from deployguard.backups.sqlite_check import DATA, check_contents, immutable, integrity
from deployguard.database import same_counts
from deployguard.database.file_writes import file_since
from deployguard.database.sqlite import count_all, identifier, open_file, table_names, unreadable
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.model import BackupRecord, Drilled, Json, Restored, Verification

PAGES: Final = 2048  # copied between two looks at the clock
BUSY: Final = 0.25  # seconds between two looks at a file that somebody has locked


@dataclass(slots=True)
class SqliteBackups:
    """The backup store of one SQLite file."""

    site: Site

    @property
    def path(self) -> Path:
        return self.site.url.sqlite_path(self.site.directory)

    def preflight(self) -> None:
        room.writable(self.site.folder)
        self.sweep()
        if self.path.exists():
            config = self.site.config
            copies = 1 + bool(config.encrypt_to) + (config.format == "plain")
            room.need(self.site.folder, copies * _bytes(self.path), "the backup")
        opening.sealing(self.site)

    def sweep(self) -> tuple[str, ...]:
        return sealed.sweep(self.site.folder)

    def kept_name(self, deploy: str) -> str:
        return f"{self.path.name}.failed-{deploy}"

    def take(self, request: BackupRequest) -> BackupRecord:
        request.want_whole("SQLite")
        # A first deploy has none yet, and a restore may be why there is none.
        if not self.path.exists() and request.reason not in ("pre-deploy", "emergency"):
            raise failed(f"There is no database file {self.path}, so there is nothing to back up.")
        self.preflight()
        return room.retrying(lambda: self._take(request), self.site, self.site.say)

    def _take(self, request: BackupRequest) -> BackupRecord:
        created, began = self.site.now(), time.monotonic()
        identifier = catalogue.new_id(
            self.site.project, self.site.environment, created, secrets.token_hex(2)
        )
        key, form = opening.sealing(self.site), self._form()
        with sealed.drafting(self.site.folder, identifier, key.close if key else None) as draft:
            try:
                counts, revision, broken = self._copy(draft.path(DATA))
                draft.finish(self._written(draft, form) if form else DATA)
            except sqlite3.Error as error:
                raise self._why(unreadable(self.path, error)) from None
            except EnvironmentUnreachable as error:
                raise self._why(error) from None
            draft.write_json(
                sealed.EVIDENCE,
                {
                    "counts": dict(counts),
                    "revision": list(revision),
                    "foreign_key_violations": broken,
                    "database_bytes": _bytes(self.path),
                },
            )
            record = opening.encrypted(
                BackupRecord(
                    id=identifier,
                    store="sqlite",
                    environment=self.site.environment,
                    database=self.path.name,
                    created=created,
                    folder=identifier,
                    files={},
                    revision=revision,
                    counts=counts,
                    seconds=time.monotonic() - began,
                    reason=request.reason,
                    deploy=request.deploy,
                    git_commit=request.git_commit,
                    git_tag=request.git_tag,
                    images=request.images,
                    tools={
                        "sqlite": sqlite3.sqlite_version,
                        "database_bytes": str(_bytes(self.path)),
                    },
                    layout=form.layout if form else "",
                    compression=form.compression if form else "",
                    format=opening.FORMAT if form else 2,
                ),
                key,
            )
            opening.prove(self.site, draft, record, key, self._look)
            return sealed.seal(draft, record)

    def _copy(self, target: Path) -> tuple[dict[str, int], tuple[str, ...], int]:
        """Copy in one read transaction: what is counted is what is copied, whoever writes meanwhile."""
        with sealed.open_private(target):
            pass  # made before SQLite would make it with the umask's permissions
        if not self.path.exists():  # the state before a first deploy: empty, and so is this file
            return {}, (), 0
        with closing(open_file(self.path)) as source, closing(_plain(target)) as copy:
            counts = count_all(source, keep_open=True)
            revision = _revision(source, self.site.version_table)
            source.backup(copy, pages=PAGES, progress=self._progress(), sleep=BUSY)
            source.execute("ROLLBACK")
            broken = len(copy.execute("PRAGMA foreign_key_check").fetchall())
        return counts, revision, broken

    def _progress(self) -> Callable[[int, int, int], None]:
        """Told of every few pages: the time-out counts from the last one that was copied."""
        moved, told, left = time.monotonic(), 0, -1

        def look(status: int, remaining: int, total: int) -> None:  # noqa: ARG001 - SQLite's signature
            nonlocal moved, told, left
            if remaining != left:
                moved, left = time.monotonic(), remaining
            if time.monotonic() - moved > self.site.config.timeout:
                raise TransientFailure(
                    f"No page of {self.path} was copied for {self.site.config.timeout} seconds.",
                    state=NOT_MIGRATED,
                )
            percent = 100 * (total - remaining) // max(1, total)
            if percent >= told + 10:
                told = percent
                self.site.say(f"{percent} % of {total} pages copied")

        return look

    def _written(self, draft: sealed.Draft, form: Form) -> str:
        """The copy, which nobody else has, as SQL in its own place; the file's name."""
        copy = draft.path(DATA)
        with closing(immutable(copy)) as link:
            said = integrity(link)
        if said:
            raise sqlite3.DatabaseError(f"the database is malformed (integrity_check: {said})")
        sqlite_dump.write(copy, draft.path(form.data), form.compression.partition(":")[2])
        copy.unlink()
        return form.data

    def _form(self) -> Form | None:
        """How the file is dumped as SQL; None: it is copied."""
        config = self.site.config
        if config.format != "plain":
            return None
        return Form("plain", "gzip" if config.compression == "auto" else config.compression)

    def _why(self, error: EnvironmentUnreachable) -> BackupFailed:
        text = error.message
        if "full" in text or room.free(self.site.folder) == 0:
            return sealed.full(self.site.folder)
        message = f"The backup of {self.path} failed: {text.rstrip('.')}."
        kind = TransientFailure if "locked" in text or "busy" in text else BackupFailed
        return kind(message, state=NOT_MIGRATED, next_commands=error.next_commands)

    def verify(self, record: BackupRecord) -> Verification:
        want_store(record, "sqlite")
        problems, evidence = sealed.check_files(self.site.folder, record)
        if not problems:
            problems, more = opening.read(self.site, record, self._look)
            evidence += more
        found = Verification(not problems, (*problems, *evidence), self.site.now())
        catalogue.keep_verification(self.site.folder, record, found)
        return found

    def _look(self, record: BackupRecord) -> tuple[list[str], list[str]]:
        try:
            with self._file(record) as there:
                return check_contents(self.site.folder / there.folder, there)
        except Unreadable as error:
            return [error.message.rstrip(".")], []

    @contextmanager
    def _file(self, record: BackupRecord) -> Iterator[BackupRecord]:
        """A backup that is open, as a file: of a dump one is made, which is gone after the block."""
        if record.layout != "plain":
            yield record
            return
        folder, dump = self.site.folder, form_of(record).data
        room.need(folder, int(record.tools.get("database_bytes", "0")), "the file")
        with sealed.aside(folder, record.id) as aside:
            try:
                with sealed.turned_clear(folder):
                    shutil.copyfile(
                        folder / record.folder / sealed.EVIDENCE, aside / sealed.EVIDENCE
                    )
                    sqlite_dump.load(folder / record.folder / dump, aside / DATA)
            except (streams.Broken, sqlite3.Error, ValueError) as error:
                if "full" in str(error):
                    raise sealed.full(folder) from None
                raise Unreadable(
                    f"{dump} cannot be read to its end: {error}.", state=UNTOUCHED
                ) from None
            yield replace(record, folder=aside.name)

    def drill(self, record: BackupRecord) -> Drilled:
        from deployguard.backups import sqlite_drill

        return sqlite_drill.drill(self.site, record, self.verify(record), self._file)

    def restore(
        self, record: BackupRecord, *, kept_as: str, on_progress: Say, still: Json = None
    ) -> Restored:
        began = time.monotonic()
        done = file_swap.already(self.path, kept_as, record.id)
        if not done:
            self._bring_back(record, kept_as, on_progress, still)
        with closing(open_file(self.path)) as link:
            counts = count_all(link)
        kept = kept_as if self.path.with_name(kept_as).exists() else ""
        return Restored(self.path.name, kept, counts, time.monotonic() - began)

    def restored(self, record: BackupRecord, *, kept_as: str) -> bool:
        return file_swap.already(self.path, kept_as, record.id)

    def _bring_back(
        self, record: BackupRecord, kept_as: str, on_progress: Say, still: Json
    ) -> None:
        on_progress(f"reading backup {record.id} back")
        found = self.verify(record)
        if not found.ok:
            raise BackupFailed(
                f"Backup {record.id} is damaged and cannot be restored: {found.evidence[0]}.",
                state=UNTOUCHED,
                next_commands=("deployguard backup list",),
            )
        with opening.opened(self.site, record) as plain, self._file(plain) as there:
            self._replace(there, kept_as, on_progress, still)

    def _replace(self, record: BackupRecord, kept_as: str, on_progress: Say, still: Json) -> None:
        source = self.site.folder / record.folder / DATA
        room.need(self.path.parent, source.stat().st_size, "the restored database")
        with file_swap.beside(self.path, source) as fresh:
            with closing(immutable(fresh)) as link:
                differences = same_counts(record.counts, count_all(link))
            if differences:
                raise BackupFailed(f"The restored copy differs: {differences[0]}.", state=UNTOUCHED)
            on_progress(f"putting it in the place of {self.path.name}")
            file_swap.swap(
                self.path,
                fresh,
                kept_as,
                record.id,
                None if still is None else lambda: file_since(self.path, still),
            )


def _plain(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _revision(link: sqlite3.Connection, version_table: str) -> tuple[str, ...]:
    if version_table not in table_names(link):
        return ()
    query = f"SELECT version_num FROM {identifier(version_table)}"  # noqa: S608 - quoted
    return tuple(sorted(str(row[0]) for row in link.execute(query)))


def _bytes(path: Path) -> int:
    beside = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in beside if file.exists())
