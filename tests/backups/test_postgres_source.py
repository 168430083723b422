"""Where a backup is read from: past a pooler, from a replica, over TLS, a socket, with a password file."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, postgres_source
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, DatabaseUrl, parse_url
from deployguard.errors import BackupFailed, EnvironmentUnreachable, UsageError
from tests.support import postgres
from tests.support.postgres import Server
from tests.support.required import missing

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT 'n' || i FROM generate_series(1, 300) i;
SELECT lo_create(1);
"""
COUNTS = {"alembic_version": 1, "bookings": 300}


def quiet(line: str) -> None:
    pass


@pytest.fixture
def site(tmp_path: Path, live: str, postgres_server: Server) -> Site:
    return site_of(parse_url(live, "x"), tmp_path, postgres_server)


def site_of(url: DatabaseUrl, folder: Path, server: Server) -> Site:
    return Site(
        url=url,
        directory=folder,
        project="bookings",
        environment="production",
        config=BackupConfig(pg_bin=str(server.bin), tries=1, jobs=2, database_url_env="DIRECT"),
    )


@contextmanager
def bouncer(url: DatabaseUrl) -> Iterator[DatabaseUrl]:
    """A real PgBouncer in transaction mode in front of the server; the URL through it."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        missing("no PgBouncer: apt install pgbouncer")
    folder, port = Path(tempfile.mkdtemp(prefix="deployguard-bouncer-")), postgres.free_port()
    (folder / "users").write_text(f'"{url.username}" "{url.password}"\n')
    (folder / "ini").write_text(
        f"""[databases]
