"""A PostgreSQL dump of many files goes over SSH, comes back on another machine, and restores."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, sealed
from deployguard.backups.offsite import Offsite
from deployguard.backups.offsite_sftp import SftpStore
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, OffsiteConfig, parse_place, parse_url
from tests.support import objects
from tests.support.postgres import Server

SCHEMA = """
CREATE TABLE bookings (id int PRIMARY KEY, note text);
INSERT INTO bookings SELECT i, md5(i::text) FROM generate_series(1, 3000) i;
CREATE TABLE rooms AS SELECT * FROM bookings;
"""


def test_a_dump_comes_back_from_afar_and_restores(
    tmp_path: Path,
    postgres_database: str,
    postgres_server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute(SCHEMA.encode())
    config = BackupConfig(pg_bin=str(postgres_server.bin), tries=1, format="directory")
    url = parse_url(postgres_database, "x")
    site = Site(url, tmp_path / "here", "app", "production", config)
    made = PostgresBackups(site).take(BackupRequest("manual"))
    assert len(made.files) > 3
    with objects.sshd(tmp_path / "ssh") as server:
        monkeypatch.setenv("HOME", str(server.home))
        store = SftpStore(OffsiteConfig(url=server.url), parse_place(server.url, "x"))
        Offsite(store, site.folder, "app-production-").put(made)
        elsewhere = replace(site, directory=tmp_path / "elsewhere")
        found = Offsite(store, elsewhere.folder, "app-production-").get("latest")
    assert found == made
    backups = PostgresBackups(elsewhere)
    assert backups.verify(found).ok
    with psycopg.connect(postgres_database, autocommit=True) as link:
        link.execute("DELETE FROM bookings")
    kept = backups.kept_name("d1")
    done = backups.restore(found, kept_as=kept, on_progress=lambda line: None)
    assert done.counts == {"bookings": 3000, "rooms": 3000}
    postgres_server.drop_database(kept)
    assert sealed.check_files(elsewhere.folder, found)[0] == []
