"""What is missing or wrong is one clear error, with the right exit code, and nothing has changed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.commands import Result
from tests.e2e.production import Production

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]  # a busy machine gets its time


def one_clear_error(result: Result, code: int) -> None:
    assert result.code == code, result.both
    assert "Traceback" not in result.both
    assert result.stderr.count("Error: ") == 1


def test_no_engine(production: Production) -> None:
    production.checkout("v2")
    for command in (("deploy", "--auto-migrate"), ("deploy", "--skip-migrate"), ("check",)):
        failed = production.run(*command, DOCKER_HOST="unix:///var/run/no-such-engine.sock")
        one_clear_error(failed, 3)
        assert "No Docker engine answers at unix:///var/run/no-such-engine.sock" in failed.words
    assert production.versions() == ["v1", "v1", "v1"]
    assert production.stack.revision() == "b013"


def test_no_docker_program(production: Production) -> None:
    production.checkout("v2")
    failed = production.deploy("--skip-migrate", PATH="/nonexistent")
    one_clear_error(failed, 3)
    assert "docker" in failed.words


def test_wrong_password_is_not_printed(production: Production) -> None:
    production.checkout("v2")
    wrong = "not-the-pass+word"
    url = f"postgresql+asyncpg://bookings:{wrong}@postgres:5432/bookings"
    for command in (("check",), ("deploy", "--auto-migrate"), ("backup", "create")):
        failed = production.run(*command, DATABASE_URL=url)
        one_clear_error(failed, 3)
        assert "password authentication failed" in failed.words
        assert wrong not in failed.both


def test_a_disk_that_is_full_stops_before_the_migration(production: Production) -> None:
    rows = production.stack.rows()
    production.checkout("v2")
    small = on_a_small_disk(production, "2m")
    one_clear_error(small, 20)
    assert "not enough room" in small.words
    # Room enough for what a dump usually needs, and not for one that cannot be compressed.
    production.stack.sql(
        "CREATE TABLE noise (bytes bytea); ALTER TABLE noise ALTER bytes SET STORAGE EXTERNAL;"
        "INSERT INTO noise SELECT (SELECT string_agg(sha512(int4send(1000 * n + g)), '')"
        " FROM generate_series(1, 1000) g) FROM generate_series(1, 940) n"
    )
    rows["noise"] = 940
    full = on_a_small_disk(production, "52m")
    one_clear_error(full, 20)
    assert "is full" in full.words
    assert production.stack.revision() == "b013"
    assert production.stack.rows() == rows
    assert production.versions() == ["v1", "v1", "v1"]
    assert not production.backups()
    assert production.last()["state"] == "failed"


def on_a_small_disk(production: Production, size: str) -> Result:
    """Deploy where the backup folder is a file system of its own, which nobody else sees."""
    backups: Path = production.folder / ".deployguard" / "backups"
    backups.mkdir(parents=True, exist_ok=True)
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "-Urm"]
    mounted = f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"'
    command = production.start(
        *("deploy", "--auto-migrate", "--backup"),
        prefix=[*own, "sh", "-c", mounted, str(backups)],
    )
    return command.result()
