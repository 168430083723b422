"""Whatever breaks in the middle of a dump of any layout: a clear error, nothing listed, nothing left."""

import errno
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, catalogue, postgres_verify, room, sealed
from deployguard.backups.base import TransientFailure
from deployguard.backups.postgres import PostgresBackups
from deployguard.backups.postgres_dump import why
from deployguard.config import BackupConfig, parse_url
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.process import Completed
from tests.support import postgres
from tests.support.postgres import Server

LAYOUTS = ["directory", "custom", "plain"]
SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT md5(i::text) || md5((i * 7)::text) FROM generate_series(1, 20000) i;
CREATE TABLE rooms (id int PRIMARY KEY);
"""


@pytest.fixture
def sql(postgres_database: str) -> Iterator[Callable[[str], None]]:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
        yield lambda statement: (link.execute(statement.encode()), None)[1]


@pytest.fixture
def site(tmp_path: Path, postgres_database: str, postgres_server: Server, sql: object) -> Site:
    return site_of(postgres_database, tmp_path, postgres_server)


def site_of(url: str, folder: Path, server: Server) -> Site:
    return Site(
        url=parse_url(url, "x"),
        directory=folder,
        project="bookings",
        environment="production",
        config=BackupConfig(pg_bin=str(server.bin), tries=1, jobs=2),
        sleep=lambda _: None,
    )


def of(site: Site, layout: str, **changes: object) -> PostgresBackups:
    config = replace(site.config, format=layout, **changes)  # type: ignore[arg-type]
    return PostgresBackups(replace(site, config=config))


def nothing_left(folder: Path) -> bool:
    return {path.name for path in folder.iterdir()} == {".busy", ".gitignore"}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_file_system(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", small], check=True)
    try:
        backups = of(site, layout, directory="small/backups")
        monkeypatch.setattr(room, "need", lambda *_: None)
        with pytest.raises(BackupFailed, match="is full") as caught:
            backups.take(BackupRequest())
        assert caught.value.exit_code == 20
        assert nothing_left(small / "backups")
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_size_limit(site: Site, layout: str) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(BackupFailed, match="is full"):
            of(site, layout).take(BackupRequest())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert nothing_left(site.folder)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_disk_that_fails_when_it_is_flushed(
    site: Site, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    """pg_dump was told not to flush; we do, and what does not reach the disk is no backup."""
    real = os.fsync
    for failing in range(1, 200):
        calls = 0

        def fsync(number: int, failing: int = failing) -> None:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            real(number)

        monkeypatch.setattr(os, "fsync", fsync)
        try:
            with pytest.raises(BackupFailed, match="Input/output error") as caught:
                of(site, layout).take(BackupRequest())
        finally:
            monkeypatch.setattr(os, "fsync", real)
        assert caught.value.exit_code == 20
        assert nothing_left(site.folder)
        if failing >= flushes(layout):
            break
    assert of(site, layout).take(BackupRequest()).counts["bookings"] == 20000


def flushes(layout: str) -> int:
    """Data, roles, evidence, folder, parent, manifest, manifest's folder; a directory has four files of data."""
    return 10 if layout == "directory" else 7


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lost_connection_is_tried_again(
    site: Site, sql: Callable[[str], None], layout: str
) -> None:
    lost: list[str] = []

    def lose(line: str) -> None:
        if "dumping contents" in line and not lost:
            lost.append(line)
            sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'deployguard-backup:%'"
            )

    made = of(replace(site, say=lose), layout, tries=2).take(BackupRequest())
    assert lost
    assert made.counts == {"alembic_version": 1, "bookings": 20000, "rooms": 0}
    assert catalogue.listing(site.folder).records == (made,)


def test_a_snapshot_whose_session_was_lost_first_is_worth_another_try(tmp_path: Path) -> None:
    said = (
        'pg_dump: error: query failed: ERROR:  invalid snapshot identifier: "00000004-00001F64-1"\n'
        "pg_dump: error: a worker process died unexpectedly\n"
    )
    assert isinstance(why(Completed(1, "", said, 1.0), tmp_path, 600), TransientFailure)
    other = Completed(1, "", "pg_dump: error: permission denied for table bookings\n", 1.0)
    assert not isinstance(why(other, tmp_path, 600), TransientFailure)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_server_that_is_killed(tmp_path: Path, postgres_server: Server, layout: str) -> None:
    with postgres.serve(postgres_server.tree) as server:
        with psycopg.connect(server.url(), autocommit=True) as link:
            link.execute(SCHEMA.encode())

        def crash(line: str) -> None:
            if "dumping contents" in line:
                server.stop(signal.SIGQUIT)

        site = replace(site_of(server.url(), tmp_path, server), say=crash)
        with pytest.raises((BackupFailed, EnvironmentUnreachable)):
            of(site, layout).take(BackupRequest())
        assert nothing_left(site.folder)
        assert catalogue.listing(site.folder).records == ()


