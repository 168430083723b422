"""A restore drill brings a backup back on a server of its own, and says what is wrong with it and how long it took."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, beside, catalogue, sqlite_drill, store
from deployguard.backups.postgres_drill import roles
from deployguard.config import BackupConfig, DrillConfig, parse_url
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.model import BackupRecord
from tests.support import postgres
from tests.support.postgres import Server

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text NOT NULL);
CREATE INDEX ix_note ON bookings (note);
INSERT INTO bookings (note) SELECT md5(i::text) FROM generate_series(1, 500) i;
CREATE MATERIALIZED VIEW busy AS SELECT count(*) FROM bookings;
CREATE FUNCTION twice(i int) RETURNS int LANGUAGE sql AS $$ SELECT 2 * i $$;
"""
MANY = 3600


@pytest.fixture
def owned(postgres_database: str) -> Iterator[str]:
    """A database whose table belongs to a role, and is granted to another, that no scratch server knows."""
    name = psycopg.conninfo.conninfo_to_dict(postgres_database)["dbname"]
    owner, reader = f"owner of {name}", f"reader_{name}".lower()
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
        for role in (owner, reader):
            link.execute(f'CREATE ROLE "{role}"'.encode())
        link.execute(f'ALTER TABLE bookings OWNER TO "{owner}"'.encode())
        link.execute(f'GRANT SELECT ON bookings TO "{reader}"'.encode())
        link.execute(f'CREATE POLICY mine ON bookings TO "{reader}" USING (true)'.encode())
        yield postgres_database
        link.execute(b"DROP TABLE bookings CASCADE")
        for role in (owner, reader):
            link.execute(f'DROP ROLE "{role}"'.encode())


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Where another user gets to: the server of a drill runs as one where we are root, and pytest's folders are ours."""
    with tempfile.TemporaryDirectory(prefix="drill-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def site(tmp_path: Path, owned: str, postgres_server: Server, scratch: Path) -> Site:
    return Site(
        url=parse_url(owned, "x"),
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(pg_bin=str(postgres_server.bin)),
        drill=DrillConfig(directory=str(scratch), rto=MANY),
        sleep=lambda _: None,
    )


def taken(site: Site, layout: str) -> BackupRecord:
    return store(replace(site, config=replace(site.config, format=layout))).take(BackupRequest())


@pytest.mark.parametrize("layout", ["directory", "custom", "plain"])
def test_a_backup_is_restored_compared_and_timed_on_a_server_of_its_own(
    site: Site, layout: str
) -> None:
    record = taken(site, layout)
    asking = replace(
        site, drill=replace(site.drill, verify_sql=("SELECT count(*) = 500 FROM bookings",))
    )
    found = store(asking).drill(record)
    assert found.ok, found.evidence
    assert found.seconds > 0
    assert f"within the {MANY} s" in found.evidence[0]
    assert "501 rows in 2 tables" in found.evidence[1]
    assert "its schema is the one that was backed up" in found.evidence[2]
    assert found.evidence[3].startswith("SELECT count(*) = 500 FROM bookings")
    kept = site.folder / record.folder / beside.DRILL
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert beside.drilled(site.folder, record) == replace(found, seconds=round(found.seconds, 3))
    assert not list(Path(site.drill.directory).iterdir())


def test_a_slow_drill_says_so(site: Site) -> None:
    slow = replace(site, drill=replace(site.drill, rto=0))
    found = store(slow).drill(taken(site, "directory"))
    assert found.ok
    assert "SLOWER than the 0 s of [drill] rto" in found.evidence[0]


def test_a_statement_that_is_not_true_fails_the_drill(site: Site) -> None:
    asking = replace(
        site, drill=replace(site.drill, verify_sql=("SELECT count(*) = 7 FROM bookings",))
    )
    found = store(asking).drill(taken(site, "custom"))
    assert not found.ok
    assert "SELECT count(*) = 7 FROM bookings" in found.evidence[0]


def test_rows_that_do_not_come_back_fail_the_drill(site: Site) -> None:
    record = taken(site, "plain")
    lying = _with_counts(site, record, {**record.counts, "bookings": 501})
    found = store(site).drill(lying)
    assert not found.ok
    drilled = beside.drilled(site.folder, lying)
    assert drilled is not None
    assert not drilled.ok


def test_a_damaged_backup_fails_without_a_server(site: Site, tmp_path: Path) -> None:
    record = taken(site, "custom")
    with (site.folder / record.folder / "database.dump").open("r+b") as file:
        file.truncate(100)
    nowhere = replace(site, drill=replace(site.drill, directory="missing"))
    found = store(nowhere).drill(record)
    assert not found.ok
    assert "100 bytes" in found.evidence[0]


def test_the_live_server_is_refused_whatever_database_is_named(
    site: Site, postgres_server: Server
) -> None:
    record = taken(site, "custom")
    socket = postgres_server.url("postgres").replace("127.0.0.1", "localhost")
    there = replace(
        site,
        drill=replace(site.drill, database_url_env="SCRATCH"),
        environ={**site.environ, "SCRATCH": socket},
    )
    with pytest.raises(UsageError, match="leads to the live server"):
        store(there).drill(record)
    assert beside.drilled(site.folder, record) is None


def test_a_configured_server_is_left_as_it_was(site: Site, postgres_server: Server) -> None:
    record = taken(site, "custom")
    tree = next(tree for tree in postgres.trees() if tree.version >= postgres_server.version)
    with postgres.serve(tree) as other:
        before = other.sql("SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles")
        there = replace(
            site,
            drill=replace(site.drill, database_url_env="SCRATCH"),
            environ={**site.environ, "SCRATCH": other.url()},
        )
        found = store(there).drill(record)
        assert found.ok, found.evidence
        after = other.sql("SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles")
    assert after == before


def test_without_a_server_nothing_is_known_and_the_error_says_what_to_install(
    site: Site, tmp_path: Path
) -> None:
    record = taken(site, "custom")
    client = tmp_path / "client"
    client.mkdir()
    for name in ("pg_dump", "pg_restore", "psql"):
        (client / name).symlink_to(Path(site.config.pg_bin) / name)
    without = replace(site, config=replace(site.config, pg_bin=str(client)))
    with pytest.raises(EnvironmentUnreachable, match="needs a PostgreSQL server of version"):
        store(without).drill(record)
    assert beside.drilled(site.folder, record) is None


def test_a_drill_counts_only_for_the_manifest_that_it_was_of(site: Site) -> None:
    record = taken(site, "custom")
    found = store(site).drill(record)
    assert found.ok, found.evidence
    again = _with_counts(site, record, {**record.counts, "bookings": 1})
    assert beside.drilled(site.folder, again) is None


def test_roles_are_found_wherever_a_schema_names_them() -> None:
    lines = [
        'ALTER TABLE public.a OWNER TO "Odd ""one""";',
        "GRANT SELECT,INSERT ON TABLE public.a TO reader WITH GRANT OPTION;",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE maker IN SCHEMA public GRANT SELECT ON TABLES TO seer;",
        "CREATE POLICY p ON public.a FOR SELECT TO tenant, guest USING (true);",
    ]
    assert roles(lines) >= {'Odd "one"', "reader", "maker", "tenant", "guest"}
    assert "PUBLIC" not in roles(lines)


def test_a_sqlite_backup_is_restored_to_a_copy_and_asked(tmp_path: Path) -> None:
    live = tmp_path / "app.db"
    with closing(sqlite3.connect(live, isolation_level=None)) as link:
        link.execute("CREATE TABLE bookings (id INTEGER PRIMARY KEY)")
        link.execute("INSERT INTO bookings VALUES (1), (2)")
    site = Site(
        url=parse_url("sqlite:///app.db", "x"),
        directory=tmp_path,
        project="bookings",
        environment="development",
        drill=DrillConfig(verify_sql=("SELECT count(*) = 2 FROM bookings",)),
    )
    record = store(site).take(BackupRequest())
    before = live.read_bytes()
    found = store(site).drill(record)
    assert found.ok, found.evidence
    assert "2 rows in 1 tables" in found.evidence[1]
    wrong = replace(site, drill=DrillConfig(verify_sql=("SELECT count(*) = 3 FROM bookings",)))
    assert not store(wrong).drill(record).ok
    assert live.read_bytes() == before
    assert sorted(path.name for path in site.folder.iterdir()) == [
        ".busy",
        ".gitignore",
        record.id,
    ]


def test_what_a_killed_drill_of_a_sqlite_backup_leaves_is_swept(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as link:
        link.execute("CREATE TABLE bookings (id INTEGER PRIMARY KEY)")
    site = Site(parse_url("sqlite:///app.db", "x"), tmp_path, "bookings", "development")
    record = store(site).take(BackupRequest())
    before = sorted(path.name for path in site.folder.iterdir())
    pid = os.fork()
    if pid == 0:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sqlite_drill, "count_all", lambda link: os.kill(os.getpid(), 9))
            with suppress(BaseException):
                store(site).drill(record)
        os._exit(99)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert len(list(site.folder.iterdir())) == len(before) + 1
    store(site).sweep()
    assert sorted(path.name for path in site.folder.iterdir()) == before


def _with_counts(site: Site, record: BackupRecord, counts: dict[str, int]) -> BackupRecord:
    """The backup with other counts in manifest and evidence, all of it fitting together."""
    folder = site.folder / record.folder
    evidence = json.loads((folder / "evidence.json").read_bytes())
    evidence["counts"] = counts
    (folder / "evidence.json").write_text(json.dumps(evidence))
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["counts"] = counts
    from deployguard.backups import sealed

    manifest["files"]["evidence.json"] = {
        "bytes": (folder / "evidence.json").stat().st_size,
        "sha256": sealed.digest(folder / "evidence.json"),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return catalogue.load(folder / "manifest.json")
