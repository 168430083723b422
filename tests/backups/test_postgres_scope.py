"""A part of a database is backed up for people: it never counts for a deploy, nor is it put in a database's place."""

import gzip
import subprocess
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, catalogue, find, sealed, store
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, parse_url
from deployguard.errors import UsageError
from deployguard.model import BackupRecord, Scope
from tests.support.postgres import Server

SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT 'n' || i FROM generate_series(1, 30) i;
CREATE TABLE parts (id int, of text) PARTITION BY LIST (of);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE "book%*" (id int);
INSERT INTO parts SELECT i, 'a' FROM generate_series(1, 5) i;
CREATE SCHEMA other; CREATE TABLE other.rooms (id int); INSERT INTO other.rooms VALUES (1);
SELECT lo_create(1);
"""


@pytest.fixture
def site(tmp_path: Path, postgres_database: str, postgres_server: Server) -> Site:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
    return Site(
        url=parse_url(postgres_database, "x"),
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(pg_bin=str(postgres_server.bin), tries=1, jobs=2),
    )


def take(site: Site, scope: Scope, layout: str = "plain") -> BackupRecord:
    backups = of(site, layout)
    made = backups.take(BackupRequest(scope=scope))
    assert catalogue.load(site.folder / made.id / sealed.MANIFEST).scope == scope
    found = backups.verify(made)
    assert found.ok, found.evidence
    return made


def of(site: Site, layout: str) -> PostgresBackups:
    return PostgresBackups(replace(site, config=replace(site.config, format=layout)))  # type: ignore[arg-type]


def sql_of(site: Site, made: BackupRecord) -> str:
    return gzip.decompress((site.folder / made.id / "database.sql.gz").read_bytes()).decode()


@pytest.mark.parametrize("layout", ["directory", "custom", "plain"])
@pytest.mark.parametrize(
    ("scope", "counts"),
    [
        (Scope("schema"), {}),
        (
            Scope("data"),
            {"alembic_version": 1, "bookings": 30, "parts_a": 5, "book%*": 0, "other.rooms": 1},
        ),
        (Scope(tables=("bookings", "public.parts")), {"bookings": 30, "parts_a": 5}),
        (Scope("data", ("book%*",)), {"book%*": 0}),
        (Scope(schemas=("other",)), {"other.rooms": 1}),
        (Scope("schema", ("other.rooms",)), {}),
    ],
    ids=str,
)
def test_what_it_holds_is_counted_and_nothing_else(
    site: Site, scope: Scope, counts: dict[str, int], layout: str
) -> None:
    made = take(site, scope, layout)
    assert made.counts == counts
    assert made.revision == ("b014",)
    if layout == "plain":
        text = sql_of(site, made)
        assert text.count("\nCOPY ") == len(counts)
        assert ("CREATE TABLE" in text) == (scope.content != "data")


def test_a_name_that_is_not_there_is_an_error_that_names_the_nearest(site: Site) -> None:
    for scope, said in (
        (Scope(tables=("booking",)), "no table booking in the database. Did you mean bookings"),
        (Scope(schemas=("othr",)), "no schema othr in the database. Did you mean other"),
    ):
        with pytest.raises(UsageError, match=said):
            of(site, "custom").take(BackupRequest(scope=scope))
    assert {path.name for path in site.folder.iterdir()} == {".busy", ".gitignore"}


@pytest.mark.parametrize("layout", ["directory", "plain"])
def test_it_is_not_restored_but_it_is_said_how_to_do_it_by_hand(
    site: Site, layout: str, postgres_server: Server
) -> None:
    made = take(site, Scope(tables=("bookings",)), layout)
    with pytest.raises(
        UsageError, match=r"holds a part of the database \(tables bookings\)"
    ) as caught:
        of(site, layout).restore(made, kept_as="never", on_progress=lambda _: None)
    assert "not touched" in caught.value.state
    # the command that is told works as it is
    name = f"{site.url.database}_by_hand"
    postgres_server.create_database(name)
    done = subprocess.run(
        ["sh", "-ec", caught.value.next_commands[0].replace("NAME", name)],
        env=postgres_server.environment(name) | {"PATH": f"{postgres_server.bin}:/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert postgres_server.sql("SELECT count(*) FROM bookings", name) == "30"
    postgres_server.drop_database(name)


def test_latest_is_the_latest_whole_one(site: Site) -> None:
    whole = take(site, Scope(), "custom")
    part = take(site, Scope("schema"), "custom")
    assert find(site.folder, "latest") == whole
    assert find(site.folder, part.id) == part


def test_sqlite_has_no_parts(tmp_path: Path) -> None:
    url = parse_url("sqlite:///x.db", "x")
    with pytest.raises(UsageError, match="PostgreSQL only"):
        store(Site(url, tmp_path, "p", "e")).take(BackupRequest(scope=Scope("schema")))


def test_roles_are_recorded_without_their_passwords(site: Site, postgres_server: Server) -> None:
    made = take(site, Scope(), "custom")
    text = (site.folder / made.id / "globals.sql").read_text()
    assert "CREATE ROLE deployer" in text
    assert "PASSWORD" not in text
    assert "globals.sql" in made.files
    assert "globals.sql" not in take(site, Scope("schema"), "custom").files


def test_where_roles_cannot_be_recorded_it_is_said(
    site: Site, tmp_path: Path, postgres_server: Server
) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (folder / name).symlink_to(postgres_server.bin / name)
    (folder / "pg_dumpall").write_text("#!/bin/sh\necho '-- half'\n")
    (folder / "pg_dumpall").chmod(0o755)
    told: list[str] = []
    config = replace(site.config, pg_bin=str(folder), format="custom")
    backups = PostgresBackups(replace(site, config=config, say=told.append))
    made = backups.take(BackupRequest())
    assert "globals.sql" not in made.files
    assert any("could not be recorded" in line for line in told)
    assert sealed.read_json(site.folder / made.id / sealed.EVIDENCE)["globals_missing"]
    (folder / "pg_dumpall").unlink()
    assert backups.verify(backups.take(BackupRequest())).ok
