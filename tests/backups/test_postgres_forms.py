"""Every form of dump: taken, read back, caught when it is damaged, restored."""

import gzip
import os
import random
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import BackupRequest, Site, catalogue, pgtools, sealed
from deployguard.backups.pgargv import Form
from deployguard.backups.postgres import PostgresBackups
from deployguard.config import BackupConfig, parse_url
from deployguard.errors import BackupFailed, EnvironmentUnreachable
from deployguard.model import BackupRecord, Verification
from tests.support import postgres
from tests.support.postgres import Server
from tests.support.required import missing

VERSIONS = [tree.version for tree in postgres.trees()]
SCHEMA = r"""
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id serial PRIMARY KEY, note text);
INSERT INTO bookings (note) SELECT md5(i::text) || md5((i * 7)::text) FROM generate_series(1, 5000) i;
CREATE TABLE "odd ""name"", with\dots" (a text);
INSERT INTO "odd ""name"", with\dots" VALUES (E'line\nbreak \\.'), (E'\\.'), (NULL), (repeat('x', 600000));
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE SCHEMA "Other.one";
CREATE TABLE "Other.one".rooms (id int PRIMARY KEY);
INSERT INTO "Other.one".rooms SELECT generate_series(1, 7);
CREATE FUNCTION misleading() RETURNS text LANGUAGE sql AS $$
SELECT 'x
COPY public.bookings (id, note) FROM stdin;
'::text
$$;
SELECT lo_from_bytea(4711, decode(repeat('ab', 300000), 'hex'));
COMMENT ON LARGE OBJECT 4711 IS 'a photo';
"""
COUNTS = {
    "alembic_version": 1,
    "bookings": 5000,
    'odd "name", with\\dots': 4,
    "nothing": 1,
    '"Other.one".rooms': 7,
}
LAYOUTS = ["directory", "custom", "plain"]


@pytest.fixture
def site(tmp_path: Path, live: str, postgres_server: Server) -> Site:
    return Site(
        url=parse_url(live, "x"),
        directory=tmp_path,
        project="bookings",
        environment="production",
        config=BackupConfig(pg_bin=str(postgres_server.bin), tries=1, jobs=3),
    )


def of(site: Site, layout: str, compression: str = "auto") -> PostgresBackups:
    config = replace(site.config, format=layout, compression=compression)  # type: ignore[arg-type]
    return PostgresBackups(replace(site, config=config))


def lost_and_restored(backups: PostgresBackups, made: BackupRecord, live: str) -> None:
    """Lose everything, restore it, and look for all of it."""
    with psycopg.connect(live, autocommit=True) as link:
        link.execute("DELETE FROM bookings; SELECT lo_unlink(4711); DROP TABLE nothing")
    kept = backups.kept_name(made.id[-4:])
    done = backups.restore(made, kept_as=kept, on_progress=lambda _: None)
    assert done.counts == COUNTS
    with psycopg.connect(live, autocommit=True) as link:
        ask = "SELECT length(lo_get(4711)), (SELECT sum(length(note)) FROM bookings), nextval('bookings_id_seq')"
        assert link.execute(ask.encode()).fetchone() == (300000, 320000, 5001)


@pytest.mark.parametrize("postgres_server", VERSIONS, indirect=True)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_backup_of_each_layout_is_taken_read_back_and_restored(
    site: Site, live: str, layout: str
) -> None:
    backups = of(site, layout)
    made = backups.take(BackupRequest())
    assert (made.format, made.layout, made.compression) == (2, layout, pgtools.GZIP)
    assert made.jobs == (3 if layout == "directory" else 1)
    assert made.counts == COUNTS
    assert catalogue.listing(site.folder).records == (made,)
    found = backups.verify(made)
    assert found.ok, found.evidence
    lost_and_restored(backups, made, live)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("compression", ["gzip:1", "none"])
def test_compression_is_as_configured(site: Site, live: str, layout: str, compression: str) -> None:
    backups = of(site, layout, compression)
    made = backups.take(BackupRequest())
    assert made.compression == compression
    zipped = [name for name in made.files if name.endswith(".gz")]
    assert bool(zipped) == (compression != "none" and layout != "custom")
    assert backups.verify(made).ok
    lost_and_restored(backups, made, live)


def with_method(method: str) -> list[Path]:
    """Folders of programs here that can compress so; the wheel's cannot, the system's packages from 16 on can."""
    site = Site(parse_url("postgresql://h/d", "x"), Path("/"), "p", "e")
    named = os.environ.get("DEPLOYGUARD_PG_BIN", "")
    folders = [*([Path(named)] if named else []), *(tree.bin for tree in postgres.trees())]
    return [
        folder
        for folder in folders
        if (tools := pgtools.at(folder))
        and tools.major >= 16
        and pgtools.offers(site, tools, method)
    ]


