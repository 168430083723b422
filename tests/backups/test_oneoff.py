"""A server that is reached over the network, and no program here is new enough: one-off containers have them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import BackupRequest, Site, pgtools
from deployguard.backups.postgres import PostgresBackups
from deployguard.cli.main import run
from deployguard.config import BackupConfig, DatabaseUrl
from deployguard.containers import Engine, oneoff, scratch
from deployguard.database import connect
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import identify

pytestmark = pytest.mark.docker

IMAGE = "postgres:15"


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine() as found:
        yield found


@pytest.fixture
def url(engine: Engine) -> Iterator[DatabaseUrl]:
    with scratch.postgres(engine, IMAGE) as (container, password):
        host, port = container.published["5432/tcp"]
        yield DatabaseUrl(
            "postgresql",
            username=scratch.USER,
            password=password,
            host=host,
            port=port,
            database="postgres",
        )


def site(tmp_path: Path, engine: Engine, url: DatabaseUrl, image: str = "postgres:{}") -> Site:
    old = tmp_path / "old"
    old.mkdir(exist_ok=True)
    for name in ("pg_dump", "pg_restore"):
        (old / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 14.2'\n")
        (old / name).chmod(0o755)
    return Site(
        url=url,
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(tries=1, pg_bin="old"),
        oneoffs=lambda major: oneoff.find_oneoffs(engine, (image.format(major),)),
    )


def sql(url: DatabaseUrl, *statements: str) -> None:
    import psycopg

    with psycopg.connect(
        host=url.host,
        port=url.port,
        user=url.username,
        password=url.password,
        dbname=url.database,
        autocommit=True,
    ) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.mark.parametrize("layout", ["directory", "plain"])
def test_it_is_backed_up_verified_and_restored(
    engine: Engine, url: DatabaseUrl, tmp_path: Path, layout: str
) -> None:
    sql(url, "CREATE DATABASE bookings")
    live = replace(url, database="bookings")
    sql(
        live,
        "CREATE TABLE alembic_version (version_num text)",
        "INSERT INTO alembic_version VALUES ('b1')",
        "CREATE TABLE t (id int, x text)",
        "INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 50000) i",
    )
    said: list[str] = []
    place = site(tmp_path, engine, live)
    config = replace(place.config, format=layout)
    store = PostgresBackups(replace(place, config=config, say=said.append))
    made = store.take(BackupRequest("pre-deploy", "d-1"))
    assert made.counts == {"alembic_version": 1, "t": 50000}
    assert made.layout == ("custom" if layout == "directory" else "plain")
    assert any(f"one-off container of {IMAGE}" in line for line in said), said
    assert (place.folder / made.id / "globals.sql").exists()
    verified = store.verify(made)
    assert verified.ok, verified.evidence
    sql(live, "DELETE FROM t WHERE id > 10")
    done = store.restore(made, kept_as="kept", on_progress=lambda _: None)
    assert done.counts == made.counts
    with connect(live, directory=tmp_path) as database:
        assert database.row_counts() == made.counts
    with connect(replace(live, database="kept"), directory=tmp_path) as database:
        assert database.row_counts()["t"] == 10
    me = identify()
    assert me is not None
    left = engine.containers(labels=(oneoff.LABEL,), stopped=True)
    assert [c for c in left if c.labels[oneoff.LABEL].startswith(f"{me.pid}:")] == []


def test_the_command_line_finds_the_image_of_the_servers_version(
    url: DatabaseUrl,
    tmp_path: Path,
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place = site(tmp_path, engine, url)
    (tmp_path / "deployguard.toml").write_text(
        '[project]\nname = "bookings"\n[backup]\ntries = 1\npg_bin = "old"\n'
        '[environments.production]\ndatabase_url_env = "DATABASE_URL"\n'
    )
    monkeypatch.chdir(tmp_path)
    secret = url.password
    there = f"postgresql://{url.username}:{secret}@{url.host}:{url.port}/{url.database}"
    monkeypatch.setenv("DATABASE_URL", there)
    code = run(["backup", "create"])
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "pg_restore 15." in told.out  # the programs of pg_bin are 14.2
    assert secret not in told.out + told.err
    assert [path.name for path in place.folder.glob("*/database.dump")] == ["database.dump"]


def test_without_the_image_the_error_names_both_versions_and_the_image(
    engine: Engine, url: DatabaseUrl, tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentUnreachable) as caught:
        PostgresBackups(site(tmp_path, engine, url, "postgres:0")).preflight()
    for word in ("is PostgreSQL 15,", "found: 14.2 in", "the image postgres:15"):
        assert word in caught.value.message


def test_an_image_of_other_programs_does_not_do(
    engine: Engine, url: DatabaseUrl, tmp_path: Path
) -> None:
    with pytest.raises(EnvironmentUnreachable, match=r"found: 14\.2"):
        pgtools.choose(site(tmp_path, engine, url, IMAGE), 16, "The server")
    with pytest.raises(EnvironmentUnreachable, match=r"found: 14\.2"):
        pgtools.choose(site(tmp_path, engine, url, "python:3.11-slim"), 15, "The server")
