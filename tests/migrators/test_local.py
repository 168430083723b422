"""A local migration survives us; what became of it is found out; its log is kept without secrets."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from deployguard.config import MigrateConfig
from deployguard.errors import EnvironmentUnreachable
from deployguard.migrators import Absent, Exited, Job, LocalMigrator, Migrator, Running
from deployguard.process import Redactor

JOB = Job("d1", "upgrade", timeout=60)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., LocalMigrator]:
    def local(*command: str, downgrade: tuple[str, ...] = ("true",)) -> LocalMigrator:
        config = MigrateConfig(command=command, downgrade_command=downgrade)
        return LocalMigrator(
            config, tmp_path, tmp_path / "state", dict(os.environ), Redactor(("hunter2",))
        )

    return local


def test_exit_code_lines_and_a_private_log_without_secrets(
    make: Callable[..., LocalMigrator],
) -> None:
    migrator: Migrator = make("sh", "-c", "echo url=u:hunter2@h; echo $PGAPPNAME; pwd; exit 3")
    lines: list[str] = []
    started = migrator.start(JOB)
    ended = migrator.follow(started, lines.append)
    assert (ended.code, ended.ok, ended.timed_out) == (3, False, False)
    assert lines[:2] == ["url=u:***@h", "deployguard:d1"]
    assert ended.log_path.read_text().splitlines() == lines
    assert ended.log_path.stat().st_mode & 0o777 == 0o600
    assert ended.log_path.parent.stat().st_mode & 0o777 == 0o700


def test_kill_9_of_deployguard_leaves_the_migration_and_its_exit_code(
    make: Callable[..., LocalMigrator], tmp_path: Path
) -> None:
    code = f"""
        import os
        from pathlib import Path
        from deployguard.config import MigrateConfig
        from deployguard.migrators import Job, LocalMigrator
        from deployguard.process import Redactor
        config = MigrateConfig(command=("sh", "-c", "echo one; sleep 3; echo two; exit 4"))
        folder = Path({str(tmp_path)!r})
        migrator = LocalMigrator(config, folder, folder / "state", dict(os.environ), Redactor())
        started = migrator.start(Job("d1", "upgrade", timeout=60))
        migrator.follow(started, lambda line: print(line, flush=True))
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == "one\n"
        ours.send_signal(signal.SIGKILL)
    migrator = make("never", "used")
    probe = migrator.probe(JOB)
    assert isinstance(probe, Running)
    lines: list[str] = []
    ended = migrator.follow(probe.started, lines.append)
    assert (ended.code, lines) == (4, ["one", "two"])
    after = migrator.probe(JOB)
    assert isinstance(after, Exited)
    assert after.code == 4
    migrator.tidy(after.started)
    assert isinstance(migrator.probe(JOB), Absent)
    assert ended.log_path.read_text() == "one\ntwo\n"


def test_the_time_limit_is_kept(make: Callable[..., LocalMigrator]) -> None:
    migrator = make("sleep", "60")
    ended = migrator.follow(migrator.start(Job("d1", "upgrade", timeout=0.5)), lambda _: None)
    assert (ended.timed_out, ended.ok) == (True, False)


def test_cancel_stops_it(make: Callable[..., LocalMigrator]) -> None:
    migrator = make("sleep", "60")
    started = migrator.start(JOB)
    migrator.cancel(started)
    probe = migrator.probe(JOB)
    assert isinstance(probe, Exited)
    assert probe.code == -signal.SIGTERM


def test_a_downgrade_is_a_run_of_its_own(make: Callable[..., LocalMigrator]) -> None:
    migrator = make("sh", "-c", "echo up", downgrade=("sh", "-c", "echo to {revision}"))
    for job, said in ((JOB, "up"), (Job("d1", "downgrade", "r3"), "to r3")):
        lines: list[str] = []
        assert migrator.follow(migrator.start(job), lines.append).ok
        assert lines == [said]


def test_start_replaces_what_has_ended_and_takes_over_what_runs(
    make: Callable[..., LocalMigrator], tmp_path: Path
) -> None:
    migrator = make("sh", "-c", f"echo ran >> {tmp_path}/proof; sleep 0.5")
    first = migrator.start(JOB)
    time.sleep(0.2)
    assert migrator.start(JOB) == first
    migrator.follow(first, lambda _: None)
    assert (tmp_path / "proof").read_text() == "ran\n"
    migrator.follow(migrator.start(JOB), lambda _: None)
    assert (tmp_path / "proof").read_text() == "ran\nran\n"


def test_a_missing_command_is_found_before_anything_starts(
    make: Callable[..., LocalMigrator],
) -> None:
    with pytest.raises(EnvironmentUnreachable, match="no-such-alembic was not found"):
        make("no-such-alembic", "upgrade").preflight()
    make("true").preflight()


def test_programs_beside_the_projects_interpreter_come_first_and_our_own_last(
    tmp_path: Path,
) -> None:
    for folder, word in (("venv/bin", "theirs"), ("elsewhere", "system")):
        (tmp_path / folder).mkdir(parents=True)
        program = tmp_path / folder / "alembic"
        program.write_text(f"#!/bin/sh\necho {word}\n")
        program.chmod(0o755)

    def says(python: str, path: str) -> list[str]:
        config = MigrateConfig(command=("alembic",), downgrade_command=("alembic",))
        environ = {"PATH": path}
        migrator = LocalMigrator(
            config, tmp_path, tmp_path / "state", environ, Redactor(), python=python
        )
        migrator.preflight()
        lines: list[str] = []
        migrator.follow(migrator.start(JOB), lines.append)
        return lines

    system = f"{tmp_path}/elsewhere:/usr/bin:/bin"
    assert says("venv/bin/python", system) == ["theirs"]
    assert says("", system) == ["system"]
    assert "usage: alembic" in "\n".join(says("", "/nonexistent"))
