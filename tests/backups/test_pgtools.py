"""Argv by equality: what the programs are told, and that no connection is in it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from deployguard.backups import Site, pgargv, pgtools
from deployguard.backups.pgargv import Form
from deployguard.config import BackupConfig, parse_url
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import Completed, Redactor


def test_argv_holds_no_connection() -> None:
    form = Form("directory", "zstd:3", 4)
    assert pgargv.dump_argv("/bin/pg_dump", 16, form, "00000003-00000002-1", "/b/x") == [
        "/bin/pg_dump",
        "--format=directory",
        "--compress=zstd:3",
        "--jobs=4",
        "--snapshot=00000003-00000002-1",
        "--lock-wait-timeout=60000",
        "--no-sync",
        "--no-password",
        "--verbose",
        "--file=/b/x",
    ]
    custom = pgargv.dump_argv("pg_dump", 15, Form("custom"), "s", "")
    assert custom[1:4] == ["--format=custom", "--compress=6", "--snapshot=s"]
    assert custom[-1] == "--verbose"
    assert pgargv.compress_argv(15, "gzip:9") == ["--compress=9"]
    assert pgargv.compress_argv(15, "none") == ["--compress=0"]
    assert pgargv.compress_argv(18, "none") == ["--compress=none"]
    assert pgargv.psql_argv("psql", "new") == [
        "psql",
        "--dbname=new",
        "--no-psqlrc",
        "--no-password",
        "--quiet",
        "--set=ON_ERROR_STOP=1",
        "--single-transaction",
        "--output=/dev/null",
    ]
    assert pgargv.read_argv("pg_restore", "/b/x.dump") == [
        "pg_restore",
        "--file=/dev/null",
        "/b/x.dump",
    ]
    assert pgargv.read_argv("pg_restore", "") == ["pg_restore", "--file=/dev/null"]
    assert pgargv.contents_argv("pg_restore", "/b/x.dump") == [
        "pg_restore",
        "--list",
        "/b/x.dump",
    ]
    assert pgargv.restore_argv("pg_restore", "new", 4, "/b/x.dump") == [
        "pg_restore",
        "--dbname=new",
        "--exit-on-error",
        "--no-password",
        "--verbose",
        "--jobs=4",
        "/b/x.dump",
    ]
    assert "--jobs=1" not in pgargv.restore_argv("pg_restore", "new", 1, "")


@pytest.mark.parametrize(
    ("text", "major", "version"),
    [
        ("pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)", 15, "15.14"),
        ("pg_dump (PostgreSQL) 18.0", 18, "18.0"),
        ("pg_dump (PostgreSQL) 19beta1", 19, "19beta1"),
    ],
)
def test_versions_are_read(text: str, major: int, version: str) -> None:
    found = pgtools.parse_version(text, Path("/bin"), None)
    assert found is not None
    assert (found.major, found.version) == (major, version)
    assert pgtools.parse_version("something else", Path("/bin"), None) is None


def fake(folder: Path, major: int) -> Path:
    """A folder with programs that only know their version."""
    folder.mkdir()
    for name in ("pg_dump", "pg_restore"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {major}.1'\n")
        (folder / name).chmod(0o755)
    return folder


class Container:
    """A database's container with tools of one version."""

    def __init__(self, major: int, image: str = "") -> None:
        self.major = major
        self.image = image

    def __call__(
        self,
        argv: tuple[str, ...],
        *,
        environment: Mapping[str, str] | None = None,
        stdin_path: Path | None = None,
        stdout_path: Path | None = None,
        timeout: float | None = None,
        redact: Redactor | None = None,
        moving: Callable[[], object] | None = None,
    ) -> Completed:
        return Completed(0, f"pg_dump (PostgreSQL) {self.major}.3\n", "", 0.1)


def site(
    tmp_path: Path, *, pg_bin: str = "", path: str = "", inside: Container | None = None
) -> Site:
    return Site(
        url=parse_url("postgresql://u:p@h/d", "x"),
        directory=tmp_path,
        project="p",
        environment="e",
        config=BackupConfig(pg_bin=pg_bin),
        inside=inside,
        environ={"PATH": path},
    )


@pytest.fixture(autouse=True)
def no_system_folders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgtools, "SYSTEM", ())


