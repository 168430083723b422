"""Copies of sealed backups in another place: made so that a listed copy is complete, found, fetched, deleted.

The manifest goes last and makes it a copy; what has none is a leftover that the next try goes on with. Each file is
compared after it was sent. Nothing is ever overwritten.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import Final

from deployguard.backups import catalogue, offsite_notes, offsite_repair, room, sealed
from deployguard.backups.base import Say
from deployguard.backups.offsite_base import (
    Damaged,
    ObjectStore,
    OffsiteFailed,
    Source,
    has_data,
    is_manifest,
    sha256,
)
from deployguard.backups.offsite_moving import Mover, together
from deployguard.backups.offsite_progress import Progress
from deployguard.errors import BackupFailed, DeployguardError, UsageError
from deployguard.model import BackupRecord, OffsiteCopy

_MANIFEST_MOST: Final = 64 << 20  # bytes; what is larger is no manifest


@dataclass(frozen=True, slots=True)
class Copies:
    """The complete copies in a place, newest first, and sentences on what is there and is none."""

    records: tuple[BackupRecord, ...]
    problems: tuple[str, ...] = ()


@dataclass(slots=True)
class Offsite:
    """The off-site place of one environment. ``folder`` is the local catalogue's.

    ``begin`` is how the ids of this project and environment begin: others may share the place.
    """

    store: ObjectStore
    folder: Path
    begin: str
    read_back: bool = True
    jobs: int = 1
    say: Say = lambda line: None  # noqa: ARG005 - says nothing
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)

    def describe(self) -> str:
        return self.store.describe()

    def preflight(self) -> None:
        """Look that the place answers. Raises EnvironmentUnreachable or OffsiteFailed."""
        with self._closing():
            self.store.preflight()

    def put(self, record: BackupRecord) -> OffsiteCopy:
        """Copy a sealed backup, or the rest of it, and note it beside the manifest.

        Raises OffsiteFailed or EnvironmentUnreachable; then no complete copy is listed that wasn't before.
        """
        if not has_data(record):
            raise UsageError(
                f"The data of {record.id} lie elsewhere ({record.store}), so there is nothing to copy."
            )
        problems, _ = sealed.check_files(self.folder, record)
        if problems:
            raise OffsiteFailed(
                f"The backup {record.id} is damaged here, so it is not copied: {problems[0]}.",
                state="Nothing was copied.",
                next_commands=(f"deployguard backup verify {record.id}",),
            )
        with self._closing():
            self._sweep(record)
            manifest = self._manifest(record)
            complete = self._complete(record, manifest)
            progress = Progress(record.size, self.say, self.clock, f"to {self.store.url}")
            mover = Mover(self.store, self.read_back, self.say, keep=complete)
            proofs = together(
                self.jobs,
                {
                    name: partial(mover.send, f"{record.id}/{name}", source, progress.part())
                    for name, source in self._sources(record)
                },
            )
            last = f"{record.id}/{sealed.MANIFEST}"
            proofs[sealed.MANIFEST] = mover.send(last, manifest, progress.part(), Event())
            return self._note(record, manifest, proofs)

    def find(self, record: BackupRecord) -> OffsiteCopy | None:
        """The complete copy of this very backup, by its manifest; None when there is none. Notes it if it wasn't."""
        with self._closing():
            manifest = self._manifest(record)
            if not self._complete(record, manifest):
                return None
            url = self._url(record.id)
            noted = offsite_notes.copies(self.folder, record)
            known = next((copy for copy in noted if copy.url == url), None)
            return known or self._note(record, manifest, {sealed.MANIFEST: "sha256 as read back"})

    def listing(self) -> Copies:
        """Every complete copy of this project's environment, newest first."""
        with self._closing():
            there = dict[str, dict[str, int]]()
            for name, size in self.store.names(self.begin):
                folder, _, file = name.partition("/")
                if not folder.startswith(self.begin):
                    continue  # a store may answer with what was not asked for, such as ../
                there.setdefault(folder, {})[file] = size
            records, problems = list[BackupRecord](), list[str]()
            with tempfile.TemporaryDirectory(prefix="deployguard-") as scratch:
                for identifier, files in there.items():
                    try:
                        records.append(self._listed(identifier, files, Path(scratch)))
                    except BackupFailed as error:
                        problems.append(error.message)
        records.sort(key=lambda record: (record.created, record.id), reverse=True)
        return Copies(tuple(records), tuple(problems))

    def choose(self, wanted: str) -> BackupRecord:
        """The copy of this id, of an id that begins so, of this deploy, or the ``latest``. Raises UsageError."""
        records = self.listing().records
        found = catalogue.matching(records, wanted)
        if len(found) == 1:
            return found[0]
        said = f"{len(found)} copies match {wanted!r}" if found else f"There is no copy {wanted!r}"
        next_commands = ("deployguard backup list --offsite",)
        raise UsageError(f"{said} in {self.store.url}.", next_commands=next_commands)

    def get(self, wanted: str) -> BackupRecord:
        """Fetch a copy into the local catalogue, every byte compared with its manifest.

        Of a backup that is damaged here, the damaged files are fetched and replaced. Raises UsageError when it is
        here and whole, OffsiteFailed when the copy is damaged; then nothing is listed or replaced.
        """
        record = self.choose(wanted)
        room.writable(self.folder)
        sealed.sweep(self.folder)
        here = (self.folder / record.folder).exists()
        with self._closing(), sealed.drafting(self.folder, record.id) as draft:
            content = b"".join(self._small(f"{record.id}/{sealed.MANIFEST}"))
            with tempfile.TemporaryDirectory(prefix="deployguard-") as scratch:
                if self._loaded(record.id, content, Path(scratch)) != record:
                    raise Damaged(
                        f"The manifest of {self._url(record.id)} is not the one of before."
                    )
            sizes = {sealed.MANIFEST: (len(content), sha256(iter([content])).hex()), **record.files}
            bad = offsite_repair.damaged(self.folder, record, content) if here else record.files
            total = sum(sizes[name][0] for name in bad)
            room.need(self.folder, total, "the copy")
            progress = Progress(total, self.say, self.clock, f"from {self.store.url}")
            mover = Mover(self.store, self.read_back, self.say)
            together(
                self.jobs,
                {
                    name: partial(
                        mover.fetch, f"{record.id}/{name}", draft, sizes[name], progress.part()
                    )
                    for name in bad
                },
            )
            if here:
                self.say(f"replacing what is damaged here: {', '.join(bad)}")
                offsite_repair.replace(draft, self.folder, record, bad)
            else:
                sealed.place(draft, content)
            manifest = self._manifest(record)
            files = [name for name in bad if name in record.files]
            self._note(record, manifest, dict.fromkeys(files, "sha256 as read back"))
        return record

    def delete(self, identifier: str) -> None:
        """Delete the copy of this id: the manifest first, so that half a copy is never listed. Then its note.

        Raises OffsiteFailed while the store holds it (Object Lock); nothing was deleted then. One that is not there
        is no error.
        """
        if not identifier.startswith(self.begin) or "/" in identifier:
            raise UsageError(f"{identifier!r} is no backup of this environment.")
        with self._closing():
            names = [name for name, _ in self.store.names(f"{identifier}/")]
            first = f"{identifier}/{sealed.MANIFEST}"
            names.sort(key=lambda name: name != first)
            held = [until for name in names if (until := self.store.held_until(name))]
            if held and max(held) > self.now():
                raise OffsiteFailed(
                    f"{self._url(identifier)} is locked until {max(held):%Y-%m-%d %H:%M} UTC and cannot be deleted.",
                    state="Nothing was deleted.",
                )
            for name in names:
                self.store.remove(name)
            self.store.forget(identifier)
        for record in catalogue.listing(self.folder).records:
            if record.id == identifier:
                offsite_notes.drop(self.folder, record, self._url(identifier))

    def _sweep(self, record: BackupRecord) -> None:
        """What others left unfinished costs money, but is no reason not to copy."""
        try:
            for name in self.store.sweep(record.id):
                self.say(f"gave up an upload that was never finished: {name}")
        except DeployguardError as error:
            self.say(f"could not look for unfinished uploads: {error.message}")

    def _complete(self, record: BackupRecord, manifest: Source) -> bool:
        """Whether there is a complete copy of this backup. Raises OffsiteFailed when it is of another one."""
        name = f"{record.id}/{sealed.MANIFEST}"
        if self.store.size(name) is None:
            return False
        content = self._small(name)
        if sha256(iter(content)).hex() == manifest.sha256:
            return True
        if is_manifest(b"".join(content)):
            raise OffsiteFailed(
                f"{self.store.url}/{name} is the manifest of another backup; nothing is overwritten."
            )
        return False  # it arrived damaged, and whoever sent it died before it was compared

    def _listed(self, identifier: str, files: Mapping[str, int], scratch: Path) -> BackupRecord:
        url = self._url(identifier)
        if sealed.MANIFEST not in files:
            raise OffsiteFailed(f"{url} is not complete: its copy was interrupted.")
        content = b"".join(self._small(f"{identifier}/{sealed.MANIFEST}"))
        record = self._loaded(identifier, content, scratch)
        for name, (size, _) in record.files.items():
            if files.get(name) != size:
                raise OffsiteFailed(f"{url} is damaged: {name} has {files.get(name, 'no')} bytes.")
        return record

    def _loaded(self, identifier: str, content: bytes, scratch: Path) -> BackupRecord:
        path = scratch / identifier / sealed.MANIFEST
        path.parent.mkdir()
        path.write_bytes(content)
        try:
            return catalogue.load(path)
        except BackupFailed as error:
            raise OffsiteFailed(f"{self._url(identifier)}: {error.message}") from None

    def _small(self, name: str) -> list[bytes]:
        found, size = list[bytes](), 0
        for block in self.store.read(name):
            size += len(block)
            if size > _MANIFEST_MOST:
                raise Damaged(f"{self.store.url}/{name} is too large for a manifest.")
            found.append(block)
        return found

    def _sources(self, record: BackupRecord) -> list[tuple[str, Source]]:
        """The files of a backup, the largest first: then none of them is sent alone at the end."""
        folder = self.folder / record.folder
        found = [(name, Source(folder / name, *facts)) for name, facts in record.files.items()]
        return sorted(found, key=lambda one: -one[1].size)

    def _manifest(self, record: BackupRecord) -> Source:
        path = self.folder / record.folder / sealed.MANIFEST
        return Source(path, path.stat().st_size, sealed.digest(path))

    def _note(
        self, record: BackupRecord, manifest: Source, proofs: Mapping[str, str]
    ) -> OffsiteCopy:
        held = self.store.held_until(f"{record.id}/{sealed.MANIFEST}")
        url = self._url(record.id)
        known = next(
            (one for one in offsite_notes.copies(self.folder, record) if one.url == url), None
        )
        proofs = {**(known.files if known else {}), **proofs}
        copy = OffsiteCopy(url, self.now(), manifest.sha256, proofs, held)
        offsite_notes.note(self.folder, record, copy)
        return copy

    def _url(self, identifier: str) -> str:
        return f"{self.store.url}/{identifier}"

    @contextmanager
    def _closing(self) -> Iterator[None]:
        try:
            yield
        finally:
            self.store.close()
