"""Encrypted PostgreSQL backups of every layout: taken, read back, caught when damaged, drilled, restored."""

import os
import random
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, sealed
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, parse_url
from deployguard.errors import UsageError
from deployguard.model import BackupRecord
from tests.backups.copying import place, same
from tests.support import identities
from tests.support.postgres import Server

LAYOUTS = ["directory", "custom", "plain"]
NAME = "BACKUP_IDENTITY"
PAIR, OTHER = identities.made(), identities.made()
SECRET = "a row that nobody may read"
SCHEMA = f"""
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT '{SECRET} ' || md5(i::text) FROM generate_series(1, 5000) i;
SELECT lo_from_bytea(4711, decode(repeat('ab', 300000), 'hex'));
"""


@pytest.fixture
def site(tmp_path: Path, live: str, postgres_server: Server) -> Site:
    return Site(
        url=parse_url(live, "x"),
        directory=tmp_path,
        project="app",
        environment="production",
        config=BackupConfig(
            pg_bin=str(postgres_server.bin),
            tries=1,
            jobs=2,
            encrypt_to=(PAIR.recipient, OTHER.recipient),
            identity_env=NAME,
        ),
    )


def of(site: Site, layout: str, identity: str = PAIR.identity) -> PostgresBackups:
    config = replace(site.config, format=layout)  # type: ignore[arg-type]
    return PostgresBackups(replace(site, config=config, identity=identity))


def nothing_open(site: Site) -> bool:
    return not list(site.folder.glob(".[!bg]*"))  # only .busy and .gitignore


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_is_taken_without_an_identity_and_restored_with_one(
    site: Site, live: str, layout: str
) -> None:
    made = of(site, layout, "").take(BackupRequest())
    assert (made.format, made.layout, made.recipients) == (3, layout, 2)
    assert [name for name in made.files if not name.endswith(".age")] == [sealed.EVIDENCE]
    assert "globals.sql.age" in made.files
    blind = of(site, layout, "").verify(made)
    assert blind.ok
    assert "were not read" in " ".join(blind.evidence)
    found = of(site, layout, OTHER.identity).verify(made)
    assert found.ok, found.evidence
    assert f"decrypted with the identity in ${NAME}" in found.evidence
    with psycopg.connect(live, autocommit=True) as link:
        link.execute("DELETE FROM bookings; SELECT lo_unlink(4711)")
    backups = of(site, layout)
    with pytest.raises(UsageError, match="not set"):
        of(site, layout, "").restore(made, kept_as="never", on_progress=lambda _: None)
    done = backups.restore(
        made, kept_as=backups.kept_name(made.id[-4:]), on_progress=lambda _: None
    )
    assert done.counts == {"alembic_version": 1, "bookings": 5000}
    with psycopg.connect(live) as link:
        assert link.execute("SELECT length(lo_get(4711))").fetchone() == (300000,)
    assert nothing_open(site)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_drill_opens_it(site: Site, layout: str) -> None:
    backups = of(site, layout)
    made = backups.take(BackupRequest())
    found = backups.drill(made)
    assert found.ok, found.evidence
    assert (site.folder / made.id / "drill.json").exists()
    assert nothing_open(site)


def test_a_copy_is_restored_from_off_site(site: Site, tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    made = of(site, "directory", "").take(BackupRequest())
    place(site.folder, f"file://{tmp_path}/nas").put(made)
    elsewhere = replace(site, config=replace(site.config, directory="elsewhere"))
    fetched = place(elsewhere.folder, f"file://{tmp_path}/nas").get(made.id)
    assert same(site.folder, made, elsewhere.folder)
    backups = of(elsewhere, "directory")
    done = backups.restore(
        fetched, kept_as=backups.kept_name(made.id[-4:]), on_progress=lambda _: None
    )
    assert done.counts["bookings"] == 5000


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_truncation_and_flipped_bit_is_caught(site: Site, layout: str) -> None:
    """By its sha256, and (of the dump) by age itself where the manifest was made to fit."""
    backups = of(site, layout)
    made = backups.take(BackupRequest())
    chance = random.Random(19)
    largest = max(made.files, key=lambda name: made.files[name][0])
    for name in made.files:
        path = site.folder / made.id / name
        whole = path.read_bytes()
        for size in {len(whole) * percent // 100 for percent in range(0, 100, 5)}:
            path.write_bytes(whole[:size])
            assert not backups.verify(made).ok, (name, size)
            assert name != largest or caught(backups, forged(made, path)), (name, size)
        for _ in range(5):
            broken = bytearray(whole)
            broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(broken)
            assert not backups.verify(made).ok
            assert name != largest or caught(backups, forged(made, path))
        path.write_bytes(whole)
    assert backups.verify(made).ok
    assert nothing_open(site)


def forged(made: BackupRecord, path: Path) -> BackupRecord:
    return replace(
        made, files={**made.files, path.name: (path.stat().st_size, sealed.digest(path))}
    )


def caught(backups: PostgresBackups, made: BackupRecord) -> bool:
    """A damaged header may look like one for others: that is an error of its own."""
    try:
        return not backups.verify(made).ok
    except UsageError:
        return True


def test_a_part_says_how_it_is_decrypted_by_hand(site: Site) -> None:
    from deployguard.model import Scope

    for layout, program in (("plain", "psql"), ("custom", "pg_restore"), ("directory", "for ")):
        backups = of(site, layout)
        made = backups.take(BackupRequest(scope=Scope(tables=("bookings",))))
        with pytest.raises(UsageError, match="part of the database") as refused:
            backups.restore(made, kept_as="never", on_progress=lambda _: None)
        [command] = refused.value.next_commands
        assert "age --decrypt" in command
        assert program in command


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_identity_is_in_no_program_and_no_file(
    site: Site,
    tmp_path: Path,
    postgres_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    layout: str,
) -> None:
    """Every program of PostgreSQL writes down how it was started, then does what it is for."""
    monkeypatch.setenv(NAME, PAIR.identity)  # as it is for a command; nothing may inherit it
    folder, told = tmp_path / "bin", list[str]()
    folder.mkdir()
    for name in ("pg_dump", "pg_dumpall", "pg_restore", "psql"):
        program = folder / name
        program.write_text(
            f"""#!/bin/sh
{{ echo "{name} $*"; env; }} >> {tmp_path}/seen
exec {postgres_server.bin / name} "$@"
"""
        )
        program.chmod(0o755)
    config = replace(site.config, pg_bin=str(folder))
    environ = {name: value for name, value in os.environ.items() if name != NAME}  # as wire() does
    backups = of(replace(site, config=config, environ=environ, say=told.append), layout)
    made = backups.take(BackupRequest())
    assert backups.verify(made).ok
    backups.restore(made, kept_as=backups.kept_name("d"), on_progress=told.append)
    seen = (tmp_path / "seen").read_text()
    assert "pg_dump --version" in seen
    assert ("psql --dbname" if layout == "plain" else "pg_restore --dbname") in seen
    assert PAIR.identity not in seen + "".join(told) + repr(backups)
    for path in site.folder.rglob("*"):
        assert not path.is_file() or PAIR.identity.encode() not in path.read_bytes()
