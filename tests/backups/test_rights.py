"""Whether the server would let us restore is found out before anything is stopped for it."""

from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import Site, pgtools, rights
from deployguard.config import BackupConfig, parse_url
from deployguard.errors import UsageError
from tests.support.postgres import Server


def site(folder: Path, server: Server, role: str = "", database: str = "app") -> Site:
    url = parse_url(server.url(database), "x")
    if role:
        url = replace(url, username=role, password="a-secret")
    return Site(url, folder, "bookings", "production")


@pytest.fixture
def app(postgres_server: Server) -> Server:
    sql = postgres_server.sql
    sql("DROP DATABASE IF EXISTS dg_rights")
    for role in ("dg_plain", "dg_maker"):
        sql(f"DROP ROLE IF EXISTS {role}")
    sql("CREATE ROLE dg_plain LOGIN PASSWORD 'a-secret'")
    sql("CREATE ROLE dg_maker LOGIN CREATEDB PASSWORD 'a-secret'")
    sql("CREATE DATABASE dg_rights OWNER dg_plain")
    return postgres_server


def test_a_superuser_may_restore(tmp_path: Path, app: Server) -> None:
    assert rights.missing(site(tmp_path, app, database="dg_rights")) is None
    rights.check(site(tmp_path, app, database="dg_rights"))


def test_an_owner_who_may_not_create_databases_is_told_what_to_type(
    tmp_path: Path, app: Server
) -> None:
    here = site(tmp_path, app, "dg_plain", "dg_rights")
    with pytest.raises(UsageError, match="dg_plain may not create databases") as caught:
        rights.check(here)
    assert "not touched" in caught.value.state
    [command] = caught.value.next_commands
    statement = command.split("'")[1]
    app.sql(statement)
    assert rights.missing(here) is None


def test_who_may_create_databases_must_also_be_able_to_rename_this_one(
    tmp_path: Path, app: Server
) -> None:
    here = site(tmp_path, app, "dg_maker", "dg_rights")
    with pytest.raises(UsageError, match="not a member of dg_plain") as caught:
        rights.check(here)
    app.sql(caught.value.next_commands[0].split("'")[1])
    rights.check(here)


def test_elsewhere_and_where_nobody_answers_nothing_is_claimed(tmp_path: Path) -> None:
    sqlite = Site(parse_url("sqlite:///a.db", "x"), tmp_path, "bookings", "production")
    assert rights.missing(sqlite) is None
    nobody = replace(sqlite, url=parse_url("postgresql://a:b@127.0.0.1:9/app", "x"))
    assert rights.missing(nobody) is None
    assert rights.missing(replace(nobody, config=BackupConfig(store="rds"))) is None


def test_every_folder_with_programs_is_looked_at_though_one_of_a_version_is_enough_for_a_dump(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
        for program in ("pg_dump", "pg_restore"):
            (folder / program).write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 91.4'\n")
            (folder / program).chmod(0o755)
    here = Site(
        parse_url("postgresql://h/d", "x"),
        tmp_path,
        "bookings",
        "production",
        environ={"PATH": str(folders[0])},
    )
    monkeypatch.setattr(pgtools, "SYSTEM", (str(folders[1]),))
    found = [tools.bin for tools in pgtools.everywhere(here)]
    chosen = [tools.bin for tools in pgtools.installed(here)]
    assert found == folders
    assert chosen == folders[:1]
