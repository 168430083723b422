"""Restore points that were named here, and where in the log each is: so the right base backup is taken for it."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from deployguard.backups import physical_server, sealed
from deployguard.backups.physical import PhysicalBackups
from deployguard.errors import UsageError

FILE: Final = "marks.json"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,62}")  # PostgreSQL takes 63 bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """A restore point: its position, the server's time, and the segment that it was archived in."""

    name: str
    system: str
    lsn: str
    at: datetime
    segment: str


def mark(physical: PhysicalBackups, name: str) -> Mark:
    """Name this moment, and wait until it is archived. Raises UsageError for a name that was given before."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is no name for a restore point: use letters, digits and . _ : + -, up to 63."
        )
    marks = known(physical)
    if name in marks:
        raise UsageError(
            f"There is a restore point {name!r} of {marks[name].at.isoformat()} already; a replay would stop there."
        )
    with physical.database() as database:
        server = physical_server.ask(database)
        physical_server.fit(server, incremental=False)
        if not physical_server.archiving(database).on:
            raise UsageError(
                "The server archives nothing, so no restore point could be reached.",
                next_commands=("deployguard backup physical check",),
            )
        where, timeline, at = physical_server.mark(database, name)
        with sealed.turned_clear(physical.folder):
            made = Mark(name, server.system, where, at, "")
            _keep(physical, {**marks, name: made})
        segment = physical_server.await_archived(
            database,
            physical.archive,
            (where, timeline),
            server.segment_bytes,
            physical.config.archive_wait,
        )
    return Mark(name, server.system, where, at, segment)


def known(physical: PhysicalBackups) -> Mapping[str, Mark]:
    """The restore points that were named here, by name."""
    found = sealed.read_json(physical.folder / FILE)
    marks = {}
    for name, content in found.items():
        with suppress(ValueError):  # what cannot be read is not known
            kept = content if isinstance(content, dict) else {}
            texts = {key: str(kept.get(key, "")) for key in ("system", "lsn", "at")}
            at = datetime.fromisoformat(texts["at"])
            marks[name] = Mark(name, texts["system"], texts["lsn"], at, "")
    return marks


def _keep(physical: PhysicalBackups, marks: Mapping[str, Mark]) -> None:
    physical.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = {
        name: {"system": one.system, "lsn": one.lsn, "at": one.at.isoformat()}
        for name, one in marks.items()
    }
    sealed.write_atomically(physical.folder / FILE, json.dumps(content, indent=1).encode() + b"\n")