@pytest.mark.parametrize("method", ["gzip", "zstd", "lz4"])
def test_other_methods_where_pg_dump_was_built_with_them(
    site: Site, live: str, method: str
) -> None:
    folders = with_method(method)
    if not folders:
        missing(f"no pg_dump of PostgreSQL 16 or newer that was built with {method}")
    config = replace(site.config, pg_bin=str(folders[0]), compression=method)
    backups = PostgresBackups(replace(site, config=config))
    made = backups.take(BackupRequest())
    assert backups.verify(made).ok
    for name in sorted(made.files):
        if name.endswith((".gz", ".zst", ".lz4")):
            cut_is_caught(backups, site, made, name)
            damage_is_caught(backups, site, made, name)
    lost_and_restored(backups, made, live)


@pytest.mark.parametrize("method", ["zstd", "lz4"])
def test_a_method_that_pg_dump_was_built_without_is_no_other_method(
    site: Site, live: str, method: str
) -> None:
    if pgtools.offers(site, pgtools.choose(site, 16, "x"), method):
        pytest.skip("this pg_dump can")
    with pytest.raises(EnvironmentUnreachable, match=f"cannot compress with {method}"):
        of(site, "directory", method).take(BackupRequest())


def test_auto_is_the_best_that_pg_dump_was_built_with(site: Site) -> None:
    tools = pgtools.choose(site, 16, "x")
    able = pgtools.offers(site, tools, "zstd")
    assert pgtools.form(site, tools) == Form("directory", pgtools.ZSTD if able else pgtools.GZIP, 3)
    assert pgtools.form(of(site, "plain").site, tools).compression == pgtools.GZIP


