"""The parts that other tests stand on do what they promise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import postgres
from tests.support.docker import ROOT

DOCKER_TEST = "tests/migrations_fixtures/test_bookings.py::test_broken_image_never_becomes_healthy"


def run_without_docker(ci: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", DOCKER_TEST],
        cwd=ROOT,
        env=os.environ | {"PATH": "/nowhere", "CI": ci},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_an_engine_docker_tests_are_left_out_loudly() -> None:
    done = run_without_docker(ci="")
    assert done.returncode == 0
    assert "DOCKER TESTS DID NOT RUN" in done.stdout
    assert "1 tests need a Docker engine" in done.stdout
    assert "there is no docker command" in done.stdout


def test_without_an_engine_ci_fails() -> None:
    done = run_without_docker(ci="true")
    assert done.returncode == 1
    assert "CI must have it" in done.stdout


def test_the_wheel_brings_two_servers() -> None:
    assert {16, 18} <= {tree.version for tree in postgres.trees()}


@pytest.mark.parametrize(
    "postgres_server", [tree.version for tree in postgres.trees()], indirect=True
)
def test_server_wants_its_password_and_has_its_own_programs(
    postgres_server: postgres.Server, postgres_database: str
) -> None:
    version = str(postgres_server.version)
    name = postgres_database.rpartition("/")[2]
    assert postgres_server.sql("SHOW server_version", name).startswith(version)
    dump = subprocess.run(
        [postgres_server.bin / "pg_dump", "--version"], capture_output=True, text=True, check=True
    )
    assert f" {version}." in dump.stdout
    wrong = postgres_server.environment(name) | {"PGPASSWORD": "wrong"}
    psql = [postgres_server.bin / "psql", "-c", "SELECT 1"]
    refused = subprocess.run(psql, env=wrong, capture_output=True, text=True, check=False)
    assert "password authentication failed" in refused.stderr


def test_stopped_server_leaves_nothing_behind() -> None:
    with postgres.serve(postgres.trees()[0], max_connections="7") as server:
        assert server.sql("SHOW max_connections") == "7"
        folder, port = server.folder, server.port
        server.stop()
        server.start()
        assert server.sql("SHOW port") == str(port)
    assert not folder.exists()