def test_a_table_that_is_locked(
    site: Site, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployguard.database.session.ASKING", 300)
    with psycopg.connect(postgres_database) as other:
        other.execute("LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(BackupFailed, match=r"lock timeout.*tried 2 times"):
            of(site, "directory", tries=2).take(BackupRequest())
    assert nothing_left(site.folder)


def test_a_table_that_is_dropped_before_it_could_be_locked_is_no_failure(
    site: Site, sql: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list was made, then a table went: it is listed anew."""
    from deployguard.database import snapshot

    real, gone = snapshot.holding_rows, list[str]()

    def listed(cursor: psycopg.Cursor[tuple[object, ...]]) -> object:
        found = real(cursor)
        if not gone:
            gone.append("rooms")
            sql("DROP TABLE rooms")
        return found

    monkeypatch.setattr(snapshot, "holding_rows", listed)
    made = of(site, "directory").take(BackupRequest())
    assert made.counts == {"alembic_version": 1, "bookings": 20000}


@pytest.mark.parametrize("layout", ["custom", "directory"])
def test_a_table_that_somebody_drops_during_the_dump_is_in_the_backup(
    site: Site, postgres_database: str, layout: str
) -> None:
    """Its lock makes the drop wait until the dump is done.

    A parallel dump may give up where a drop queues before a connection has its lock; then the next try has no such table.
    """
    dropping = list[threading.Thread]()

    def drop() -> None:
        with psycopg.connect(postgres_database, autocommit=True) as other:
            other.execute("DROP TABLE rooms, bookings")

    def begin(line: str) -> None:
        if "dumping contents" in line and not dropping:
            dropping.append(threading.Thread(target=drop))
            dropping[0].start()

    backups = of(replace(site, say=begin), layout, tries=2)
    made = backups.take(BackupRequest())
    dropping[0].join()
    whole = {"alembic_version": 1, "bookings": 20000, "rooms": 0}
    assert made.counts == whole or (layout == "directory" and made.counts == {"alembic_version": 1})
    assert backups.verify(made).ok
    again = backups.take(BackupRequest())
    assert again.counts == {"alembic_version": 1}


def test_a_dump_that_stands_still_is_ended_and_one_that_moves_is_not(
    site: Site, tmp_path: Path, postgres_server: Server
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    real = postgres_server.bin / "pg_dump"

    def write(then: str) -> None:
        (folder / "pg_dump").write_text(
            f"""#!/bin/sh
case "$*" in *--snapshot=*) ;; *) exec {real} "$@";; esac
for last; do :; done
{real} "$@" || exit
{then}
"""
        )
        (folder / "pg_dump").chmod(0o755)

    for name in ("pg_restore", "pg_dumpall"):
        (folder / name).symlink_to(postgres_server.bin / name)
    write("sleep 600")
    with pytest.raises(BackupFailed, match="nothing was written for 4 seconds"):
        of(site, "directory", pg_bin=str(folder), timeout=4).take(BackupRequest())
    assert nothing_left(site.folder)
    write('for i in 1 2 3 4 5 6 7; do sleep 1; echo x >> "${last#--file=}/more"; done')
    made = of(site, "directory", pg_bin=str(folder), timeout=5).take(BackupRequest())
    assert made.seconds > 7
    assert sealed.check_files(site.folder, made)[0] == []


def test_reading_back_has_time_by_the_size_and_running_out_of_it_says_nothing_of_the_backup(
    site: Site, tmp_path: Path, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = of(site, "custom").take(BackupRequest())
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall"):
        (folder / name).symlink_to(postgres_server.bin / name)

    def write(first: str) -> None:
        real = postgres_server.bin / "pg_restore"
        (folder / "pg_restore").write_text(
            f"""#!/bin/sh
case "$*" in *--list*|*--version*) ;; *) {first};; esac
exec {real} "$@"
"""
        )
        (folder / "pg_restore").chmod(0o755)

    backups = of(site, "custom", pg_bin=str(folder), timeout=1)
    for how in ("sleep 600", "kill -9 $$"):
        write(how)
        with pytest.raises(BackupFailed, match="whether it is whole is not known"):
            backups.verify(made)
        assert catalogue.verification(site.folder, made) is None  # not "damaged": that may go
    monkeypatch.setattr(postgres_verify, "_SLOWEST", made.size // 300)
    write("sleep 3")
    found = backups.verify(made)
    assert found.ok, found.evidence
