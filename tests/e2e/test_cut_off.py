"""Deploys that are cut off in the middle of the migration, and those that come while one runs."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from tests.e2e.commands import Command
from tests.e2e.production import FULL, Production

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # a busy machine gets its time

# Keeps CREATE INDEX CONCURRENTLY (b015) waiting and the application going.
BUILDING = "jobs IN SHARE UPDATE EXCLUSIVE MODE"


def begun(production: Production) -> Command:
    """The deploy of v3, approved, on its way."""
    production.checkout("v3")
    digest = str(production.run("check", "--format", "json").document["digest"])
    return production.start("deploy", *FULL, "--approve", digest)


def migrates(production: Production) -> bool:
    """The migration has come to b014 and is at work on b015."""
    return production.stack.revision() == "b014" and "CREATE INDEX" in production.stack.sql(
        "SELECT query FROM pg_stat_activity WHERE application_name LIKE 'deployguard:%'"
    )


def upgrades(production: Production) -> list[str]:
    """Every revision step that the migrations of the last deploy have logged."""
    logs = sorted((production.folder / ".deployguard" / "logs").glob("*.log"))
    return re.findall(r"Running upgrade \S+ -> (\S+),", "".join(log.read_text() for log in logs))


def done_exactly_once(production: Production, rows: dict[str, int]) -> None:
    assert production.stack.revision() == "b019"
    assert upgrades(production) == ["b014", "b015", "b016", "b017", "b018", "b019"]
    assert production.stack.rows() == {k: n for k, n in rows.items() if k != "import_batches"}
    assert production.versions() == ["v3", "v3", "v3"]
    assert production.health() == (200, "v3")
    assert production.last()["state"] == "done"
    assert len(production.backups()) == 1
    assert production.run("status").code == 0
    assert not production.migrations()


def test_killed_while_it_migrates_and_resumed_while_that_goes_on(production: Production) -> None:
    production.edit("# lock_timeout = .*", "lock_timeout = 900")  # two commands are run meanwhile
    rows = production.stack.rows()
    with production.blocking(BUILDING) as let_go, production.visitors() as visitors:
        killed = begun(production)
        production.until(killed, lambda: migrates(production), "it migrates")
        killed.kill()
        status = production.run("status")
        assert status.code == 23, status.both
        assert "the process that worked on it is gone" in status.words
        assert "deployguard resume" in status.words
        other = production.deploy()
        assert other.code == 23, other.both
        assert "the process that worked on it is gone" in other.words
        assert len(production.migrations()) == 1
        resumed = production.start("resume")
        production.until_said(resumed, "it still runs")
        assert not visitors.bad
        let_go()
        finished = resumed.result()
    assert finished.code == 0, finished.both
    done_exactly_once(production, rows)


def test_killed_with_its_docker_command_and_resumed_after_the_migration_ended(
    production: Production,
) -> None:
    rows = production.stack.rows()
    killed = begun(production)
    found: list[int] = []

    def launching() -> bool:
        found[:] = launchers(production)
        return bool(found)

    production.until(killed, launching, "docker starts the migration", pause=0.01)
    for process in found:
        os.kill(process, signal.SIGKILL)
    killed.kill()
    resumed = production.run("resume")
    assert resumed.code == 0, resumed.both
    done_exactly_once(production, rows)


def test_killed_while_the_application_is_updated(production: Production) -> None:
    rows = production.stack.rows()
    killed = begun(production)
    production.until_journaled(killed, "update-app")
    killed.kill()
    resumed = production.run("resume")
    assert resumed.code == 0, resumed.both
    done_exactly_once(production, rows)


def test_a_second_deploy_is_told_who_runs_the_first_and_ctrl_c_ends_it(
    production: Production,
) -> None:
    rows, old = production.stack.rows(), production.digests()
    production.checkout("v2")
    production.edit("# lock_timeout = .*", "lock_timeout = 900")
    waits = (
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'deployguard:%'"
        " AND query LIKE 'ALTER TABLE guests ADD%' AND wait_event_type = 'Lock'"
    )
    with production.blocking("guests IN ROW SHARE MODE"):
        first = production.start("deploy", *FULL)
        production.until(first, lambda: production.stack.sql(waits) == "1", "it migrates")
        second = production.deploy()
        assert second.code == 23, second.both
        assert f"process {first.process.pid} on" in second.words
        assert re.search(r"since \d{4}-\d\d-\d\dT\d\d:\d\d", second.words)
        assert production.run("status").code == 23
        first.signal(signal.SIGINT)
        ended = first.result()
    assert ended.code == 21, ended.both
    assert "stopped on request" in ended.words
    assert production.stack.rows() == rows
    assert production.stack.revision() == "b013"
    assert "revision is b013" in ended.words
    assert production.digests() == old
    assert production.health() == (200, "v1")
    assert production.run("status").code == 0


def launchers(production: Production) -> list[int]:
    """The docker programs that start a migration container of this very project."""
    ours = f"COMPOSE_PROJECT_NAME={production.stack.project}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            launches = words[0].endswith(b"docker") and b"run" in words and b"-d" in words
            if launches and ours in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except (OSError, IndexError):
            continue  # it has ended
    return found