def cut_is_caught(backups: PostgresBackups, site: Site, made: BackupRecord, name: str) -> None:
    """Even when the manifest was made to fit: the file itself has no end."""
    path = site.folder / made.id / name
    whole = path.read_bytes()
    for size in {len(whole) - 1, len(whole) // 2, 1, 0} - {len(whole)}:
        path.write_bytes(whole[:size])
        forged = replace(made, files={**made.files, name: (size, sealed.digest(path))})
        assert not backups.verify(forged).ok, (name, size)
    path.write_bytes(whole)


def damage_is_caught(backups: PostgresBackups, site: Site, made: BackupRecord, name: str) -> None:
    """Cut at every 5 %, also where the manifest was made to fit; and by any flipped bit."""
    path, chance = site.folder / made.id / name, random.Random(37)
    whole = path.read_bytes()
    for size in sorted({len(whole) * percent // 100 for percent in range(0, 100, 5)}):
        path.write_bytes(whole[:size])
        assert not backups.verify(made).ok, (name, size)
        forged = replace(made, files={**made.files, name: (size, sealed.digest(path))})
        assert not backups.verify(forged).ok, (name, size)
    for _ in range(5):
        broken = bytearray(whole)
        broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(broken)
        assert not backups.verify(made).ok
    path.write_bytes(whole)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_truncation_at_every_5_percent_is_caught_in_every_file(site: Site, layout: str) -> None:
    backups = of(site, layout)
    made = backups.take(BackupRequest())
    for name in made.files:
        path = site.folder / made.id / name
        whole = path.read_bytes()
        sizes = {len(whole) * percent // 100 for percent in range(0, 100, 5)} - {len(whole)}
        for size in sizes:
            path.write_bytes(whole[:size])
            assert not backups.verify(made).ok, (name, size)
        path.write_bytes(whole)
    assert backups.verify(made).ok


@pytest.mark.parametrize("layout", LAYOUTS)
def test_truncation_is_caught_where_the_manifest_was_made_to_fit(site: Site, layout: str) -> None:
    """The dump was cut before it was sealed, and its digest is that of what was left."""
    backups = of(site, layout)
    made = backups.take(BackupRequest())
    for name in made.files:
        if name != sealed.EVIDENCE:
            cut_is_caught(backups, site, made, name)
    assert backups.verify(made).ok


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_flipped_bit_is_caught(site: Site, layout: str) -> None:
    backups = of(site, layout)
    made = backups.take(BackupRequest())
    chance = random.Random(11)
    for name in made.files:
        path = site.folder / made.id / name
        whole = path.read_bytes()
        for _ in range(5 if layout == "directory" else 20):
            broken = bytearray(whole)
            broken[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
            path.write_bytes(broken)
            assert not backups.verify(made).ok
        path.write_bytes(whole)
    assert backups.verify(made).ok


def test_a_file_that_is_gone_is_caught_even_without_it_in_the_manifest(site: Site) -> None:
    backups = of(site, "directory")
    made = backups.take(BackupRequest())
    for name in [each for each in made.files if re.fullmatch(r"\d+\.dat\.gz", each)]:
        path = site.folder / made.id / name
        whole = path.read_bytes()
        path.unlink()
        left = {each: fact for each, fact in made.files.items() if each != name}
        assert not backups.verify(replace(made, files=left)).ok
        path.write_bytes(whole)
    assert backups.verify(made).ok


def test_a_plain_dump_that_lost_rows_is_caught_and_never_restored(site: Site, live: str) -> None:
    backups = of(site, "plain")
    made = backups.take(BackupRequest())
    path = site.folder / made.id / "database.sql.gz"
    lines = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    row = next(i for i, line in enumerate(lines) if line.startswith(b"4711\t"))
    path.write_bytes(gzip.compress(b"".join([*lines[:row], *lines[row + 1 :]])))
    forged = replace(
        made, files={**made.files, path.name: (path.stat().st_size, sealed.digest(path))}
    )
    found = backups.verify(forged)
    assert not found.ok
    assert "has 4999 rows of public.bookings, 5000 were counted" in found.evidence[0]

    class Fooled(PostgresBackups):
        def verify(self, record: BackupRecord) -> Verification:
            return Verification(True, ("fooled",), site.now())

    for content in (path.read_bytes(), path.read_bytes()[:-5000]):
        path.write_bytes(content)
        with pytest.raises(BackupFailed, match=r"psql .* failed|differs from what was backed up"):
            Fooled(backups.site).restore(forged, kept_as="never", on_progress=lambda _: None)
    with psycopg.connect(live) as link:
        assert link.execute("SELECT count(*) FROM bookings").fetchone() == (5000,)


def test_a_plain_dump_starts_no_program(site: Site, live: str, tmp_path: Path) -> None:
    """Who can write to the place of the copies could put a command of psql into one."""
    backups = of(site, "plain")
    tools = pgtools.at(Path(site.config.pg_bin))
    assert tools is not None
    made = backups.take(BackupRequest())
    path, mark = site.folder / made.id / "database.sql.gz", tmp_path / "started"
    path.write_bytes(path.read_bytes() + gzip.compress(f"\\! touch {mark}\n".encode()))
    forged = replace(
        made, files={**made.files, path.name: (path.stat().st_size, sealed.digest(path))}
    )
    assert backups.verify(forged).ok
    if pgtools.restricts(tools):
        with pytest.raises(BackupFailed, match=r"psql .* failed"):
            backups.restore(forged, kept_as="never", on_progress=lambda _: None)
        assert not mark.exists()


def test_a_plain_dump_goes_back_to_a_server_older_than_its_pg_dump(
    site: Site, live: str, postgres_servers: tuple[Server, ...]
) -> None:
    newest = postgres_servers[-1]
    assert newest.version >= 17
    backups = of(replace(site, config=replace(site.config, pg_bin=str(newest.bin))), "plain")
    made = backups.take(BackupRequest())
    assert backups.verify(made).ok
    lost_and_restored(backups, made, live)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_manifest_of_format_1_is_still_read_and_restored(
    site: Site, live: str, layout: str
) -> None:
    """Format 1 knew custom dumps only; what it does not say is filled in."""
    import json

    backups = of(site, "custom")
    made = backups.take(BackupRequest())
    path = site.folder / made.id / sealed.MANIFEST
    content = json.loads(path.read_bytes())
    for key in ("layout", "compression", "jobs", "scope", "estimates"):
        del content[key]
    path.write_text(json.dumps(content | {"format": 1}))
    old = catalogue.find(site.folder, made.id)
    assert (old.format, old.layout, old.scope.whole, old.estimates) == (1, "custom", True, {})
    now = of(site, layout)
    assert now.verify(old).ok
    lost_and_restored(now, old, live)


def test_pg_restore_alone_takes_what_lies_in_the_folder(
    site: Site, postgres_server: Server
) -> None:
    """The folder of a backup is an ordinary dump: nobody needs deployguard to get at it."""
    made = of(site, "directory").take(BackupRequest())
    argv = [postgres_server.bin / "pg_restore", "-f", "-", site.folder / made.id]
    done = subprocess.run(argv, capture_output=True, check=True)
    assert b"COPY public.bookings" in done.stdout


def test_a_pg_dump_that_loses_its_leader_leaves_nothing_behind(
    site: Site, tmp_path: Path, postgres_server: Server, live: str
) -> None:
    """The leader is killed while its helpers wait for a lock: they go as well, and so does what they wrote."""
    folder = tmp_path / "bin"
    folder.mkdir()
    real = postgres_server.bin / "pg_dump"
    (folder / "pg_dump").write_text(
        f"""#!/bin/sh
case "$*" in *--snapshot=*) ;; *) exec {real} "$@";; esac
for last; do :; done
{real} "$@" & pid=$!
while ! ls "${{last#--file=}}"/*.dat.gz >/dev/null 2>&1; do sleep 0.01; done
kill -KILL $pid
wait $pid
"""
    )
    (folder / "pg_dump").chmod(0o755)
    (folder / "pg_restore").symlink_to(postgres_server.bin / "pg_restore")
    with psycopg.connect(live, autocommit=True) as link:
        link.execute(
            "INSERT INTO bookings (note) SELECT repeat(md5(i::text), 20) FROM generate_series(1, 60000) i"
        )
    backups = PostgresBackups(replace(site, config=replace(site.config, pg_bin=str(folder))))
    with pytest.raises(BackupFailed, match=r"exit code 137|signal 9"):
        backups.take(BackupRequest())
    assert {path.name for path in site.folder.iterdir()} == {".busy", ".gitignore"}
    with psycopg.connect(live) as link:
        rows = link.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'deployguard-backup%'"
        )
        assert rows.fetchone() == (0,)
