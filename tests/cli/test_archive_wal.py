"""archive_command and restore_command: exit codes that a server understands, and a start that costs little."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployguard.cli.main import run
from tests.cli.test_lazy import HEAVY, imported
from tests.support.segments import make

NAME = "000000010000000000000003"
CONFIG = """
[project]
name = "shop"
[physical]
wal_directory = "log"
compression = "gzip:1"
[environments.production]
database_url_env = "DATABASE_URL"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "deployguard.toml").write_text(CONFIG)
    (tmp_path / "pg_wal").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_configured_archive_is_used_without_any_database_url(project: Path) -> None:
    make(project / "pg_wal", NAME)
    config = str(project / "deployguard.toml")
    assert run(["backup", "archive-wal", "--config", config, f"pg_wal/{NAME}"]) == 0
    assert (project / "log" / f"{NAME}.gz").exists()
    assert run(["backup", "fetch-wal", "--config", config, NAME, "pg_wal/RECOVERYXLOG"]) == 0
    assert (project / "pg_wal/RECOVERYXLOG").read_bytes() == (
        project / "pg_wal" / NAME
    ).read_bytes()


def test_archiving_fails_with_words_for_the_servers_log(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make(project / "pg_wal", NAME)
    archive = ["backup", "archive-wal", "--into", "log", f"pg_wal/{NAME}"]
    assert run(archive) == 0
    assert run(archive) == 0
    make(project / "pg_wal", NAME)
    assert run(archive) == 20
    assert "with other contents" in capfd.readouterr().err
    assert run(["backup", "archive-wal", "--into", "log", "pg_wal/nothing"]) == 2
    assert run(["backup", "archive-wal", "--into", "log", "--compression", "zip", NAME]) == 2


def test_only_a_missing_file_may_look_like_the_end_of_the_log(
    project: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make(project / "pg_wal", NAME)
    fetch = ["backup", "fetch-wal", "--from", "log"]
    assert run([*fetch, NAME, "out"]) == 200  # there is no archive
    assert run(["backup", "archive-wal", "--into", "log", f"pg_wal/{NAME}"]) == 0
    assert run([*fetch, "000000010000000000000004", "out"]) == 1
    assert run([*fetch, "00000002.history", "out"]) == 1
    assert run([*fetch, "passwd", "out"]) == 200
    assert run([*fetch, NAME]) == 200
    assert run([*fetch, NAME, "no/such/folder"]) == 200
    (project / "log" / NAME).write_bytes(b"short")
    assert run([*fetch, NAME, "out"]) == 200
    missing = ["backup", "fetch-wal", "--config", "nowhere.toml", NAME, "out"]
    assert run(missing) == 200
    assert "Cannot read" in capfd.readouterr().err
    assert not (project / "out").exists()


def test_a_server_waits_for_no_library(project: Path) -> None:
    make(project / "pg_wal", NAME)
    for words in (
        ("archive-wal", f"pg_wal/{NAME}"),
        ("archive-wal", "--into", "log", f"pg_wal/{NAME}"),
        ("fetch-wal", NAME, "out"),
    ):
        code, modules, _ = imported("backup", *words, folder=project)
        assert code == 0
        assert not modules & {
            *HEAVY,
            "deployguard.backups",
            "deployguard.database",
            "deployguard.formats",
        }
        assert "deployguard.config" not in modules or "--into" not in words
