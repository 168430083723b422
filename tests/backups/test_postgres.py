"""PostgreSQL backups: one snapshot, nothing left of a failure, and every secret kept."""

import os
import random
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, catalogue, pgtools, room, store
from deployguard.backups.postgres import PostgresBackups
from deployguard.backups.postgres_verify import tables_missing
from deployguard.config import BackupConfig, parse_url
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.process import Completed
from tests.support import postgres
from tests.support.postgres import Server

ROOT = Path(__file__).parents[2]
VERSIONS = [tree.version for tree in postgres.trees()]
SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT md5(i::text) || md5((i * 7)::text) FROM generate_series(1, 20000) i;
CREATE TABLE "with space" (id int);
CREATE SCHEMA other;
CREATE TABLE other.rooms (id int PRIMARY KEY);
INSERT INTO other.rooms SELECT generate_series(1, 7);
CREATE MATERIALIZED VIEW busy AS SELECT count(*) FROM bookings;
"""
COUNTS = {"alembic_version": 1, "bookings": 20000, "with space": 0, "other.rooms": 7}


@pytest.fixture
def sql(postgres_database: str) -> Iterator[Callable[[str], None]]:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
        yield lambda statement: (link.execute(statement.encode()), None)[1]


@pytest.fixture
def site(tmp_path: Path, postgres_database: str, postgres_server: Server, sql: object) -> Site:
    return Site(
        url=parse_url(postgres_database.replace("postgresql", "postgresql+asyncpg"), "x"),
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(pg_bin=str(postgres_server.bin), tries=2, pause=300, format="custom"),
        sleep=lambda _: None,
    )


@pytest.fixture
def backups(site: Site) -> PostgresBackups:
    found = store(site)
    assert isinstance(found, PostgresBackups)
    return found


def nothing_left(site: Site) -> bool:
    return {path.name for path in site.folder.iterdir()} == {".busy", ".gitignore"}


def backends(url: str) -> list[str]:
    with psycopg.connect(url) as link:
        rows = link.execute(
            "SELECT coalesce(wait_event, '') FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'deployguard-backup%'"
        )
        return [row[0] for row in rows]


def test_a_backup_counts_and_is_verified(backups: PostgresBackups, site: Site) -> None:
    told: list[str] = []
    talking = PostgresBackups(replace(site, say=told.append))
    made = talking.take(BackupRequest("pre-deploy", "d-1", "c0ffee"))
    assert made.counts == COUNTS
    assert made.revision == ("b014",)
    found = backups.verify(made)
    assert found.ok, found.evidence
    assert catalogue.listing(site.folder).records == (made,)
    folder = site.folder / made.id
    assert {p.name for p in folder.iterdir()} == {
        "database.dump",
        "evidence.json",
        "globals.sql",
        "manifest.json",
        "verification.json",
    }
    assert {stat.S_IMODE(p.stat().st_mode) for p in folder.iterdir()} == {0o600}
    assert {line.rsplit(" (", 1)[0] for line in told} >= {f"counting {name}" for name in COUNTS}
    assert any("dumping contents of table" in line for line in told)


def test_what_is_counted_is_what_is_dumped_whoever_writes_meanwhile(
    backups: PostgresBackups, site: Site, sql: Callable[[str], None]
) -> None:
    def meanwhile(line: str) -> None:
        sql("INSERT INTO bookings (note) VALUES ('later')")

    made = PostgresBackups(replace(site, say=meanwhile)).take(BackupRequest())
    assert made.counts == COUNTS
    done = backups.restore(made, kept_as=backups.kept_name("d"), on_progress=lambda _: None)
    assert done.counts == COUNTS


def test_truncation_at_every_5_percent_is_caught(backups: PostgresBackups, site: Site) -> None:
    made = backups.take(BackupRequest())
    data = site.folder / made.id / "database.dump"
    whole = data.read_bytes()
    for percent in range(0, 100, 5):
        data.write_bytes(whole[: len(whole) * percent // 100])
        assert not backups.verify(made).ok, percent
    data.write_bytes(whole)
    assert backups.verify(made).ok


def test_damage_is_told_also_where_nothing_here_could_read_the_dump(
    backups: PostgresBackups, site: Site, tmp_path: Path
) -> None:
    made = backups.take(BackupRequest())
    folder = tmp_path / "no programs"
    folder.mkdir()
    lost = PostgresBackups(replace(site, config=replace(site.config, pg_bin=str(folder))))
    with pytest.raises(EnvironmentUnreachable, match="no pg_dump"):
        lost.verify(made)
    (site.folder / made.id / "database.dump").unlink()
    assert "cannot be read" in lost.verify(made).evidence[0]
    assert not lost.verify(made).ok


def test_truncation_is_caught_even_when_the_manifest_was_made_to_fit(
    backups: PostgresBackups, site: Site
) -> None:
    """Not only the digest: the full read finds a dump that was cut before it was sealed."""
    from deployguard.backups import sealed

    made = backups.take(BackupRequest())
    data = site.folder / made.id / "database.dump"
    whole = data.read_bytes()
    for percent in range(5, 100, 10):
        data.write_bytes(whole[: len(whole) * percent // 100])
        forged = replace(
            made, files={**made.files, data.name: (data.stat().st_size, sealed.digest(data))}
        )
        found = backups.verify(forged)
        assert not found.ok, percent
        assert "pg_restore" in found.evidence[0] or "the dump has no data" in found.evidence[0]


def test_any_flipped_byte_is_caught(backups: PostgresBackups, site: Site) -> None:
    made = backups.take(BackupRequest())
    chance = random.Random(11)
    for name in ("database.dump", "evidence.json"):
        path = site.folder / made.id / name
        whole = path.read_bytes()
        for _ in range(30):
            broken = bytearray(whole)
            broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(broken)
            assert not backups.verify(made).ok
        path.write_bytes(whole)
    assert backups.verify(made).ok


def test_a_dump_without_a_counted_table_is_not_verified() -> None:
    contents = (
        "3342; 0 16390 TABLE DATA public bookings deployer\n3343; 0 1 TABLE DATA a b c deployer\n"
    )
    taken = {"tables": [["public", "bookings", 2], ["a", "b c", 1], ["public", "book", 1]]}
    assert tables_missing(contents, taken) == ("public.book",)  # type: ignore[arg-type]


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_pg_dump_killed_half_way_leaves_nothing_and_is_not_called_a_backup(
    site: Site, tmp_path: Path, postgres_server: Server, sign: signal.Signals
) -> None:
    bin_ = wrapped(tmp_path, postgres_server, f"kill -{sign.name[3:]} $$")
    killed = PostgresBackups(replace(site, config=replace(site.config, pg_bin=bin_)))
    with pytest.raises(BackupFailed, match="signal") as caught:
        killed.take(BackupRequest())
    assert caught.value.exit_code == 20
    assert nothing_left(site)


def test_a_dump_that_is_cut_with_exit_code_0_is_not_verified(
    site: Site, tmp_path: Path, postgres_server: Server
) -> None:
    bin_ = wrapped(tmp_path, postgres_server, "exit 0")
    cut = PostgresBackups(replace(site, config=replace(site.config, pg_bin=bin_)))
    made = cut.take(BackupRequest())
    assert not cut.verify(made).ok


def wrapped(tmp_path: Path, server: Server, then: str, into: str = "head -c 100000") -> str:
    """pg_dump that writes half of its dump, and then does something else."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = server.bin / "pg_dump"
    (folder / "pg_dump").write_text(
        f"""#!/bin/sh
case "$*" in *--snapshot=*) ;; *) exec {real} "$@";; esac
for last; do :; done
{real} "$@" --file=/dev/stdout | {into} > "${{last#--file=}}"
{then}
"""
    )
    (folder / "pg_dump").chmod(0o755)
    (folder / "pg_restore").symlink_to(server.bin / "pg_restore")
    return str(folder)


KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
from deployguard.backups import BackupRequest, Site, store
from deployguard.config import BackupConfig, parse_url
url, pg_bin = sys.stdin.readline().split()
site = Site(url=parse_url(url, "x"), directory=Path(sys.argv[1]), project="bookings",
            environment="production", config=BackupConfig(pg_bin=pg_bin, format="custom"))
store(site).take(BackupRequest())
"""


def test_kill_9_of_deployguard_is_swept_and_its_pg_dump_ended(
    site: Site,
    tmp_path: Path,
    postgres_database: str,
    postgres_server: Server,
    sql: Callable[[str], None],
) -> None:
    backups = PostgresBackups(site)
    # more than fits into the sockets and pipes between the server and whoever takes the dump
    sql(
        "INSERT INTO bookings (note) SELECT repeat(md5(i::text), 10) FROM generate_series(1, 60000) i"
    )
    stuck = wrapped(tmp_path, postgres_server, "", into="sleep 60")
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert child.stdin is not None
    child.stdin.write(f"{postgres_database} {stuck}\n")
    child.stdin.close()
    wait_for(lambda: "ClientWrite" in backends(postgres_database))  # it copies, and is stuck
    assert list(site.folder.glob(".partial-*"))
    assert backups.sweep() == ()  # it lives
    child.kill()
    child.wait()
    wait_for(lambda: len(backends(postgres_database)) == 1)
    assert len(backups.sweep()) == 1
    assert backends(postgres_database) == []
    assert nothing_left(site)
    assert backups.verify(backups.take(BackupRequest())).ok


def wait_for(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_lost_connection_is_tried_again(
    site: Site, postgres_database: str, sql: Callable[[str], None]
) -> None:
    pauses: list[float] = []
    lost: list[str] = []

    def lose(line: str) -> None:
        if "dumping contents" in line and not lost:
            lost.append(line)
            sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'deployguard-backup:%'"
            )

    made = PostgresBackups(replace(site, say=lose, sleep=pauses.append)).take(BackupRequest())
    assert lost
    assert pauses == [300]
    assert made.counts == COUNTS
    assert len(catalogue.listing(site.folder).records) == 1


def test_a_locked_table_is_tried_again_and_then_a_clear_error(
    site: Site, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployguard.database.session.ASKING", 300)
    told: list[str] = []
    with psycopg.connect(postgres_database) as other:
        other.execute("LOCK TABLE other.rooms IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(BackupFailed, match=r"lock timeout.*tried 2 times"):
            PostgresBackups(replace(site, say=told.append)).take(BackupRequest())
    assert any("Trying again in 300 seconds (1 of 2 tries)" in line for line in told)
    assert nothing_left(site)


def test_a_timeout_is_a_clear_error(site: Site, tmp_path: Path, postgres_server: Server) -> None:
    bin_ = wrapped(tmp_path, postgres_server, "sleep 60")
    config = replace(site.config, pg_bin=bin_, timeout=1, tries=1)
    with pytest.raises(BackupFailed, match="nothing was written for 1 seconds"):
        PostgresBackups(replace(site, config=config)).take(BackupRequest())
    assert nothing_left(site)


def test_a_wrong_password_is_not_tried_again_and_not_shown(site: Site) -> None:
    pauses: list[float] = []
    url = replace(site.url, password="wrong-canary")
    with pytest.raises(EnvironmentUnreachable, match="password authentication failed") as caught:
        PostgresBackups(replace(site, url=url, sleep=pauses.append)).take(BackupRequest())
    assert "wrong-canary" not in str(caught.value.message)
    assert pauses == []


def test_row_security_is_an_error_and_not_a_partial_dump(
    site: Site, sql: Callable[[str], None], postgres_server: Server
) -> None:
    sql(
        "DROP ROLE IF EXISTS dg_dumper; CREATE ROLE dg_dumper LOGIN PASSWORD 'dg-dumper-secret';"
        "ALTER TABLE bookings ENABLE ROW LEVEL SECURITY;"
        "GRANT USAGE ON SCHEMA other TO dg_dumper; GRANT SELECT ON ALL TABLES IN SCHEMA public, other TO dg_dumper;"
        "GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO dg_dumper"
    )
    url = replace(site.url, username="dg_dumper", password="dg-dumper-secret")
    with pytest.raises(BackupFailed, match="row-level security"):
        PostgresBackups(replace(site, url=url)).take(BackupRequest())
    assert nothing_left(site)
    sql("DROP OWNED BY dg_dumper; DROP ROLE dg_dumper")


def test_a_file_size_limit_is_a_full_disk_and_nothing_is_left(
    backups: PostgresBackups, site: Site
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
        with pytest.raises(BackupFailed, match="is full"):
            backups.take(BackupRequest())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert nothing_left(site)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
def test_a_full_file_system_is_one_clear_error_and_nothing_is_left(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", small], check=True)
    try:
        backups = PostgresBackups(
            replace(site, config=replace(site.config, directory="small/backups"))
        )
        with pytest.raises(BackupFailed, match="not enough room"):
            backups.take(BackupRequest())
        monkeypatch.setattr(room, "need", lambda *_: None)
        with pytest.raises(BackupFailed, match="is full") as caught:
            backups.take(BackupRequest())
        assert caught.value.exit_code == 20
        assert {path.name for path in (small / "backups").iterdir()} == {".busy", ".gitignore"}
    finally:
        subprocess.run(["umount", small], check=True)


@pytest.mark.parametrize("postgres_server", [18], indirect=True)
def test_a_version_that_is_too_old_names_both(
    site: Site, postgres_pool: Callable[[int], Server]
) -> None:
    old = postgres_pool(16)
    mismatched = PostgresBackups(replace(site, config=replace(site.config, pg_bin=str(old.bin))))
    with pytest.raises(EnvironmentUnreachable, match=r"PostgreSQL 18.*found: 16\."):
        mismatched.preflight()
    with pytest.raises(EnvironmentUnreachable):
        mismatched.take(BackupRequest())
    assert nothing_left(site)


def test_no_secret_is_in_any_argv_or_file_while_a_dump_and_a_restore_run(
    site: Site, postgres_server: Server, sql: Callable[[str], None]
) -> None:
    canary = "canary/secret%with:odd@signs"
    sql(f"DROP ROLE IF EXISTS dg_canary;CREATE ROLE dg_canary SUPERUSER LOGIN PASSWORD '{canary}'")
    told: list[str] = []
    url = replace(site.url, username="dg_canary", password=canary)
    backups = PostgresBackups(replace(site, url=url, say=told.append))
    seen: list[str] = []
    stop = threading.Event()
    watcher = threading.Thread(target=watch, args=(seen, stop))
    watcher.start()
    try:
        made = backups.take(BackupRequest())
        backups.verify(made)
        backups.restore(made, kept_as=backups.kept_name("d"), on_progress=told.append)
    finally:
        stop.set()
        watcher.join()
    programs = {line.split("\0")[0].rsplit("/", 1)[-1] for line in seen}
    assert {"pg_dump", "pg_restore"} <= programs
    written = [path.read_bytes() for path in site.folder.rglob("*") if path.is_file()]
    for secret in url.secrets():
        assert not any(secret in line for line in seen)
        assert not any(secret in line for line in told)
        assert not any(secret.encode() in content for content in written)


def watch(seen: list[str], stop: threading.Event) -> None:
    """Collect the argv of every process again and again."""
    while not stop.is_set():
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                seen.append(path.read_text(errors="replace"))
        seen[:] = list(dict.fromkeys(seen))
        time.sleep(0.002)


@pytest.mark.parametrize("postgres_server", VERSIONS, indirect=True)
def test_every_server_version_with_its_own_and_with_newer_tools(
    site: Site, postgres_server: Server, postgres_servers: tuple[Server, ...]
) -> None:
    for server in postgres_servers:
        if server.version < postgres_server.version:
            continue
        backups = PostgresBackups(
            replace(site, config=replace(site.config, pg_bin=str(server.bin)))
        )
        made = backups.take(BackupRequest())
        assert made.tools["pg_dump"].startswith(str(server.version))
        assert backups.verify(made).ok
        kept = backups.kept_name(f"with-{server.version}")
        assert backups.restore(made, kept_as=kept, on_progress=lambda _: None).counts == COUNTS
        postgres_server.drop_database(kept)


def test_the_tools_of_the_databases_container_are_used_where_none_is_here(
    site: Site, postgres_server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pgtools, "SYSTEM", ())
    calls: list[tuple[str, ...]] = []

    def inside(argv: tuple[str, ...], **given: object) -> Completed:
        """The container's own programs, reached as ``docker exec`` reaches them: by name, files streamed."""
        from deployguard.process import run

        environment = {
            **dict(given.pop("environment", None) or {}),
            "PATH": str(postgres_server.bin),
        }  # type: ignore[call-overload]
        if "PGPORT" in environment:  # the server of this test listens elsewhere than in a container
            environment["PGPORT"] = str(postgres_server.port)
        calls.append(argv)
        return run([str(postgres_server.bin / argv[0]), *argv[1:]], env=environment, **given)  # type: ignore[arg-type]

    there = replace(
        site, inside=inside, environ={"PATH": "/nowhere"}, config=replace(site.config, pg_bin="")
    )
    backups = PostgresBackups(there)
    made = backups.take(BackupRequest())
    assert backups.verify(made).ok
    kept = backups.kept_name("d")
    assert backups.restore(made, kept_as=kept, on_progress=lambda _: None).counts == COUNTS
    assert {argv[0] for argv in calls} == {"pg_dump", "pg_dumpall", "pg_restore"}
    postgres_server.drop_database(kept)
