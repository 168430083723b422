"""The error boundary: a sentence, the state of production, the next command, an exit code; never a traceback."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployguard.cli import group
from deployguard.cli.app import App
from deployguard.cli.main import run
from deployguard.errors import (
    ApprovalMissing,
    BackupFailed,
    Busy,
    DeployguardError,
    EnvironmentUnreachable,
    NeedsHuman,
    Refused,
    RolledBack,
    UsageError,
)

CONFIG = """
[project]
name = "bookings"
[environments.production]
database_url_env = "PROD_URL"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "deployguard.toml").write_text(CONFIG)
    (tmp_path / ".deployguard").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException, *, load: bool = True) -> int:
    """Run a command line whose command raises ``error``."""

    def main(**options: object) -> None:
        app = options["obj"]
        assert isinstance(app, App)
        if load:
            app.config()
        raise error

    monkeypatch.setattr(group.root, "main", main)
    return run(["status"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), 2),
        (EnvironmentUnreachable("x"), 3),
        (Refused("x"), 10),
        (ApprovalMissing("x"), 11),
        (BackupFailed("x"), 20),
        (RolledBack("x"), 21),
        (NeedsHuman("x"), 22),
        (Busy("x"), 23),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_exit_code(
    project: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    assert raising(monkeypatch, error) == code


def test_an_error_says_what_happened_what_is_true_and_what_to_type(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = DeployguardError(
        "The migration failed.",
        state="The database is at b017.",
        next_commands=("do this", "or that"),
    )
    raising(monkeypatch, error)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "Error: The migration failed.",
        "The database is at b017.",
        "",
        "Next",
        "  do this",
        "  or that",
    ]


def test_a_bug_leaves_its_traceback_in_a_private_file_and_not_on_the_terminal(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROD_URL", "postgresql://app:c4nary@db/app")
    code = raising(monkeypatch, RuntimeError("boom c4nary postgresql://app:0ther@db/app"))
    shown = capsys.readouterr()
    assert code == 1
    assert "Traceback" not in shown.err
    assert "boom" not in shown.err
    (log,) = (project / ".deployguard").glob("crash-*.log")
    assert str(log) in shown.err.replace("\n", "")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    text = log.read_text()
    assert "RuntimeError: boom ***" in text
    assert "c4nary" not in text
    assert "0ther" not in text


def test_a_bug_without_a_configuration_still_keeps_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert raising(monkeypatch, RuntimeError("boom"), load=False) == 1
    assert len(list(tmp_path.glob("crash-*.log"))) == 1


def test_passwords_of_every_environment_are_kept_out_of_errors(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PROD_URL", "postgresql://app:c4n%40ry@db/app")
    raising(monkeypatch, NeedsHuman("c4n@ry", state="c4n%40ry", next_commands=("psql c4n@ry",)))
    captured = capsys.readouterr()
    assert "c4n" not in captured.err
    assert captured.err.count("***") == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["chek"], "Did you mean 'check'?"),
        (["init", "--forc"], "--force"),
        (["check", "--env"], "requires an argument"),
        (["--nope"], "No such option"),
    ],
)
def test_wrong_usage_is_explained_with_exit_code_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert expected in captured.err
    assert "--help" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("arguments", [[], ["backup"]])
def test_no_command_shows_the_help_and_calls_nothing_an_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("Usage: deployguard")
    assert "Error" not in captured.err
    assert "\b" not in captured.err
    assert "x08" not in captured.err
    assert captured.out == ""


def test_no_configuration_names_the_command_that_writes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["check"]) == 2
    assert "deployguard init" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_with_130(number: signal.Signals) -> None:
    code = (
        "import sys, time\n"
        "from deployguard.cli import group, main\n"
        "def slow(**options):\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(30)\n"
        "group.root.main = slow\n"
        "main()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        os.kill(process.pid, number)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Interrupted." in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"], ["explain", "DG101"]])
def test_a_closed_pipe_is_quiet_and_no_bug(arguments: list[str]) -> None:
    code = f"from deployguard.cli import main\nimport sys\nsys.argv = ['deployguard', *{arguments}]\nmain()\n"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_pipe_that_is_closed_after_the_first_line_is_no_bug() -> None:
    code = (
        "import sys\nfrom deployguard.cli import group, main, terminal\n"
        "def much(**_):\n    for n in range(100000):\n        terminal.data().write(f'line {n}')\n"
        "group.LazyGroup.get_command = lambda *_: group.click.Command('status', callback=much)\n"
        "sys.argv = ['deployguard', 'status']\nmain()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"line 0\n"
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_nobody_hearing_what_is_told_stops_nothing() -> None:
    code = (
        "import sys\nfrom deployguard.cli import main\nfrom deployguard.cli.terminal import people\n"
        "for n in range(3):\n    people().write('working')\n"
        "print('done', flush=True)\nsys.argv = ['deployguard', 'chek']\nmain()\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=write, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stdout) == (2, "done\n")
