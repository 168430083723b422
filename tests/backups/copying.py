"""A sealed backup to copy, and an off-site place to copy it to, without waiting between tries."""

from __future__ import annotations

import os
from pathlib import Path

from deployguard.backups import sealed
from deployguard.backups.offsite import Offsite
from deployguard.backups.offsite_places import STORES
from deployguard.config import OffsiteConfig, parse_place
from deployguard.model import BackupRecord
from tests.backups.test_sealed import record

BEGIN = "app-production-"
FIRST = "app-production-20260218-103000-ab12"
SECOND = "app-production-20260219-103000-cd34"


def make(directory: Path, size: int = 3 << 20, identifier: str = FIRST) -> BackupRecord:
    """Seal a backup whose data are ``size`` random bytes."""
    with sealed.drafting(directory, identifier) as draft:
        draft.path("data").write_bytes(os.urandom(size))
        draft.finish("data")
        draft.write_json(sealed.EVIDENCE, {"counts": {"t": 3}})
        return sealed.seal(draft, record(identifier))


def make_many(directory: Path, count: int = 12, identifier: str = FIRST) -> BackupRecord:
    """Seal a backup of many files, as a dump in directory format is."""
    with sealed.drafting(directory, identifier) as draft:
        for number in range(count):
            draft.path(f"table-{number}").write_bytes(os.urandom(1000 * (number + 1)))
            draft.finish(f"table-{number}")
        draft.write_json(sealed.EVIDENCE, {"counts": {"t": 3}})
        return sealed.seal(draft, record(identifier))


def place(folder: Path, url: str, said: list[str] | None = None, **keys: object) -> Offsite:
    """The off-site place at ``url``, for the local catalogue in ``folder``."""
    config = OffsiteConfig(url=url, **keys)  # type: ignore[arg-type]
    parsed = parse_place(url, "x")
    store = STORES[parsed.scheme](config, parsed)
    if hasattr(store, "sleep"):
        store.sleep = lambda seconds: None
    say = (lambda line: None) if said is None else said.append
    return Offsite(store, folder, BEGIN, config.read_back, config.jobs, say)


def same(folder: Path, made: BackupRecord, other: Path) -> bool:
    """Whether the backup is byte by byte the same in both catalogues, manifest included."""
    return all(
        (folder / made.folder / name).read_bytes() == (other / made.folder / name).read_bytes()
        for name in (*made.files, sealed.MANIFEST)
    )
