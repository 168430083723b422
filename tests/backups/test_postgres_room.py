"""A restore wants room twice: looked at before anything is made, where the server's disk is ours."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, parse_url
from deployguard.database import server_files
from deployguard.database.swap import Maintenance
from deployguard.errors import BackupFailed
from tests.support.postgres import Server


@pytest.fixture
def backups(tmp_path: Path, postgres_database: str, postgres_server: Server) -> PostgresBackups:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute("CREATE TABLE t (id int); INSERT INTO t VALUES (1)")
    return PostgresBackups(
        Site(
            url=parse_url(postgres_database, "x"),
            directory=tmp_path,
            project="bookings",
            environment="production",
            config=BackupConfig(pg_bin=str(postgres_server.bin), tries=1),
        )
    )


def test_a_restore_that_cannot_fit_makes_nothing(
    backups: PostgresBackups, postgres_server: Server
) -> None:
    made = backups.take(BackupRequest())
    huge = replace(made, tools={**made.tools, "database_bytes": str(10**18)})
    with pytest.raises(BackupFailed, match="not enough room on the server") as caught:
        backups.restore(huge, kept_as="never", on_progress=lambda _: None)
    assert "not touched" in caught.value.state
    assert "_restoring_" not in postgres_server.sql(
        "SELECT string_agg(datname, ' ') FROM pg_database"
    )


def test_only_this_very_servers_folder_is_believed(
    backups: PostgresBackups, postgres_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with backups.database() as database:
        maintenance = Maintenance(database)
        try:
            assert server_files.data_directory(maintenance.session) == postgres_server.data
            monkeypatch.setattr(server_files, "_START", 0)  # the process's number is no time
            assert server_files.data_directory(maintenance.session) is None
        finally:
            maintenance.close()
