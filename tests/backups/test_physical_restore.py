"""Going back: to a time between two commits, a restore point, the end; always into a new cluster, proven, or not at all."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from deployguard.backups import physical_marks
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_check import check
from deployguard.backups.physical_record import BaseBackup
from deployguard.backups.physical_restore import Recovered, restore
from deployguard.backups.physical_target import choose
from deployguard.database import scratch
from deployguard.database.postgresql import PostgresDatabase
from deployguard.database.recovery import Target
from deployguard.errors import BackupFailed, UsageError
from deployguard.wal import lsn
from tests.support import physical as support
from tests.support.physical import Cluster, verified


@dataclass
class History:
    """A base backup with 500 rows; one more at ``before``, none any more at ``after``, the table gone at the end."""

    cluster: Cluster
    store: PhysicalBackups
    record: BaseBackup
    before: datetime
    after: datetime
    segments: list[str]

    def restored(
        self, into: str, target: Target, fetch: tuple[str, ...] | None = None
    ) -> Recovered:
        record = choose(self.store, "latest", target)
        return restore(
            self.store, record, self.cluster.root / into, target, fetch or self.cluster.fetch
        )


@pytest.fixture(scope="module")
def history() -> Iterator[History]:
    with support.cluster(support.tree()) as cluster:
        store = cluster.physical()
        record = verified(store)
        cluster.sql("INSERT INTO bookings VALUES (501, 'the last one')")
        before = cluster.now()
        segments = [dict(check(store, "x").facts)["archived just now"]]
        cluster.sql("DELETE FROM bookings")
        cluster.sql("UPDATE alembic_version SET version_num = 'b015'")
        after = cluster.now()
        physical_marks.mark(store, "before-drop")
        cluster.sql("DROP TABLE bookings")
        segments.append(dict(check(store, "x").facts)["archived just now"])
        yield History(cluster, store, record, before, after, segments)


def untouched(history: History, into: str) -> bool:
    """Whether nothing of a restore is left."""
    return not [path for path in history.cluster.root.iterdir() if into in path.name]


def test_a_time_between_two_commits_brings_back_what_was_there_then(history: History) -> None:
    archived = set(history.store.archive.names())
    made = history.restored("then", Target("time", history.before.isoformat()))
    assert made.counts == {"alembic_version": 1, "bookings": 501}
    assert made.revision == ("b014",)
    assert "recovery stopping before commit" in made.reached.said
    assert made.reached.time is not None
    assert made.reached.time <= history.before
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700
    assert not [path for path in history.cluster.root.iterdir() if "partial" in path.name]
    # the old server's archive_command is in postgresql.auto.conf, and did not run
    assert set(history.store.archive.names()) == archived


def test_the_new_cluster_starts_and_can_be_written_to(history: History) -> None:
    made = history.restored("started", Target("time", history.after.isoformat()))
    bin_, sockets = history.cluster.server.bin, history.cluster.root / "sockets"
    sockets.mkdir()
    scratch.hand_over(sockets)
    (made.folder / "pg_hba.conf").write_text("local all all trust\n")
    options = f"-c listen_addresses='' -c unix_socket_directories={sockets}"
    pg_ctl = [str(bin_ / "pg_ctl"), f"--pgdata={made.folder}", f"--log={sockets}/log"]
    started = scratch.execute(
        [*pg_ctl, f"--options={options}", "--wait", "start"], sockets, os.environ
    )
    assert started.ok, (sockets / "log").read_text()
    try:
        url = replace(
            history.store.site.url, host="", port=None, password="", query={"host": str(sockets)}
        )
        with PostgresDatabase(url) as database:
            assert database.current_revisions() == ("b015",)
            assert database.row_counts() == {"alembic_version": 1, "bookings": 0}
            with database.session.cursor() as cursor:
                cursor.execute(b"INSERT INTO bookings VALUES (1, 'new')")
                row = cursor.execute(b"SHOW archive_mode").fetchone()
                assert row == ("off",)
    finally:
        scratch.execute([*pg_ctl, "--mode=immediate", "--wait", "stop"], sockets, os.environ)


def test_a_restore_point_brings_back_what_was_there_when_it_was_named(history: History) -> None:
    made = history.restored("named", Target("name", "before-drop"))
    assert made.counts == {"alembic_version": 1, "bookings": 0}
    assert 'restore point "before-drop"' in made.reached.said
    assert made.reached.lsn == physical_marks.known(history.store)["before-drop"].lsn


def test_the_end_is_the_end_of_the_archive(history: History) -> None:
    made = history.restored("end", Target("end"))
    assert made.counts == {"alembic_version": 1}
    assert "pg_ctl" in made.next_commands[0]
    assert str(made.folder) in made.next_commands[0]


def test_the_backup_alone_needs_no_archive(history: History) -> None:
    store = replace(history.store, config=replace(history.store.config, wal_directory="nowhere"))
    alone = replace(history, store=store)
    made = alone.restored("alone", Target("consistent"))
    assert made.counts == {"alembic_version": 1, "bookings": 500}
    assert lsn(made.reached.lsn) >= lsn(history.record.stop)


@pytest.mark.parametrize("made", [True, False])
def test_an_archive_that_is_not_mounted_is_not_the_end_of_the_log(
    history: History, tmp_path: Path, made: bool
) -> None:
    folder = tmp_path / "mount"
    if made:
        folder.mkdir()
    store = replace(history.store, config=replace(history.store.config, wal_directory=str(folder)))
    with pytest.raises(BackupFailed, match="archive has nothing"):
        replace(history, store=store).restored("away", Target("end"))
    assert untouched(history, "away")


def test_log_is_laid_ready_where_the_servers_user_cannot_fetch_it(history: History) -> None:
    history.cluster.said.clear()
    made = history.restored("ready", Target("name", "before-drop"), fetch=("false",))
    assert made.counts == {"alembic_version": 1, "bookings": 0}
    assert any("laying the archived log ready" in line for line in history.cluster.said)
    history.cluster.said.clear()
    history.restored("fetched", Target("name", "before-drop"))
    assert not any("laying the archived log ready" in line for line in history.cluster.said)


def test_a_missing_segment_is_named_and_nothing_is_made(history: History) -> None:
    there = history.store.archive.path(history.segments[0])
    assert there is not None
    aside = there.rename(there.with_name("aside"))
    try:
        with pytest.raises(BackupFailed, match="was not reached") as caught:
            history.restored("gap", Target("time", history.after.isoformat()))
        assert history.segments[0] in caught.value.message
        with pytest.raises(BackupFailed, match="its end cannot be reached"):
            history.restored("gap", Target("end"))
    finally:
        aside.rename(there)
    assert untouched(history, "gap")


def test_a_damaged_segment_stops_it_and_is_not_the_end_of_the_log(history: History) -> None:
    there = history.store.archive.path(history.segments[-1])
    assert there is not None
    whole = there.read_bytes()
    there.write_bytes(whole[: len(whole) // 2])
    try:
        with pytest.raises(BackupFailed, match="was not reached"):
            history.restored("harmed", Target("end"))
    finally:
        there.write_bytes(whole)
    assert untouched(history, "harmed")


def test_a_fetch_that_fails_like_a_missing_file_is_not_the_end_of_the_log(history: History) -> None:
    script = history.cluster.root / "lying"
    whole = " ".join(history.cluster.fetch)
    script.write_text(
        f'#!/bin/sh\n[ "$1" = {history.segments[-1]} ] && exit 1\nexec {whole} "$@"\n'
    )
    script.chmod(0o755)
    with pytest.raises(BackupFailed, match=f"before {history.segments[-1]}, which is archived"):
        history.restored("lied", Target("end"), fetch=(str(script),))
    assert untouched(history, "lied")


def test_a_time_behind_the_end_is_not_reached_and_says_where_the_archive_ends(
    history: History,
) -> None:
    later = history.after + timedelta(hours=1)
    with pytest.raises(BackupFailed, match="The archive ends with") as caught:
        history.restored("later", Target("time", later.isoformat()))
    assert history.segments[-1] in caught.value.message
    assert untouched(history, "later")


def test_a_restore_point_that_there_is_not_is_not_reached(history: History) -> None:
    with pytest.raises(BackupFailed, match="restore point nobody-knows was not reached"):
        history.restored("unknown", Target("name", "nobody-knows"))
    assert untouched(history, "unknown")


def test_a_time_before_the_backup_needs_an_older_one(history: History) -> None:
    early = Target("time", (history.record.finished - timedelta(seconds=1)).isoformat())
    with pytest.raises(UsageError, match="no verified base backup of"):
        choose(history.store, "latest", early)
    with pytest.raises(UsageError, match="Take an older one"):
        choose(history.store, history.record.id, early)


def test_latest_is_the_newest_from_which_the_target_lies_ahead(history: History) -> None:
    newer = verified(history.store)
    assert choose(history.store, "latest", Target("end")) == newer
    assert choose(history.store, "latest", Target("name", "before-drop")) == history.record
    when = Target("time", history.before.isoformat())
    assert choose(history.store, "latest", when) == history.record
    shutil.rmtree(history.store.folder / newer.id)


@pytest.mark.parametrize("kind", ["file", "link", "cluster"])
def test_only_a_new_folder_is_restored_into(history: History, kind: str) -> None:
    into = history.cluster.root / f"taken-{kind}"
    if kind == "file":
        into.write_text("mine")
    elif kind == "link":
        into.symlink_to(history.cluster.root)
    else:
        (into / "base").mkdir(parents=True)
    with pytest.raises(UsageError, match="not empty"):
        history.restored(into.name, Target("end"))
    assert into.exists()


def test_not_among_the_backups(history: History) -> None:
    with pytest.raises(UsageError, match="among the backups"):
        restore(
            history.store, history.record, history.store.folder / "new", Target("end"), ("false",)
        )


def test_an_empty_folder_takes_it(history: History) -> None:
    (history.cluster.root / "empty").mkdir()
    assert history.restored("empty", Target("consistent")).counts


def test_log_of_another_cluster_is_not_replayed(history: History) -> None:
    mark = history.store.archive.folder / "system"
    own = mark.read_text()
    mark.write_text("1\n")
    try:
        with pytest.raises(UsageError, match="archive of another cluster"):
            history.restored("other", Target("end"))
    finally:
        mark.write_text(own)
    assert untouched(history, "other")


RESTORE = """
import sys
from pathlib import Path
sys.path.insert(0, "")
from deployguard.backups import Site
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_restore import restore
from deployguard.config import PhysicalConfig, parse_url
from deployguard.database.recovery import Target
root, bin_, into = sys.argv[1:]
site = Site(parse_url("postgresql://h/app", "x"), Path(root), "bookings", "production")
store = PhysicalBackups(site, PhysicalConfig(directory="physical", wal_directory="wal", pg_bin=bin_))
restore(store, store.listing().find("latest"), Path(into), Target("end"), ("sh", "-c", "sleep 600"))
"""


def test_a_killed_restore_leaves_no_cluster_and_the_next_one_sweeps_it(history: History) -> None:
    root = history.cluster.root
    argv = [
        sys.executable,
        "-c",
        RESTORE,
        str(root),
        str(history.cluster.server.bin),
        str(root / "shot"),
    ]
    process = subprocess.Popen(argv)
    deadline = time.monotonic() + 120
    while not list(root.glob(".shot.partial-*/data/global/pg_control")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert not (root / "shot").exists()
    assert list(root.glob(".shot.partial-*"))
    assert history.restored("shot", Target("consistent")).counts
    assert [path.name for path in root.iterdir() if "shot" in path.name] == ["shot"]


def test_a_damaged_backup_is_not_restored(history: History, tmp_path: Path) -> None:
    shutil.copytree(history.store.folder, tmp_path / "physical")
    store = history.cluster.physical(str(tmp_path / "physical"))
    (history.record.data(store.folder) / "global" / "pg_control").unlink()
    with pytest.raises(BackupFailed, match="is damaged"):
        restore(store, history.record, history.cluster.root / "bad", Target("end"), ("false",))
    assert untouched(history, "bad")
