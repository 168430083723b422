"""Backups of an RDS instance or an Aurora cluster: a snapshot that AWS keeps, and a sealed manifest that we keep.

AWS copies the volume; the rows are counted beside it, not inside, and the evidence says so. A snapshot that no longer
exists, or is not the one that was taken, is not a backup.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from deployguard.backups import catalogue, rds_snapshots, rds_sweep, room, sealed
from deployguard.backups.base import (
    NOT_MIGRATED,
    BackupRequest,
    Say,
    Site,
    TransientFailure,
    failed,
    want_store,
)
from deployguard.backups.rds_api import Api, AwsError, AwsUnreachable
from deployguard.backups.rds_evidence import Beside, look_beside, written_since
from deployguard.backups.rds_snapshots import Snapshot
from deployguard.backups.rds_source import (
    READY,
    Kind,
    chosen,
    described,
    kept_name,
    own_tags,
    refuse,
    snapshot_name,
)
from deployguard.backups.rds_wait import Patience, Seen, wait
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from deployguard.model import BackupRecord, Drilled, Json, Restored, Verification

SNAPSHOT: Final = "snapshot.json"
SKEW: Final = timedelta(minutes=15)  # AWS refuses calls from clocks that are further off


@dataclass(slots=True)
class RdsBackups:
    """The backup store of one instance or cluster."""

    site: Site
    kind: Kind = field(init=False)
    name: str = field(init=False)
    _api: Api | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.kind, self.name = chosen(self.site.rds)

    @property
    def api(self) -> Api:
        if self._api is None:
            self._api = Api(self.site)
        return self._api

    def close(self) -> None:
        """Let the connections to AWS go."""
        if self._api is not None:
            self._api.close()
            self._api = None

    @property
    def patience(self) -> Patience:
        return Patience(self.site.rds.timeout, self.site.rds.poll)

    def preflight(self) -> None:
        room.writable(self.site.folder)
        self._names("manual", self.site.now(), "")
        own_tags(self.site.rds, {})
        note = refuse(
            self.kind, self.name, described(self.api, self.kind, self.name), self.site.url
        )
        if note:
            self.site.say(f"Note: {note}.")
        self.sweep()

    def sweep(self) -> tuple[str, ...]:
        """Remove what killed attempts left: in the folder, and the snapshots that they had asked AWS for."""
        removed = sealed.sweep(self.site.folder)
        try:
            return (*removed, *rds_sweep.sweep(self.api, self.kind, self.name))
        except (EnvironmentUnreachable, BackupFailed) as error:
            self.site.say(f"Unfinished snapshots could not be looked for: {error.message}")
            return removed

    def kept_name(self, deploy: str) -> str:
        return kept_name(self.name, deploy)

    def take(self, request: BackupRequest) -> BackupRecord:
        request.want_whole("a snapshot of RDS")
        with self._translated():
            self.preflight()
        created, began = self.site.now(), time.monotonic()
        identifier = catalogue.new_id(
            self.site.project, self.site.environment, created, secrets.token_hex(2)
        )
        names = self._names(request.reason, created, identifier)
        with sealed.drafting(self.site.folder, identifier) as draft:
            self._wait_for_source()
            beside = look_beside(self.site)
            try:
                snapshot = self._snapshot(request, identifier, names, beside)
                written = written_since(self.site, beside)
                draft.write_json(SNAPSHOT, snapshot.facts())
                draft.write_json(sealed.EVIDENCE, beside.facts(written))
                timing = (created, time.monotonic() - began)
                record = sealed.seal(
                    draft, self._record(request, identifier, timing, snapshot, beside)
                )
            except BaseException as error:
                self._abandon(names, identifier, error)
                raise
            with suppress(AwsError):  # the next sweep makes up for it
                rds_sweep.mark(self.api, snapshot, identifier)
        return record

    def _record(
        self,
        request: BackupRequest,
        identifier: str,
        timing: tuple[datetime, float],
        snapshot: Snapshot,
        beside: Beside,
    ) -> BackupRecord:
        return BackupRecord(
            id=identifier,
            store="rds",
            environment=self.site.environment,
            database=beside.database or self.site.url.database,
            created=timing[0],
            folder=identifier,
            files={},
            revision=beside.revision,
            counts=beside.counts,
            seconds=timing[1],
            reason=request.reason,
            deploy=request.deploy,
            git_commit=request.git_commit,
            git_tag=request.git_tag,
            images=request.images,
            tools={
                "engine": f"{snapshot.engine} {snapshot.version}",
                "snapshot": snapshot.name,
                "region": self.api.region,
                "storage_gigabytes": str(snapshot.gigabytes),
            },
        )

    def _snapshot(
        self, request: BackupRequest, identifier: str, names: tuple[str, ...], beside: Beside
    ) -> Snapshot:
        """The finished snapshot; another try takes over what the first one asked for."""
        tags = own_tags(
            self.site.rds,
            {
                "id": identifier,
                "project": self.site.project,
                "environment": self.site.environment,
                "class": request.reason,
                "deploy": request.deploy or "",
                "revision": " ".join(beside.revision),
                "folder": rds_sweep.owner(self.site.folder),
            },
        )
        asked = self.site.now()

        def attempt() -> Snapshot:
            with self._translated():
                one = rds_snapshots.create(
                    self.api, self.kind, self.name, names=names, tags=tags, owner=identifier
                )
                return self._finished(one, asked)

        return room.retrying(attempt, self.site, self.site.say)

    def _finished(self, one: Snapshot, asked: datetime) -> Snapshot:
        wait(
            partial(self._seen, one.name),
            f"snapshot {one.name}",
            self.patience,
            sleep=self.site.sleep,
            say=self.site.say,
            fail=failed,
        )
        found = rds_snapshots.find(self.api, self.kind, one.name)
        if found is None or found.arn != one.arn or found.source != self.name:
            raise failed(f"The snapshot {one.name} is not the one that was asked for.")
        if found.created is None or found.created < asked - SKEW:
            raise failed(f"The snapshot {one.name} is of {found.created}, before it was asked for.")
        return found

    def _seen(self, name: str) -> Seen | None:
        found = rds_snapshots.find(self.api, self.kind, name)
        return None if found is None else found.seen

    def _wait_for_source(self) -> None:
        """Another snapshot, or a change, may be going on: AWS would refuse ours meanwhile."""

        def look() -> Seen:
            return Seen(str(described(self.api, self.kind, self.name).get(self.kind.state, "")))

        with self._translated():
            wait(
                look,
                f"{self.kind.word} {self.name}",
                Patience(self.site.rds.timeout, self.site.rds.poll, READY),
                sleep=self.site.sleep,
                say=self.site.say,
                fail=failed,
            )

    def _abandon(self, names: tuple[str, ...], identifier: str, error: BaseException) -> None:
        """Delete what the failed attempt made, without waiting; what cannot be deleted yet is named."""
        for name in names:
            with self.api.hurried():
                try:
                    found = rds_snapshots.find(self.api, self.kind, name)
                    if found is not None and found.tags.get("id") == identifier:
                        rds_snapshots.delete(self.api, self.kind, name, identifier)
                except (AwsError, BackupFailed):
                    left = f" The snapshot {name} may be left; the next backup deletes it."
                    if isinstance(error, BackupFailed):
                        error.message += left
                    self.site.say(left.strip())
                    return

    def verify(self, record: BackupRecord) -> Verification:
        from deployguard.backups.rds_verify import check

        want_store(record, "rds")
        where = record.tools.get("region")
        if where not in (None, self.api.region):  # there, nobody has asked
            raise UsageError(
                f"{record.id} is a snapshot in {where}; [rds] region is {self.api.region} now."
            )
        problems, evidence = sealed.check_files(self.site.folder, record)
        if not problems:
            facts = sealed.read_json(self.site.folder / record.folder / SNAPSHOT)
            taken = sealed.read_json(self.site.folder / record.folder / sealed.EVIDENCE)
            found = rds_snapshots.find(self.api, self.kind, str(facts.get("name", "")))
            problems, more = check(record, facts, taken, found, self.site.now())
            evidence += more
        seen = Verification(not problems, (*problems, *evidence), self.site.now())
        catalogue.keep_verification(self.site.folder, record, seen)
        return seen

    def drill(self, record: BackupRecord) -> Drilled:
        raise UsageError(
            f"{record.id} is a snapshot of RDS: it can only be restored to a new instance, which costs money, so"
            " deployguard does not do that for practice. Restore it by hand once, and look at it."
        )

    def restore(
        self, record: BackupRecord, *, kept_as: str, on_progress: Say, still: Json = None
    ) -> Restored:
        from deployguard.backups import rds_restore

        return rds_restore.restore(self, record, kept_as, on_progress, still)

    def restored(self, record: BackupRecord, *, kept_as: str) -> bool:
        from deployguard.backups import rds_restore

        return rds_restore.restored(self, record, kept_as)

    def release(self, record: BackupRecord) -> Callable[[], None]:
        """Let go of a backup's snapshot, as ``rds_sweep.release`` says."""
        facts = sealed.read_json(self.site.folder / record.folder / SNAPSHOT)
        where = record.tools.get("region", "")
        return rds_sweep.release(self.api, self.kind, str(facts.get("name", "")), record.id, where)

    def _names(self, reason: str, at: datetime, identifier: str) -> tuple[str, ...]:
        """What a snapshot is to be called, and what else when somebody has that name already."""
        name = snapshot_name(
            self.site.rds.snapshot,
            project=self.site.project,
            environment=self.site.environment,
            reason=reason,
            at=at,
        )
        return name, f"{name}-{identifier.rpartition('-')[2]}"

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """AWS's errors as those of a backup."""
        try:
            yield
        except AwsUnreachable as error:
            raise TransientFailure(error.message, state=NOT_MIGRATED) from None
        except AwsError as error:
            raise failed(error.message) from None