def test_the_same_version_wins_then_the_container_then_a_newer_one(tmp_path: Path) -> None:
    old, new = fake(tmp_path / "15", 15), fake(tmp_path / "18", 18)
    exact = pgtools.choose(site(tmp_path, path=str(old), inside=Container(15)), 15, "The server")
    assert (exact.major, exact.bin, exact.inside) == (15, old, None)
    contained = pgtools.choose(
        site(tmp_path, path=str(new), inside=Container(16)), 16, "The server"
    )
    assert (contained.major, contained.bin) == (16, None)
    assert contained.program("pg_dump") == "pg_dump"
    newer = pgtools.choose(site(tmp_path, path=str(new)), 16, "The server")
    assert (newer.major, newer.program("pg_dump")) == (18, str(new / "pg_dump"))
    assert pgtools.choose(site(tmp_path, pg_bin="15"), 15, "x").bin == old


def test_too_old_is_one_error_that_names_both_versions(tmp_path: Path) -> None:
    old = fake(tmp_path / "15", 15)
    with pytest.raises(EnvironmentUnreachable, match=r"PostgreSQL 16.*found: 15\.1 in"):
        pgtools.choose(site(tmp_path, path=str(old), inside=Container(14)), 16, "The server")
    with pytest.raises(EnvironmentUnreachable, match="found: none"):
        pgtools.choose(site(tmp_path), 16, "The server")
    with pytest.raises(EnvironmentUnreachable, match="there is no pg_dump in"):
        pgtools.choose(site(tmp_path, pg_bin="nowhere"), 16, "The server")


def test_a_container_of_its_own_is_the_last_resort(tmp_path: Path) -> None:
    asked: list[int] = []

    def oneoffs(major: int) -> tuple[Container, ...]:
        asked.append(major)
        return Container(14, "own:1"), Container(16, "postgres:16")

    old, new = fake(tmp_path / "15", 15), fake(tmp_path / "18", 18)
    said: list[str] = []
    there = replace(site(tmp_path, path=str(old)), oneoffs=oneoffs, say=said.append)
    once = pgtools.choose(there, 16, "The server")
    assert (once.major, once.bin, once.image) == (16, None, "postgres:16")
    assert said == ["PostgreSQL's programs 16.3 run in a one-off container of postgres:16"]
    assert asked == [16]
    inside = replace(there, inside=Container(16))
    assert pgtools.choose(inside, 16, "The server").image == ""
    assert pgtools.choose(replace(there, environ={"PATH": str(new)}), 16, "x").bin == new
    assert asked == [16]
    with pytest.raises(EnvironmentUnreachable, match=r"PostgreSQL 17.*found: 15\.1.*postgres:17"):
        pgtools.choose(there, 17, "The server")
    with pytest.raises(EnvironmentUnreachable, match=r"found: 15\.1 in .*pg_bin\.$"):
        pgtools.choose(there, 16, "A backup in directory format", here=True)
    beside = replace(there, url=parse_url("postgresql:///d?host=/run", "x"))
    with pytest.raises(EnvironmentUnreachable, match=r"pg_bin\.$"):
        pgtools.choose(beside, 16, "The server")


TIMEOUT_SET = """pg_restore: connecting to database for restore
pg_restore: error: could not execute query: ERROR:  unrecognized configuration parameter "transaction_timeout"
Command was: SET transaction_timeout = 0;
pg_restore: creating TABLE "public.t"
"""


def test_a_restore_that_was_not_strict_may_only_fail_to_set_what_the_server_does_not_know() -> None:
    def done(stderr: str, code: int = 1, *, timed_out: bool = False) -> bool:
        return pgtools.restored(Completed(code, "", stderr, 1.0, timed_out), strict=False)

    tail = "pg_restore: warning: errors ignored on restore: {}\n"
    assert done("", 0)
    assert done(TIMEOUT_SET + tail.format(1))
    assert done(TIMEOUT_SET * 2 + tail.format(2))
    assert not done(TIMEOUT_SET + tail.format(2))
    assert not done(TIMEOUT_SET)
    assert not done("")
    assert not done(TIMEOUT_SET + tail.format(1), timed_out=True)
    assert not done(TIMEOUT_SET + tail.format(1), code=-9)
    other = (
        TIMEOUT_SET + "pg_restore: error: could not execute query: ERROR:  x\nCommand was: CREATE\n"
    )
    assert not done(other + tail.format(2))
    assert not pgtools.restored(Completed(1, "", TIMEOUT_SET + tail.format(1), 1.0), strict=True)
