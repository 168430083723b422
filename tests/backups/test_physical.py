"""A base backup is whole, sealed and its owner's only, or it is not there at all."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import catalogue, physical_server, sealed
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_record import MANIFEST, BaseBackup
from deployguard.config import parse_url
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from tests.support import physical as support
from tests.support import postgres
from tests.support.physical import Cluster, verified


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with support.cluster(support.tree()) as made:
        yield made


@pytest.fixture(scope="module")
def taken(cluster: Cluster) -> tuple[PhysicalBackups, BaseBackup]:
    store = cluster.physical("taken")
    return store, verified(store)


@pytest.fixture
def copied(
    cluster: Cluster, taken: tuple[PhysicalBackups, BaseBackup], tmp_path: Path
) -> tuple[PhysicalBackups, BaseBackup, Path]:
    """The backup in a folder of its own, to be damaged; its cluster's files."""
    store, record = taken
    shutil.copytree(store.folder, tmp_path / "physical")
    other = cluster.physical(str(tmp_path / "physical"))
    return other, record, record.data(other.folder)


def running(folder: Path) -> list[int]:
    """The pg_basebackup processes that write below a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if "pg_basebackup" in words.split("\0")[0] and str(folder) in words:
            found.append(int(path.parent.name))
    return found


def left(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.is_dir()]


def test_what_is_taken_is_sealed_read_back_and_listed(
    taken: tuple[PhysicalBackups, BaseBackup],
) -> None:
    store, record = taken
    assert store.listing().records == (record,)
    assert left(store.folder) == [record.id]
    assert record.count > 900
    assert record.wal
    assert record.kind == "full"
    found = catalogue.verification(store.folder, record)
    assert found is not None
    assert found.ok


def test_its_files_are_their_owners_only(taken: tuple[PhysicalBackups, BaseBackup]) -> None:
    store, record = taken
    for path in (store.folder, *(store.folder / record.id).rglob("*")):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_no_password_is_in_an_argv_or_beside_the_backup(cluster: Cluster) -> None:
    seen = set[str]()
    store = cluster.physical("canary")

    def look(_line: str) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = path.read_bytes().decode(errors="replace")
            except OSError:
                continue
            if "pg_basebackup" in words and str(store.folder) in words:
                seen.add(words)

    store = replace(store, site=replace(store.site, say=look))
    record = verified(store)
    assert seen, "pg_basebackup was not seen"
    beside = [path for path in (store.folder / record.id).iterdir() if path.is_file()]
    assert {path.name for path in beside} >= {sealed.MANIFEST, sealed.EVIDENCE}
    texts = [*seen, repr(record), *(path.read_text() for path in beside)]
    assert not any(cluster.server.password in text for text in texts)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_bit_that_fell_over_is_found(
    copied: tuple[PhysicalBackups, BaseBackup, Path],
) -> None:
    store, record, data = copied
    victim = next(
        path
        for path in sorted((data / "base").rglob("*"))
        if path.is_file() and path.stat().st_size > 8192
    )
    flip(victim, 5000)
    found = store.verify(record)
    assert not found.ok
    assert victim.name in found.evidence[0]


@pytest.mark.parametrize("harm", ["cut", "gone", "more", "log", "log gone", "manifest"])
def test_every_damage_is_found(copied: tuple[PhysicalBackups, BaseBackup, Path], harm: str) -> None:
    store, record, data = copied
    control, segment = data / "global" / "pg_control", data / "pg_wal" / min(record.wal)
    if harm == "cut":
        os.truncate(control, 4096)
    elif harm == "gone":
        control.unlink()
    elif harm == "more":
        (data / "base" / "stranger").write_bytes(b"x")
    elif harm == "log":
        flip(segment, -1)  # behind what the backup needs, so pg_verifybackup does not look there
    elif harm == "log gone":
        segment.unlink()
    else:
        flip(data / MANIFEST, 700)
    found = store.verify(record)
    assert not found.ok
    kept = catalogue.verification(store.folder, record)
    assert kept is not None
    assert not kept.ok


def test_a_manifest_that_was_changed_lists_nothing(
    copied: tuple[PhysicalBackups, BaseBackup, Path],
) -> None:
    store, record, _ = copied
    manifest = store.folder / record.id / sealed.MANIFEST
    content = json.loads(manifest.read_text())
    for change in ({"format": 9}, {"start": "nowhere"}, {"id": "other"}, {"wal": {"../x": {}}}):
        manifest.write_text(json.dumps(content | change))
        found = store.listing()
        assert not found.records
        assert len(found.problems) == 1


def test_nothing_is_listed_when_pg_basebackup_is_killed(cluster: Cluster) -> None:
    store = cluster.physical("killed", max_rate="1M")
    killed = []

    def kill(_line: str) -> None:
        for pid in running(store.folder):
            os.kill(pid, signal.SIGKILL)
            killed.append(pid)

    with pytest.raises(BackupFailed, match="pg_basebackup failed"):
        replace(store, site=replace(store.site, say=kill)).take()
    assert killed
    assert store.listing().records == ()
    assert left(store.folder) == []


CONFIG = """
[project]
name = "bookings"
[backup]
directory = "backups"
[physical]
directory = "{directory}"
wal_directory = "wal"
pg_bin = "{bin}"
max_rate = "{rate}"
[environments.production]
database_url_env = "PHYSICAL_TEST_URL"
"""


def command(
    cluster: Cluster, directory: str, *, rate: str = ""
) -> tuple[list[str], dict[str, str]]:
    """Argv and environment of `backup physical create`."""
    config = cluster.root / f"{directory}.toml"
    config.write_text(CONFIG.format(directory=directory, bin=cluster.server.bin, rate=rate))
    argv = [
        sys.executable,
        "-m",
        "deployguard",
        "backup",
        "physical",
        "create",
        "--config",
        str(config),
    ]
    return argv, os.environ | {"PHYSICAL_TEST_URL": cluster.server.url("app")}


def test_nothing_is_listed_when_deployguard_is_killed_and_the_next_one_sweeps(
    cluster: Cluster,
) -> None:
    store = cluster.physical("shot")
    argv, environ = command(cluster, "shot", rate="1M")
    process = subprocess.Popen(
        argv, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not list(store.folder.glob(".partial-*/data/base")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert store.listing().records == ()
    assert running(store.folder)  # it goes on by itself, until somebody ends it
    record = verified(store)
    assert left(store.folder) == [record.id]
    deadline = time.monotonic() + 60
    while running(store.folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert left(store.folder) == [record.id]


def test_a_full_disk_is_one_clear_error_and_leaves_nothing(cluster: Cluster) -> None:
    argv, environ = command(cluster, "full")
    done = subprocess.run(
        argv,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20,) * 2),
    )
    assert done.returncode == 20, done.stderr
    assert left(cluster.root / "full") == []
    assert cluster.server.password not in done.stdout + done.stderr


def test_who_wants_backups_encrypted_is_not_given_plain_ones(cluster: Cluster) -> None:
    store = cluster.physical("plain")
    config = replace(store.site.config, encrypt_to=("age1nobody",))
    store = replace(store, site=replace(store.site, config=config))
    with pytest.raises(UsageError, match="unencrypted = true"):
        store.take()
    assert not store.folder.exists()


def test_room_is_looked_for_before_anything_is_copied(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployguard.backups.room.free", lambda _folder: 10 << 20)
    store = cluster.physical("small")
    with pytest.raises(BackupFailed, match="not enough room for the base backup"):
        store.take()
    assert left(store.folder) == []


def test_the_programs_must_be_of_the_servers_version(cluster: Cluster) -> None:
    other = next((t for t in postgres.trees() if t.version != cluster.server.version), None)
    if other is None:
        support.missing("a second PostgreSQL")
    store = cluster.physical("versions", pg_bin=str(other.bin))
    with pytest.raises(EnvironmentUnreachable) as caught:
        store.take()
    assert f"PostgreSQL {cluster.server.version}" in caught.value.message
    assert str(other.version) in caught.value.message


def test_a_role_that_may_only_replicate_is_enough(cluster: Cluster) -> None:
    cluster.server.sql("CREATE ROLE copier LOGIN REPLICATION PASSWORD 'copier-secret'")
    url = cluster.server.url("app").replace(
        f"{cluster.server.user}:{cluster.server.password}", "copier:copier-secret"
    )
    store = cluster.physical("copier")
    verified(replace(store, site=replace(store.site, source=parse_url(url, "x"))))


def test_a_role_that_may_not_replicate_is_told_so(cluster: Cluster) -> None:
    cluster.server.sql("CREATE ROLE reader LOGIN PASSWORD 'reader-secret'")
    url = cluster.server.url("app").replace(
        f"{cluster.server.user}:{cluster.server.password}", "reader:reader-secret"
    )
    store = cluster.physical("reader")
    with pytest.raises(UsageError, match="may not replicate"):
        replace(store, site=replace(store.site, source=parse_url(url, "x"))).take()


def test_tablespaces_are_refused_with_their_names(cluster: Cluster) -> None:
    place = cluster.root / "space"
    place.mkdir()
    if cluster.server.runs_as is not None:
        os.chown(place, cluster.server.runs_as.pw_uid, cluster.server.runs_as.pw_gid)
    cluster.server.sql(f"CREATE TABLESPACE archive_disk LOCATION '{place}'")
    try:
        with pytest.raises(UsageError, match="archive_disk"):
            cluster.physical("spaces").take()
    finally:
        cluster.server.sql("DROP TABLESPACE archive_disk")


def test_a_managed_server_is_refused_with_the_way_that_there_is(cluster: Cluster) -> None:
    cluster.server.sql("CREATE ROLE rds_superuser")
    try:
        with pytest.raises(UsageError, match=r'Amazon RDS.*store = "rds"'):
            cluster.physical("managed").take()
    finally:
        cluster.server.sql("DROP ROLE rds_superuser")


@pytest.mark.parametrize(
    ("changed", "incremental", "said"),
    [
        ({"standby": True}, False, "replica"),
        ({"major": 12}, False, "PostgreSQL 12"),
        ({"wal_level": "minimal"}, False, "wal_level is minimal"),
        ({"senders": 1}, False, "max_wal_senders 1"),
        ({"major": 16}, True, "PostgreSQL 16; incremental base backups came with 17"),
        ({"major": 17, "summarize": "off"}, True, "summarize_wal is off"),
        ({"managed": ["azure_pg_admin"]}, False, "Azure"),
    ],
)
def test_a_server_that_is_not_fit_is_refused(
    cluster: Cluster, changed: dict[str, object], incremental: bool, said: str
) -> None:
    with cluster.physical().database() as database:
        server = physical_server.ask(database)
    physical_server.fit(server, incremental=False)
    with pytest.raises(UsageError, match=said):
        physical_server.fit(replace(server, **changed), incremental=incremental)  # type: ignore[arg-type]
