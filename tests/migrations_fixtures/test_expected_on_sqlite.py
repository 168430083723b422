"""`deployguard check` says of every scenario exactly what its expected.toml says: on SQLite, and as a program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.migrations_fixtures.checking import CASES, check_live, check_replayed, having
from tests.migrations_fixtures.scenarios import Case, Warm, copy_project, write_config


@having("sqlite", "live")
def test_check_of_a_sqlite_database(warm: Warm, case: Case, tmp_path: Path) -> None:
    url = case.url(f"sqlite:///{tmp_path / 'app.db'}")
    check_live(warm, case, "sqlite", tmp_path, url)


@having("sqlite", "replayed")
def test_check_for_sqlite_without_a_database(warm: Warm, case: Case, tmp_path: Path) -> None:
    check_replayed(warm, case, "sqlite", tmp_path)


def said(stderr: str) -> list[str]:
    """What people are told, without the progress that is shown only when it takes more than a second."""
    return [line for line in stderr.splitlines() if line != "Reading what is pending …"]


@pytest.mark.parametrize("name", ["bookings", "unknown_revision"])
def test_the_program_itself_says_what_the_warm_process_says(
    warm: Warm, name: str, tmp_path: Path
) -> None:
    case = next(case for case in CASES if case.name == name)
    project = copy_project(case, tmp_path / "project", "")
    write_config(case, project, "sqlite")
    start = ",".join(case.stamp or case.current)
    argv = ("check", "--from", start, "--format", "json")
    ran = warm.run(project, "", "deployguard", *argv)
    done = subprocess.run(
        [sys.executable, "-m", "deployguard", *argv],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (ran.code, ran.out)
    assert said(done.stderr) == said(ran.err)
