"""A restore is all or nothing: the live database is untouched until the swap, and kept after it."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, parse_url
from deployguard.database import connect
from deployguard.errors import BackupFailed, Busy, DeployguardError, UsageError
from deployguard.model import BackupRecord, Verification
from tests.support import postgres
from tests.support.postgres import Server

ROOT = Path(__file__).parents[2]
SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TABLE bookings (id serial PRIMARY KEY, note text, feeling mood DEFAULT 'ok');
INSERT INTO bookings (note) SELECT 'n' || i FROM generate_series(1, 500) i;
CREATE INDEX i ON bookings (lower(note));
CREATE TABLE rooms (id int PRIMARY KEY);
"""
COUNTS = {"alembic_version": 1, "bookings": 500, "rooms": 0}
FAILED_MIGRATION = """
UPDATE alembic_version SET version_num = 'b015';
DELETE FROM bookings WHERE id > 10;
DROP TABLE rooms;
"""


def quiet(line: str) -> None:
    pass


def run(url: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as link:
        cursor = link.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.fixture
def live(postgres_server: Server, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a database; it, and what restores made of it, is gone afterwards."""
    name = f"live_{abs(hash(request.node.name)) % 10**8}_{time.monotonic_ns() % 10**6}"
    url = postgres_server.create_database(name)
    run(url, SCHEMA)
    yield url
    for found in databases(postgres_server, name):
        postgres_server.drop_database(found)


def databases(server: Server, start: str) -> list[str]:
    rows = server.sql(
        f"SELECT datname FROM pg_database WHERE starts_with(datname, '{start}') ORDER BY 1"
    )
    return rows.split()


def name_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


@pytest.fixture
def site(tmp_path: Path, live: str, postgres_server: Server) -> Site:
    return Site(
        url=parse_url(live, "x"),
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(pg_bin=str(postgres_server.bin), tries=1, format="custom"),
    )


@pytest.fixture
def backups(site: Site) -> PostgresBackups:
    return PostgresBackups(site)


@pytest.fixture
def taken(backups: PostgresBackups, live: str) -> BackupRecord:
    """A backup, and then a migration that destroyed something."""
    record = backups.take(BackupRequest("pre-deploy", "d-1"))
    run(live, FAILED_MIGRATION)
    return record


def test_a_server_that_only_its_network_knows_by_name_is_restored(
    site: Site, taken: BackupRecord, live: str
) -> None:
    def address(host: str, port: int) -> tuple[str, int] | None:
        return ("127.0.0.1", port) if host == "db.invalid" else None

    hidden = replace(site, url=replace(site.url, host="db.invalid"), address=address)
    backups = PostgresBackups(hidden)
    done = backups.restore(taken, kept_as=backups.kept_name("d-1"), on_progress=quiet)
    assert done.counts == COUNTS
    assert run(live, "SELECT count(*) FROM bookings") == [(500,)]


def test_every_row_is_back_and_the_failed_database_is_kept(
    backups: PostgresBackups, taken: BackupRecord, live: str, postgres_server: Server
) -> None:
    kept = backups.kept_name("d-1")
    done = backups.restore(taken, kept_as=kept, on_progress=quiet)
    assert (done.database, done.kept_as) == (name_of(live), f"{name_of(live)}_failed_d_1")
    assert done.counts == COUNTS
    assert run(live, "SELECT count(*), max(id) FROM bookings") == [(500, 500)]
    assert run(live, "SELECT version_num FROM alembic_version") == [("b014",)]
    assert run(live, "INSERT INTO bookings (note) VALUES ('x') RETURNING id") == [(501,)]
    assert run(live, "SELECT reltuples > 0 FROM pg_class WHERE relname = 'bookings'") == [(True,)]
    failed = postgres_server.url(kept)
    assert run(failed, "SELECT count(*) FROM bookings") == [(10,)]
    assert databases(postgres_server, name_of(live)) == [name_of(live), kept]


def test_asked_again_it_answers_with_what_it_did(
    backups: PostgresBackups, taken: BackupRecord, live: str, postgres_server: Server
) -> None:
    other = backups.take(BackupRequest())
    kept = backups.kept_name("d-1")
    backups.restore(taken, kept_as=kept, on_progress=quiet)
    run(live, "INSERT INTO bookings (note) VALUES ('after the restore')")
    again = backups.restore(taken, kept_as=kept, on_progress=quiet)
    assert again.counts["bookings"] == 501
    assert again.kept_as == kept
    with pytest.raises(UsageError, match="exists already"):
        backups.restore(other, kept_as=kept, on_progress=quiet)
    with pytest.raises(UsageError, match="63 bytes"):
        backups.restore(taken, kept_as="x" * 64, on_progress=quiet)
    assert databases(postgres_server, name_of(live)) == [name_of(live), kept]


def test_owner_rights_and_settings_are_carried_over(
    site: Site, backups: PostgresBackups, taken: BackupRecord, live: str, postgres_server: Server
) -> None:
    name = name_of(live)
    run(
        live,
        "DROP ROLE IF EXISTS dg_app; CREATE ROLE dg_app LOGIN PASSWORD 'dg-app-secret';"
        "DROP ROLE IF EXISTS dg_audit; CREATE ROLE dg_audit;",
    )
    for statement in (
        f"ALTER DATABASE {name} OWNER TO dg_app",
        f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {name} TO dg_audit WITH GRANT OPTION",
        f"ALTER DATABASE {name} CONNECTION LIMIT 17",
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        f"""ALTER DATABASE {name} SET search_path = "Odd, schema", public""",
        f"ALTER DATABASE {name} SET app.greeting = 'it''s = fine'",
        f"ALTER ROLE dg_app IN DATABASE {name} SET work_mem = '7MB'",
        f"COMMENT ON DATABASE {name} IS 'it''s ours'",
    ):
        postgres_server.sql(statement)
    ask = """SELECT pg_get_userbyid(datdba), datconnlimit, pg_encoding_to_char(encoding), datcollate,
      datctype, shobj_description(d.oid, 'pg_database'),
      (SELECT array_agg(a::text ORDER BY a::text) FROM aclexplode(datacl) x,
        LATERAL (SELECT (pg_get_userbyid(x.grantee), x.privilege_type, x.is_grantable) AS a) y),
      (SELECT array_agg((setrole, setconfig)::text ORDER BY setrole) FROM pg_db_role_setting
        WHERE setdatabase = d.oid)
      FROM pg_database d WHERE datname = '{}'"""
    before = postgres_server.sql(ask.format(name))
    kept = backups.kept_name("d-1")
    backups.restore(taken, kept_as=kept, on_progress=quiet)
    after = postgres_server.sql(ask.format(name))
    postgres_server.sql(f"ALTER DATABASE {name} OWNER TO {postgres_server.user}")
    postgres_server.drop_database(name)
    postgres_server.drop_database(kept)
    postgres_server.sql("DROP ROLE dg_app; DROP ROLE dg_audit")
    assert after == before
    assert "dg_audit" in after


LATIN = "ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'"
ASCII = "ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
ICU = "LOCALE_PROVIDER icu ICU_LOCALE 'de' ENCODING 'UTF8'"
BUILTIN = "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' ENCODING 'UTF8'"


def with_icu() -> list[tuple[int, str]]:
    """The system's packages have ICU, the wheel has not; version 15 is the first that can use it for a database."""
    return [(t.version, ICU) for t in postgres.trees() if postgres.SYSTEM in t.bin.parents]


@pytest.mark.parametrize(
    ("postgres_server", "options"),
    [(16, LATIN), (16, ASCII), (18, LATIN), (18, BUILTIN), *with_icu()],
    indirect=["postgres_server"],
)
def test_encoding_and_locale_are_carried_over(
    site: Site, postgres_server: Server, live: str, options: str
) -> None:
    name = f"{name_of(live)}_other"
    postgres_server.sql(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
    locale = "datlocale" if postgres_server.version >= 17 else "daticulocale"
    ask = (
        f"SELECT encoding, datcollate, datctype, datlocprovider, {locale}"
        f" FROM pg_database WHERE datname = '{name}'"
    )
    before = postgres_server.sql(ask)
    backups = PostgresBackups(replace(site, url=replace(site.url, database=name)))
    made = backups.take(BackupRequest())
    backups.restore(made, kept_as=backups.kept_name("d"), on_progress=quiet)
    assert postgres_server.sql(ask) == before


def test_a_database_that_is_gone_is_restored(
    backups: PostgresBackups, taken: BackupRecord, live: str, postgres_server: Server
) -> None:
    postgres_server.drop_database(name_of(live))
    done = backups.restore(taken, kept_as="never_made", on_progress=quiet)
    assert done.kept_as == ""
    assert run(live, "SELECT count(*) FROM bookings") == [(500,)]


def test_an_ordinary_owner_who_may_create_databases_can_restore(
    site: Site, postgres_server: Server, live: str
) -> None:
    postgres_server.sql(
        "DROP ROLE IF EXISTS dg_owner; CREATE ROLE dg_owner LOGIN CREATEDB PASSWORD 'dg-owner-secret'"
    )
    name = f"{name_of(live)}_owned"
    postgres_server.sql(f"CREATE DATABASE {name} OWNER dg_owner")
    url = replace(site.url, username="dg_owner", password="dg-owner-secret", database=name)
    run(url.raw, SCHEMA)
    backups = PostgresBackups(replace(site, url=url))
    made = backups.take(BackupRequest())
    run(url.raw, FAILED_MIGRATION)
    kept = backups.kept_name("d")
    assert backups.restore(made, kept_as=kept, on_progress=quiet).counts == COUNTS

    # somebody who cannot be made to leave: nothing changes, and it is said who
    run(url.raw, FAILED_MIGRATION)
    with psycopg.connect(postgres_server.url(name)) as superuser:
        superuser.execute("SELECT 1")
        with pytest.raises(
            BackupFailed, match=r"could not be swapped \(we may not end server process"
        ) as caught:
            backups.restore(made, kept_as=backups.kept_name("e"), on_progress=quiet)
    assert "not touched" in caught.value.state
    assert run(url.raw, "SELECT count(*) FROM bookings") == [(10,)]
    assert databases(postgres_server, name) == [name, kept]
    postgres_server.drop_database(name)
    postgres_server.drop_database(kept)
    postgres_server.sql("DROP ROLE dg_owner")


def test_a_damaged_backup_never_reaches_the_live_database(
    backups: PostgresBackups, site: Site, taken: BackupRecord, live: str, postgres_server: Server
) -> None:
    data = site.folder / taken.id / "database.dump"
    whole = data.read_bytes()
    for percent in (0, 5, 50, 95):
        data.write_bytes(whole[: len(whole) * percent // 100])
        with pytest.raises(BackupFailed, match="damaged") as caught:
            backups.restore(taken, kept_as="never_made", on_progress=quiet)
        assert "not touched" in caught.value.state
    assert run(live, "SELECT count(*) FROM bookings") == [(10,)]
    assert databases(postgres_server, name_of(live)) == [name_of(live)]


def test_what_was_just_read_back_is_only_looked_at_for_changes(
    backups: PostgresBackups, site: Site, taken: BackupRecord
) -> None:
    data, verdict = (
        site.folder / taken.id / "database.dump",
        site.folder / taken.id / "verification.json",
    )
    assert backups.verify(taken).ok
    verdict.unlink()
    assert backups.damages(taken) == ()
    assert not verdict.exists()  # it was not read back once more
    whole = data.read_bytes()
    data.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "sha256 differs" in backups.damages(taken)[0]
    data.write_bytes(whole)
    assert PostgresBackups(site).damages(taken) == ()  # another process knows nothing of it
    assert verdict.exists()


def test_nothing_of_the_hurry_of_a_restore_is_left_in_the_database(
    backups: PostgresBackups, taken: BackupRecord, live: str, postgres_server: Server
) -> None:
    backups.restore(taken, kept_as=backups.kept_name("d"), on_progress=quiet)
    assert run(live, "SELECT current_setting('synchronous_commit')") == [
        ("off",)
    ]  # the test server's own
    assert postgres_server.sql("SELECT count(*) FROM pg_db_role_setting") == "0"
    assert run(live, "SELECT reltuples::int FROM pg_class WHERE relname = 'bookings'") == [(500,)]


@pytest.mark.parametrize("percent", [5, 50, 80, 95])
def test_a_restore_that_fails_in_the_middle_leaves_nothing_behind(
    site: Site, taken: BackupRecord, live: str, postgres_server: Server, percent: int
) -> None:
    """Even where verification were fooled: pg_restore or the counts refuse, and the half-made database goes."""

    class Fooled(PostgresBackups):
        def verify(self, record: BackupRecord) -> Verification:
            return Verification(True, ("fooled",), site.now())

    data = site.folder / taken.id / "database.dump"
    whole = data.read_bytes()
    data.write_bytes(whole[: len(whole) * percent // 100])
    with pytest.raises(BackupFailed) as caught:
        Fooled(site).restore(taken, kept_as="never_made", on_progress=quiet)
    assert "not touched" in caught.value.state
    assert run(live, "SELECT count(*) FROM bookings") == [(10,)]
    assert databases(postgres_server, name_of(live)) == [name_of(live)]


def test_rows_that_differ_from_the_manifest_stop_it_before_the_swap(
    site: Site, taken: BackupRecord, live: str
) -> None:
    class Fooled(PostgresBackups):
        def verify(self, record: BackupRecord) -> Verification:
            return Verification(True, ("fooled",), site.now())

    for wrong in (
        replace(taken, counts={**taken.counts, "bookings": 501}),
        replace(taken, counts={**taken.counts, "another": 1}),
        replace(taken, revision=("b013",)),
    ):
        with pytest.raises(BackupFailed, match="differs from what was backed up"):
            Fooled(site).restore(wrong, kept_as="never_made", on_progress=quiet)
    assert run(live, "SELECT count(*) FROM bookings") == [(10,)]


CRASH = """
import os, signal, sys
from pathlib import Path
from deployguard.backups import Site, find, postgres_restore
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, parse_url
from deployguard.database import swap

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

point = sys.argv[3]
url, pg_bin = sys.stdin.readline().split()
site = Site(url=parse_url(url, "x"), directory=Path(sys.argv[1]), project="bookings",
            environment="production", config=BackupConfig(pg_bin=pg_bin, format="custom"))
if point == "before pg_restore":
    postgres_restore.restore_argv = die
elif point == "before the swap":
    swap.Maintenance.swap = die
elif point == "in the swap":
    real = swap._rename
    def rename(old, new):
        statement = real(old, new)
        return statement if "_failed_" in new else swap.sql.SQL("SELECT pg_sleep(8); {}").format(statement)
    swap._rename = rename
    import threading
    threading.Timer(float(sys.argv[4]), die).start()
elif point == "after the swap":
    real_swap = swap.Maintenance.swap
    def swap_and_die(*args):
        real_swap(*args)
        die()
    swap.Maintenance.swap = swap_and_die
backups = PostgresBackups(site)
backups.restore(find(site.folder, sys.argv[2]), kept_as=backups.kept_name("d-1"), on_progress=print)
"""


@pytest.mark.parametrize(
    "point", ["before pg_restore", "before the swap", "in the swap", "after the swap"]
)
def test_kill_9_leaves_the_old_or_the_new_database_and_can_be_repeated(
    backups: PostgresBackups,
    site: Site,
    taken: BackupRecord,
    postgres_server: Server,
    point: str,
) -> None:
    live, name = site.url.raw, site.url.database
    argv = [sys.executable, "-c", CRASH, str(site.directory), taken.id, point, "4"]
    ended = subprocess.run(
        argv,
        cwd=ROOT,
        input=f"{live} {site.config.pg_bin}\n",
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    kept = backups.kept_name("d-1")
    if point == "after the swap":
        assert run(live, "SELECT count(*) FROM bookings") == [(500,)]
    else:
        # at once, or as soon as the server has noticed that the renaming client is gone
        assert run_patiently(live, "SELECT count(*) FROM bookings") == [(10,)]
        assert kept not in databases(postgres_server, name)
        assert len(databases(postgres_server, name)) == 2  # the half-made one
    assert backups.restore(taken, kept_as=kept, on_progress=quiet).counts == COUNTS
    assert databases(postgres_server, name) == [name, kept]
    assert run(postgres_server.url(kept), "SELECT count(*) FROM bookings") == [(10,)]


def run_patiently(url: str, statement: str, seconds: float = 40) -> list[tuple[object, ...]]:
    deadline = time.monotonic() + seconds
    while True:
        try:
            return run(url, statement)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def test_writers_reconnect_once_and_no_committed_row_is_lost(
    backups: PostgresBackups, site: Site, live: str, postgres_server: Server
) -> None:
    run(live, "CREATE TABLE log (writer int, number int)")
    made = backups.take(BackupRequest())
    stop = threading.Event()
    writers = [Writer(live, number, stop) for number in range(4)]
    for writer in writers:
        writer.start()
    time.sleep(0.3)
    kept = backups.kept_name("d-1")
    backups.restore(made, kept_as=kept, on_progress=quiet)
    time.sleep(0.5)
    stop.set()
    for writer in writers:
        writer.join()
    rows = set(run(live, "SELECT * FROM log"))
    rows |= set(run(postgres_server.url(kept), "SELECT * FROM log"))
    committed = {(w.number, number) for w in writers for number in w.committed}
    assert committed <= rows
    after = {row[0] for row in run(live, "SELECT DISTINCT writer FROM log")}
    assert after == {0, 1, 2, 3}  # every writer came back by itself
    assert max(writer.away for writer in writers) < 1.0
    assert all(writer.errors <= 3 for writer in writers)


class Writer(threading.Thread):
    """Commits one row after another and reconnects when it is thrown out."""

    def __init__(self, url: str, number: int, stop: threading.Event) -> None:
        super().__init__()
        self.url, self.number, self.stop = url, number, stop
        self.committed: list[int] = []
        self.away = 0.0  # the longest time between two rows
        self.errors = 0

    def run(self) -> None:
        link: psycopg.Connection | None = None
        number, last = 0, time.monotonic()
        while not self.stop.is_set():
            number += 1
            try:
                link = link or psycopg.connect(self.url, autocommit=True)
                link.execute("INSERT INTO log VALUES (%s, %s)", [self.number, number])
            except psycopg.OperationalError:
                self.errors += 1
                link = None
                continue
            self.committed.append(number)
            self.away = max(self.away, time.monotonic() - last)
            last = time.monotonic()
        if link is not None:
            link.close()


def test_the_deploys_lock_and_its_open_connection_survive_the_swap(
    site: Site, backups: PostgresBackups, taken: BackupRecord, live: str
) -> None:
    with connect(site.url, directory=site.directory) as deploying:
        identity = deploying.identity()
        with deploying.advisory_lock(identity) as lock:
            assert deploying.current_revisions() == ("b015",)
            backups.restore(taken, kept_as=backups.kept_name("d-1"), on_progress=quiet)
            assert lock.held()
            assert deploying.current_revisions() == ("b014",)
            assert deploying.identity() == identity
            with (
                connect(site.url, directory=site.directory) as another,
                pytest.raises(Busy),
                another.advisory_lock(identity),
            ):
                raise AssertionError("two hold it")


def test_a_role_that_may_not_create_databases_is_told(
    site: Site, taken: BackupRecord, live: str, postgres_server: Server
) -> None:
    postgres_server.sql(
        "DROP ROLE IF EXISTS dg_small; CREATE ROLE dg_small LOGIN PASSWORD 'dg-small-secret'"
    )
    url = replace(site.url, username="dg_small", password="dg-small-secret")
    backups = PostgresBackups(replace(site, url=url))
    with pytest.raises(DeployguardError, match="permission denied to create database"):
        backups.restore(taken, kept_as="never_made", on_progress=quiet)
    postgres_server.sql("DROP ROLE dg_small")


def test_names_are_kept_within_the_servers_limit(site: Site, live: str) -> None:
    long = "d" * 63
    backups = PostgresBackups(replace(site, url=replace(site.url, database=long)))
    name = backups.kept_name("20260218-103000-ab12")
    assert len(name) == 63
    assert name.endswith("_failed_20260218_103000_ab12")
