"""Backups of a SQLite file: the online backup API, read back whole, restored by replacing the file."""

import secrets
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

from deployguard.backups import catalogue, file_swap, room, sealed
from deployguard.backups.base import (
    NOT_MIGRATED,
    UNTOUCHED,
    BackupRequest,
    Say,
    Site,
    TransientFailure,
    failed,
)
from deployguard.database import same_counts
from deployguard.database.file_writes import file_since
from deployguard.database.sqlite import count_all, identifier, open_file, table_names
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.model import BackupRecord, Drilled, Json, Restored, Verification

DATA: Final = "database.sqlite3"
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
            room.need(self.site.folder, _bytes(self.path), "the backup")

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
        with sealed.drafting(self.site.folder, identifier) as draft:
            try:
                counts, revision, broken = self._copy(draft.path(DATA))
            except (sqlite3.Error, EnvironmentUnreachable) as error:
                raise self._why(str(error)) from None
            draft.finish(DATA)
            draft.write_json(
                sealed.EVIDENCE,
                {
                    "counts": dict(counts),
                    "revision": list(revision),
                    "foreign_key_violations": broken,
                    "database_bytes": _bytes(self.path),
                },
            )
            return sealed.seal(
                draft,
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
                ),
            )

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
        deadline = time.monotonic() + self.site.config.timeout
        told = 0

        def look(status: int, remaining: int, total: int) -> None:  # noqa: ARG001 - SQLite's signature
            nonlocal told
            if time.monotonic() > deadline:
                raise TransientFailure(
                    f"The backup of {self.path} took longer than {self.site.config.timeout} seconds.",
                    state=NOT_MIGRATED,
                )
            percent = 100 * (total - remaining) // max(1, total)
            if percent >= told + 10:
                told = percent
                self.site.say(f"{percent} % of {total} pages copied")

        return look

    def _why(self, text: str) -> BackupFailed:
        if "full" in text or room.free(self.site.folder) == 0:
            return sealed.full(self.site.folder)
        message = f"The backup of {self.path} failed: {text.rstrip('.')}."
        if "locked" in text or "busy" in text:
            return TransientFailure(message, state=NOT_MIGRATED)
        return failed(message)

    def verify(self, record: BackupRecord) -> Verification:
        problems, evidence = sealed.check_files(self.site.folder, record)
        if not problems:
            problems, more = check_contents(self.site.folder / record.folder, record)
            evidence += more
        found = Verification(not problems, (*problems, *evidence), self.site.now())
        catalogue.keep_verification(self.site.folder, record, found)
        return found

    def drill(self, record: BackupRecord) -> Drilled:
        from deployguard.backups import sqlite_drill

        return sqlite_drill.drill(self.site, record, self.verify(record))

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
        source = self.site.folder / record.folder / DATA
        room.need(self.path.parent, source.stat().st_size, "the restored database")
        with file_swap.beside(self.path, source) as fresh:
            with closing(_immutable(fresh)) as link:
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


def check_contents(folder: Path, record: BackupRecord) -> tuple[list[str], list[str]]:
    """(problems, evidence) from opening the copy and reading every page and row of it."""
    facts = sealed.read_json(folder / sealed.EVIDENCE)
    problems, evidence = list[str](), list[str]()
    if facts.get("counts") != dict(record.counts) or facts.get("revision") != [*record.revision]:
        problems.append("the manifest's counts or revision are not those that were taken")
    try:
        with closing(_immutable(folder / DATA)) as link:
            said = [str(row[0]) for row in link.execute("PRAGMA integrity_check(5)")]
            if said != ["ok"]:
                problems.append(f"integrity_check: {said[0]}")
            broken = len(link.execute("PRAGMA foreign_key_check").fetchall())
            if broken != facts.get("foreign_key_violations"):
                problems.append(f"foreign_key_check: {broken} rows without their parent")
            problems += same_counts(record.counts, count_all(link))
    except sqlite3.Error as error:
        problems.append(f"it cannot be read as a database: {error}")
        return problems, evidence
    if not problems:
        evidence.append("integrity_check and foreign_key_check found nothing new")
        evidence.append(f"{sum(record.counts.values())} rows in {len(record.counts)} tables")
    return problems, evidence


def _plain(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _immutable(path: Path) -> sqlite3.Connection:
    """A connection that takes no lock and leaves no file beside: for files that nobody else uses."""
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True, isolation_level=None
    )


def _revision(link: sqlite3.Connection, version_table: str) -> tuple[str, ...]:
    if version_table not in table_names(link):
        return ()
    query = f"SELECT version_num FROM {identifier(version_table)}"  # noqa: S608 - quoted
    return tuple(sorted(str(row[0]) for row in link.execute(query)))


def _bytes(path: Path) -> int:
    beside = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in beside if file.exists())
