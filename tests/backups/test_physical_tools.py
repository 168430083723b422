"""The programs for a base backup: of the server's version, all of them, and running."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.backups import Site
from deployguard.backups.physical_argv import basebackup_argv, combine_argv, progress, verify_argv
from deployguard.backups.physical_tools import TAKING, choose
from deployguard.config import PhysicalConfig, parse_url
from deployguard.errors import EnvironmentUnreachable


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(parse_url("postgresql://h/app", "x"), tmp_path, "shop", "production", environ={})


def program(folder: Path, name: str, version: str, code: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f'#!/bin/sh\necho "{name} (PostgreSQL) {version}"\nexit {code}\n')
    (folder / name).chmod(0o755)


def test_another_version_is_refused_naming_both(site: Site, tmp_path: Path) -> None:
    for name in TAKING:
        program(tmp_path / "bin", name, "16.3")
    assert choose(site, "bin", 16, TAKING, "The server").version == "16.3"
    with pytest.raises(
        EnvironmentUnreachable, match=r"server is PostgreSQL 15, .* found: 16\.3 in"
    ):
        choose(site, "bin", 15, TAKING, "The server")


def test_a_program_that_is_not_there_or_does_not_run_is_named(site: Site, tmp_path: Path) -> None:
    program(tmp_path / "bin", "pg_basebackup", "17.1")
    program(tmp_path / "bin", "pg_verifybackup", "17.1", code=139)
    with pytest.raises(EnvironmentUnreachable, match="pg_verifybackup, pg_waldump of that version"):
        choose(site, "bin", 17, TAKING, "The server")


def test_no_secret_of_ours_is_in_the_environment_of_a_program_that_says_its_version(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:canary-4711@h/app")
    for name in TAKING:
        program(tmp_path / "bin", name, "16.3")
        path = tmp_path / "bin" / name
        path.write_text(path.read_text().replace("echo", f"env >>{tmp_path / 'seen'}\necho", 1))
    choose(site, "bin", 16, TAKING, "The server")
    assert "PATH=" in (tmp_path / "seen").read_text()
    assert "canary-4711" not in (tmp_path / "seen").read_text()


def test_a_named_folder_without_them_is_refused(site: Site) -> None:
    with pytest.raises(EnvironmentUnreachable, match="there is no pg_basebackup in"):
        choose(site, "nowhere", 17, TAKING, "The server")


def test_what_the_programs_are_told() -> None:
    config = PhysicalConfig(max_rate="50M", checkpoint="spread")
    assert basebackup_argv("pgb", Path("/b/data"), "id", config, parent=Path("/a/manifest")) == [
        "pgb",
        "--pgdata=/b/data",
        "--format=plain",
        "--wal-method=stream",
        "--checkpoint=spread",
        "--manifest-checksums=SHA256",
        "--label=id",
        "--no-password",
        "--progress",
        "--verbose",
        "--max-rate=50M",
        "--incremental=/a/manifest",
    ]
    assert verify_argv("pgv", Path("/b/data")) == ["pgv", "--quiet", "/b/data"]
    assert combine_argv("pgc", [Path("/a"), Path("/b")], Path("/c")) == [
        "pgc",
        "--output=/c",
        "--manifest-checksums=SHA256",
        "/a",
        "/b",
    ]


def test_progress_is_told_in_bytes() -> None:
    line = "  512/1024 kB (50%), 0/1 tablespace (...base/1/2619)"
    assert progress(line) == "copying the cluster: 524.3 kB of 1.0 MB, 50 %"
    assert progress("pg_basebackup: checkpoint completed") is None
    assert progress("0/0 kB (0%)") == "copying the cluster: 0 bytes of 0 bytes"
