"""Incremental base backups: a chain that is checked, put together, and never broken by prune."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployguard.backups import physical_keep, physical_marks
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_restore import restore
from deployguard.backups.physical_target import choose
from deployguard.config.retention import Keep
from deployguard.database.recovery import Target
from deployguard.errors import BackupFailed, UsageError
from tests.support import physical as support
from tests.support.physical import Cluster, verified


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with support.cluster(support.newest(), summarize_wal="on") as made:
        yield made


@pytest.fixture(scope="module")
def chain(cluster: Cluster) -> PhysicalBackups:
    """A full backup of 500 rows and two upon it, each with one row more."""
    store = cluster.physical()
    verified(store)
    for number in (501, 502):
        cluster.sql(f"INSERT INTO bookings VALUES ({number}, 'later')")
        verified(store, incremental=True)
    cluster.sql("INSERT INTO bookings VALUES (503, 'in the log only')")
    physical_marks.mark(store, "marked")
    return store


@pytest.fixture
def copied(chain: PhysicalBackups, cluster: Cluster, tmp_path: Path) -> PhysicalBackups:
    shutil.copytree(chain.folder, tmp_path / "physical")
    return cluster.physical(str(tmp_path / "physical"))


def test_each_stands_upon_the_one_before_and_is_small(chain: PhysicalBackups) -> None:
    newest, middle, full = chain.listing().records
    assert (newest.parent, middle.parent, full.parent) == (middle.id, full.id, None)
    assert newest.parent_sha == middle.own[1]
    assert chain.listing().chain(newest) == (full, middle, newest)
    assert newest.size - sum(size for size, _ in newest.wal.values()) < full.size / 2


def test_a_chain_is_put_together_and_replays_the_log(
    chain: PhysicalBackups, cluster: Cluster
) -> None:
    record = choose(chain, "latest", Target("name", "marked"))
    assert record == chain.listing().records[0]
    made = restore(chain, record, cluster.root / "whole", Target("name", "marked"), cluster.fetch)
    assert made.counts == {"alembic_version": 1, "bookings": 503}
    middle = chain.listing().records[1]
    made = restore(chain, middle, cluster.root / "middle", Target("consistent"), cluster.fetch)
    assert made.counts == {"alembic_version": 1, "bookings": 501}


def test_damage_of_a_parent_is_damage_of_what_stands_upon_it(copied: PhysicalBackups) -> None:
    newest, _, full = copied.listing().records
    (full.data(copied.folder) / "global" / "pg_control").unlink()
    found = copied.verify(newest)
    assert not found.ok
    assert any("pg_control" in line for line in found.evidence)


def test_a_parent_that_is_gone_is_named(copied: PhysicalBackups, cluster: Cluster) -> None:
    newest, middle, _ = copied.listing().records
    shutil.rmtree(copied.folder / middle.id)
    found = copied.verify(newest)
    assert not found.ok
    assert middle.id in found.evidence[0]
    with pytest.raises(BackupFailed, match=middle.id):
        restore(copied, newest, cluster.root / "broken", Target("consistent"), ("false",))


def test_prune_keeps_the_chain_of_what_it_keeps(copied: PhysicalBackups) -> None:
    one = replace(copied, config=replace(copied.config, keep=Keep(last=1)))
    found = physical_keep.look(one, datetime.now(UTC))
    assert found.going == ()
    reasons = {record.id: judged.reasons for record, judged in found.fates}
    newest, middle, full = copied.listing().records
    assert f"needed by {middle.id}, which stands upon it" in reasons[full.id]
    assert f"needed by {newest.id}, which stands upon it" in reasons[middle.id]


def test_without_a_verified_full_one_there_is_nothing_to_stand_upon(cluster: Cluster) -> None:
    with pytest.raises(UsageError, match="no verified base backup of this cluster"):
        cluster.physical("alone").take(incremental=True)


def test_a_server_that_keeps_no_summaries_is_told_how_to(cluster: Cluster) -> None:
    from deployguard.backups import physical_server

    with cluster.physical().database() as database:
        server = physical_server.ask(database)
    assert server.summarize == "on"
    with pytest.raises(UsageError, match="summarize_wal is off"):
        physical_server.fit(replace(server, summarize="off"), incremental=True)
