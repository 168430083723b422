"""What a kept base backup stands upon, or replays, never goes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployguard.backups import Site, physical_keep, physical_record, sealed
from deployguard.backups.catalogue import keep_verification
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_record import BaseBackup
from deployguard.backups.retention import Read
from deployguard.config import PhysicalConfig, parse_url
from deployguard.config.retention import Keep
from deployguard.errors import Busy
from deployguard.model import Verification
from deployguard.wal import lsn_text, segment
from tests.support.segments import SIZE, SYSTEM, make

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def base(number: int, parent: str | None = None, *, at: int | None = None) -> BaseBackup:
    """The base backup ``b<number>``, taken on that day; its replay begins in segment ``at``."""
    when = NOW - timedelta(days=60 - number)
    where = number if at is None else at
    return BaseBackup(
        id=f"b{number:02}",
        environment="production",
        database="app",
        created=when,
        finished=when,
        system=str(SYSTEM),
        server="18.1",
        major=18,
        timeline=1,
        start=lsn_text(where * SIZE + 40),
        stop=lsn_text(where * SIZE + 400),
        segment_bytes=SIZE,
        size=1000,
        count=3,
        own=(1, "x"),
        wal={},
        superuser="postgres",
        seconds=1.0,
        parent=parent,
        parent_sha="x" if parent else "",
    )


def kept(records: Sequence[BaseBackup], reads: Sequence[Read], **rule: int) -> set[str]:
    config = PhysicalConfig(keep=Keep(**rule))  # type: ignore[arg-type]
    found = physical_keep.decide(list(zip(records, reads, strict=True)), config, NOW)
    return {one.id for one, judged in found if judged.keep}


def test_the_last_ones_stay_with_all_that_they_stand_upon() -> None:
    records = [base(1), base(2, "b01"), base(3, "b02"), base(4), base(5), base(6, "b03")]
    reads = [Read.VERIFIED] * 6
    assert kept(records, reads, last=1) == {"b06", "b03", "b02", "b01"}
    assert kept(records, reads, last=2) == {"b06", "b03", "b02", "b01", "b05"}


@given(st.data())
def test_no_kept_one_ever_lacks_a_parent(data: st.DataObject) -> None:
    records: list[BaseBackup] = []
    for number in range(data.draw(st.integers(1, 12))):
        parents = [None, *(one.id for one in records)]
        records.append(base(number, data.draw(st.sampled_from(parents))))
    reads = [data.draw(st.sampled_from(list(Read))) for _ in records]
    staying = kept(records, reads, last=data.draw(st.integers(1, 4)))
    by_id = {one.id: one for one in records}
    assert all(by_id[name].parent in (None, *staying) for name in staying)
    whole = [one.id for one, read in zip(records, reads, strict=True) if read is Read.VERIFIED]
    assert not whole or whole[-1] in staying


@pytest.fixture
def store(tmp_path: Path) -> PhysicalBackups:
    site = Site(parse_url("postgresql://h/app", "x"), tmp_path, "shop", "production")
    return PhysicalBackups(
        site, PhysicalConfig(directory="physical", wal_directory="wal", keep=Keep(last=1))
    )


def put(store: PhysicalBackups, record: BaseBackup, *, ok: bool = True) -> None:
    folder = store.folder / record.id
    (folder / "data").mkdir(parents=True)
    (folder / sealed.EVIDENCE).write_text("{}")
    (folder / sealed.MANIFEST).write_bytes(physical_record.encode(record))
    keep_verification(store.folder, record, Verification(ok, (), NOW))


def archived(store: PhysicalBackups, *numbers: int, system: int = SYSTEM) -> None:
    source = store.site.directory / "pg_wal"
    source.mkdir(exist_ok=True)
    for number in numbers:
        store.archive.put(make(source, segment(1, number, SIZE), system=system))


def there(store: PhysicalBackups) -> set[int]:
    return {int(name[16:], 16) for name in store.archive.names() if not name.endswith(".history")}


def test_a_dry_run_says_what_would_go_and_changes_nothing(store: PhysicalBackups) -> None:
    put(store, base(3))
    put(store, base(6))
    archived(store, *range(1, 9))
    found = physical_keep.look(store, NOW)
    assert [one.id for one in found.going] == ["b03"]
    assert len(found.log) == 5
    assert found.log_bytes == sum(path.stat().st_size for path in found.log) > 0
    assert there(store) == set(range(1, 9))
    assert len(store.listing().records) == 2


def test_log_from_before_the_oldest_kept_backup_goes_and_histories_stay(
    store: PhysicalBackups,
) -> None:
    put(store, base(3))
    put(store, base(6))
    archived(store, *range(1, 9))
    history = store.site.directory / "pg_wal" / "00000002.history"
    history.write_text("1\t0/1\tx\n")
    store.archive.put(history)
    physical_keep.prune(store, NOW)
    assert there(store) == {6, 7, 8}
    assert "00000002.history" in store.archive.names()
    assert [one.id for one in store.listing().records] == ["b06"]


def test_log_that_the_parent_of_a_kept_one_needs_stays(store: PhysicalBackups) -> None:
    put(store, base(3))
    put(store, base(6, "b03"))
    archived(store, *range(1, 9))
    physical_keep.prune(store, NOW)
    assert there(store) == set(range(3, 9))


def test_without_a_backup_no_log_goes(store: PhysicalBackups) -> None:
    archived(store, 1, 2)
    physical_keep.prune(store, NOW)
    assert there(store) == {1, 2}


def test_log_of_another_cluster_is_not_judged_by_these_backups(store: PhysicalBackups) -> None:
    put(store, base(6))
    archived(store, 1, 2, system=SYSTEM + 1)
    physical_keep.prune(store, NOW)
    assert there(store) == {1, 2}


def test_what_another_environment_needs_in_the_same_archive_stays(store: PhysicalBackups) -> None:
    put(store, replace(base(2), environment="staging"))
    put(store, base(6))
    archived(store, *range(1, 9))
    physical_keep.prune(store, NOW)
    assert there(store) == set(range(2, 9))


def test_while_a_manifest_cannot_be_read_nothing_goes(store: PhysicalBackups) -> None:
    put(store, base(3))
    put(store, base(6))
    put(store, base(2))
    (store.folder / "b02" / sealed.MANIFEST).write_text("{")
    archived(store, *range(1, 9))
    found = physical_keep.prune(store, NOW)
    assert found.problems
    assert found.going == ()
    assert there(store) == set(range(1, 9))


def test_a_damaged_one_keeps_no_log_once_a_newer_one_is_verified(store: PhysicalBackups) -> None:
    put(store, base(3), ok=False)
    put(store, base(6))
    archived(store, *range(1, 9))
    physical_keep.prune(store, NOW)
    assert there(store) == {6, 7, 8}


def test_nothing_goes_while_a_backup_is_taken_or_restored(store: PhysicalBackups) -> None:
    put(store, base(3))
    put(store, base(6))
    with sealed.shared(store.folder), pytest.raises(Busy):
        physical_keep.prune(store, NOW)
    assert len(store.listing().records) == 2
    number = os.open(store.folder / ".busy", os.O_RDWR)
    fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)  # it was let go again
    os.close(number)