* = host=127.0.0.1 port={url.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {folder}/users
pool_mode = transaction
logfile = {folder}/log
"""
    )
    user = postgres._unprivileged()
    for path in (folder, folder / "users", folder / "ini"):
        if user is not None:
            os.chown(path, user.pw_uid, user.pw_gid)
    process = subprocess.Popen(
        [program, "-q", folder / "ini"], stderr=subprocess.DEVNULL, **postgres._as_user(user)
    )
    try:
        through = url.at("127.0.0.1", port)
        while True:
            try:
                psycopg.connect(through.raw).close()
                break
            except psycopg.OperationalError:
                assert process.poll() is None
                time.sleep(0.05)
        yield through
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


def test_a_pooler_is_seen_and_a_url_past_it_is_asked_for(site: Site) -> None:
    with bouncer(site.url) as through:
        behind = PostgresBackups(replace(site, url=through))
        with pytest.raises(EnvironmentUnreachable, match="database_url_env") as caught:
            behind.take(BackupRequest())
        assert site.url.password not in str(caught.value.message)
        assert {path.name for path in site.folder.iterdir()} == {".busy", ".gitignore"}

        past = PostgresBackups(replace(site, url=through, source=site.url))
        made = past.take(BackupRequest())
        assert made.counts == COUNTS
        assert past.verify(made).ok
        with psycopg.connect(site.url.raw, autocommit=True) as link:
            link.execute("DELETE FROM bookings")
        # the restore goes past it as well: databases cannot be renamed through a pooler
        done = past.restore(made, kept_as=past.kept_name("d"), on_progress=quiet)
        assert done.counts == COUNTS


def test_the_url_for_backups_must_lead_to_the_same_database(
    site: Site, postgres_server: Server
) -> None:
    other = postgres_server.create_database(f"{site.url.database}_other")
    with pytest.raises(UsageError, match="leads to another database"):
        PostgresBackups(replace(site, source=parse_url(other, "x"))).take(BackupRequest())


def test_the_same_name_on_another_server_is_another_database(
    site: Site, postgres_servers: tuple[Server, ...]
) -> None:
    other = next(s for s in postgres_servers if s.port != site.url.port)
    url = parse_url(other.create_database(site.url.database), "x")
    newest = max(postgres_servers, key=lambda s: s.version)
    config = replace(site.config, pg_bin=str(newest.bin))
    try:
        with pytest.raises(UsageError, match="leads to another database"):
            PostgresBackups(replace(site, source=url, config=config)).take(BackupRequest())
    finally:
        other.drop_database(site.url.database)


def test_a_replica_is_read_once_it_has_caught_up_and_never_restored_into(
    site: Site, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with postgres.replica(postgres_server) as standby:
        told: list[str] = []
        source = parse_url(standby.url(site.url.database), "x")
        backups = PostgresBackups(replace(site, source=source, say=told.append))
        # Commits are asynchronous here, and now take their time to be written, which is when they can be sent.
        postgres_server.sql("ALTER SYSTEM SET wal_writer_delay = '3s'")
        postgres_server.sql("SELECT pg_reload_conf()")
        try:
            with psycopg.connect(site.url.raw, autocommit=True) as link:
                link.execute("DELETE FROM bookings WHERE id > 200")
            made = backups.take(BackupRequest())
        finally:
            postgres_server.sql("ALTER SYSTEM RESET wal_writer_delay")
            postgres_server.sql("SELECT pg_reload_conf()")
        assert made.counts == {"alembic_version": 1, "bookings": 200}
        assert backups.verify(made).ok
        with psycopg.connect(site.url.raw, autocommit=True) as link:
            link.execute("DELETE FROM bookings")
        done = backups.restore(made, kept_as=backups.kept_name("d"), on_progress=quiet)
        assert done.counts == made.counts
        assert postgres_server.sql("SELECT count(*) FROM bookings", site.url.database) == "200"

        # one that stays behind would give a backup without the last writes
        monkeypatch.setattr(postgres_source, "CATCH_UP", 1.0)
        standby.sql("SELECT pg_wal_replay_pause()")
        with psycopg.connect(site.url.raw, autocommit=True) as link:
            link.execute("DELETE FROM bookings")
        with pytest.raises(BackupFailed, match="behind its primary"):
            backups.take(BackupRequest())
        assert any("waiting for the replica" in line for line in told)
    assert len(list(site.folder.glob("*/manifest.json"))) == 1


def test_a_conflict_with_what_a_replica_replays_is_worth_another_try(
    site: Site, postgres_server: Server
) -> None:
    """The primary cleans up rows that the dump still sees; the replica, which waits for nobody, ends the dump."""
    with psycopg.connect(site.url.raw, autocommit=True) as link:
        link.execute(
            "INSERT INTO bookings (note) SELECT repeat(md5(i::text), 20) FROM generate_series(1, 20000) i"
        )
        with postgres.replica(postgres_server, max_standby_streaming_delay="0") as standby:
            met = list[str]()

            def clean_up(line: str) -> None:
                if "dumping contents" in line and not met:
                    met.append(line)
                    link.execute("DELETE FROM bookings WHERE id % 2 = 0")
                    link.execute("VACUUM bookings")
                    deadline = time.monotonic() + 60
                    while (
                        "conflict with recovery" not in standby.log and time.monotonic() < deadline
                    ):
                        time.sleep(0.05)

            pauses, told = list[float](), list[str]()
            config = replace(site.config, tries=2)
            source = parse_url(standby.url(site.url.database), "x")
            backups = PostgresBackups(
                replace(
                    site,
                    source=source,
                    config=config,
                    sleep=pauses.append,
                    say=lambda line: (told.append(line), clean_up(line))[1],
                )
            )
            made = backups.take(BackupRequest())
            assert any(
                "conflict with recovery" in line and "Trying again" in line for line in told
            ), told
            assert len(pauses) == 1
            assert made.counts == {"alembic_version": 1, "bookings": 10150}
            assert len(list(site.folder.glob("*/manifest.json"))) == 1
            assert not list(site.folder.glob(".partial-*"))
            assert backups.verify(made).ok


@pytest.mark.parametrize(
    ("place", "end"),
    [
        ("0/3000060", "0/3000060"),
        ("0/3002018", "0/3002000"),  # behind the header of a page
        ("1/4000028", "1/4000000"),  # behind that of a segment
        ("0/3002019", "0/3002019"),
    ],
)
def test_a_header_behind_the_last_record_is_not_waited_for(place: str, end: str) -> None:
    assert postgres_source.end_of_record(place, 8192) == end


def certificates(folder: Path) -> None:
    """An authority, and a certificate for localhost that it has signed."""

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    run(
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-subj",
        "/CN=authority",
        "-days",
        "2",
    )
    run(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "server.key",
        "-out",
        "server.csr",
        "-subj",
        "/CN=localhost",
    )
    (folder / "ext").write_text("subjectAltName=DNS:localhost")
    run(
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "server.crt",
        "-days",
        "2",
        "-extfile",
        "ext",
    )


def with_tls() -> list[postgres.Tree]:
    """The system's packages can do TLS, the wheel cannot."""
    return [tree for tree in postgres.trees() if postgres.SYSTEM in tree.bin.parents]


def test_certificates_and_sslmode_reach_pg_dump_as_well(tmp_path: Path) -> None:
    if not with_tls():
        missing("no PostgreSQL that can do TLS: apt install postgresql")
    certificates(tmp_path)
    with postgres.serve(with_tls()[0]) as server:
        server.stop()
        for name in ("server.crt", "server.key"):
            shutil.copy(tmp_path / name, server.data / name)
            if server.runs_as is not None:
                os.chown(server.data / name, server.runs_as.pw_uid, server.runs_as.pw_gid)
            (server.data / name).chmod(0o600)
        hba = server.data / "pg_hba.conf"
        hba.write_text(
            "hostssl all all 127.0.0.1/32 scram-sha-256\nhostssl all all ::1/128 scram-sha-256\n"
        )
        server.options["ssl"] = "on"
        server.start()
        with psycopg.connect(server.url(), autocommit=True) as link:
            link.execute("CREATE DATABASE app")
        with psycopg.connect(server.url("app"), autocommit=True) as link:
            link.execute(SCHEMA.encode())
        authority = {"sslmode": "verify-full", "sslrootcert": str(tmp_path / "ca.crt")}
        url = replace(parse_url(server.url("app"), "x"), host="localhost", query=authority)
        backups = PostgresBackups(site_of(url, tmp_path, server))
        made = backups.take(BackupRequest())
        assert backups.verify(made).ok
        done = backups.restore(made, kept_as=backups.kept_name("d"), on_progress=quiet)
        assert done.counts == COUNTS

        # another authority than the one that signed: nobody is trusted, nothing is dumped
        other = tmp_path / "other"
        other.mkdir()
        certificates(other)
        stranger = replace(url, query={**authority, "sslrootcert": str(other / "ca.crt")})
        with pytest.raises(EnvironmentUnreachable, match="certificate verify failed"):
            PostgresBackups(site_of(stranger, tmp_path, server)).take(BackupRequest())
        plain = replace(url, query={"sslmode": "disable"})
        with pytest.raises(EnvironmentUnreachable, match=r"no encryption|no pg_hba"):
            PostgresBackups(site_of(plain, tmp_path, server)).take(BackupRequest())


def test_a_unix_socket_and_a_password_file(
    tmp_path: Path, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory(
        prefix="dg-"
    ) as short:  # a socket's path is limited to some hundred bytes
        Path(short).chmod(0o777)
        with postgres.serve(postgres_server.tree, unix_socket_directories=short) as server:
            with psycopg.connect(server.url(), autocommit=True) as link:
                link.execute("CREATE DATABASE app")
            with psycopg.connect(server.url("app"), autocommit=True) as link:
                link.execute(SCHEMA.encode())
            passwords = tmp_path / "passwords"
            passwords.write_text(f"*:*:*:{server.user}:{server.password}\n")
            passwords.chmod(0o600)
            monkeypatch.setenv("PGPASSFILE", str(passwords))
            url = parse_url(f"postgresql://{server.user}@/app?host={short}&port={server.port}", "x")
            backups = PostgresBackups(site_of(url, tmp_path, server))
            made = backups.take(BackupRequest())
            assert made.counts == COUNTS
            assert backups.verify(made).ok
            done = backups.restore(made, kept_as=backups.kept_name("d"), on_progress=quiet)
            assert done.counts == COUNTS


@pytest.mark.parametrize("forced", [False, True])
def test_rows_that_a_role_may_not_see_are_an_error_and_never_left_out(
    site: Site, postgres_server: Server, forced: bool
) -> None:
    """The owner sees all rows, unless row security is forced upon him."""
    name = site.url.database
    postgres_server.sql(
        "DROP ROLE IF EXISTS dg_rows; CREATE ROLE dg_rows LOGIN PASSWORD 'dg-rows-secret'"
    )
    try:
        for statement in (
            "ALTER TABLE bookings OWNER TO dg_rows",
            "ALTER TABLE alembic_version OWNER TO dg_rows",
            "ALTER LARGE OBJECT 1 OWNER TO dg_rows",
            "ALTER TABLE bookings ENABLE ROW LEVEL SECURITY",
            f"ALTER TABLE bookings {'' if forced else 'NO '}FORCE ROW LEVEL SECURITY",
            "CREATE POLICY few ON bookings USING (id < 10)",
        ):
            postgres_server.sql(statement, name)
        url = replace(site.url, username="dg_rows", password="dg-rows-secret")
        for layout in ("directory", "plain"):
            config = replace(site.config, format=layout)  # type: ignore[arg-type]
            backups = PostgresBackups(replace(site, url=url, config=config))
            if forced:
                with pytest.raises(BackupFailed, match="row-level security"):
                    backups.take(BackupRequest())
                assert not list(site.folder.glob("*/manifest.json"))
            else:
                assert backups.take(BackupRequest()).counts == COUNTS
    finally:
        postgres_server.sql("REASSIGN OWNED BY dg_rows TO deployer; DROP OWNED BY dg_rows", name)
        postgres_server.sql("DROP ROLE dg_rows")


def test_a_large_object_that_may_not_be_read_is_an_error(
    site: Site, postgres_server: Server
) -> None:
    name = site.url.database
    postgres_server.sql(
        "DROP ROLE IF EXISTS dg_objects; CREATE ROLE dg_objects LOGIN PASSWORD 'dg-objects-secret'"
    )
    try:
        postgres_server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO dg_objects", name)
        postgres_server.sql("GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO dg_objects", name)
        url = replace(site.url, username="dg_objects", password="dg-objects-secret")
        with pytest.raises(BackupFailed, match="permission denied for large object"):
            PostgresBackups(replace(site, url=url)).take(BackupRequest())
    finally:
        postgres_server.sql("DROP OWNED BY dg_objects", name)
        postgres_server.sql("DROP ROLE dg_objects")


@pytest.mark.parametrize(
    "postgres_server", [tree.version for tree in with_tls()] or [16], indirect=True
)
def test_an_extension_comes_back(site: Site, postgres_server: Server) -> None:
    there = postgres_server.sql("SELECT name FROM pg_available_extensions WHERE name = 'pg_trgm'")
    if not there:
        missing("no PostgreSQL with its extensions: apt install postgresql")
    with psycopg.connect(site.url.raw, autocommit=True) as link:
        link.execute(
            "CREATE EXTENSION pg_trgm; CREATE INDEX g ON bookings USING gin (note gin_trgm_ops)"
        )
    backups = PostgresBackups(site)
    made = backups.take(BackupRequest())
    done = backups.restore(made, kept_as=backups.kept_name("d"), on_progress=quiet)
    assert done.counts == COUNTS
    assert postgres_server.sql(
        "SELECT extname FROM pg_extension WHERE extname = 'pg_trgm'", site.url.database
    )
