"""A detached run goes on when its starter is killed, and how it went is found out afterwards."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from deployguard.errors import EnvironmentUnreachable
from deployguard.process import (
    Absent,
    Ended,
    Redactor,
    Running,
    Spawned,
    follow,
    forget,
    identify,
    look,
    spawn,
    stop,
)


def eventually(condition: Callable[[], object], within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def finished(spawned: Spawned) -> bool:
    return isinstance(look(spawned), Ended)


def code_of(state: object) -> int | None:
    assert isinstance(state, Ended)
    return state.code


def child_pid(spawned: Spawned) -> int:
    path = spawned.folder / "child.json"
    eventually(path.exists)
    pid = json.loads(path.read_text())["pid"]
    assert isinstance(pid, int)
    return pid


def test_exit_code_and_redacted_lines_of_a_run(tmp_path: Path) -> None:
    spawned = spawn(["sh", "-c", "echo pw; sleep 0.3; printf tail >&2; exit 5"], tmp_path / "r")
    assert look(spawned) == Running()
    lines: list[str] = []
    ended = follow(spawned, lines.append, redact=Redactor(("pw",)))
    assert code_of(ended) == 5
    assert lines == ["***", "tail"]


def test_kill_9_of_the_starter_leaves_the_run_and_its_exit_code(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code = f"""
        import time
        from pathlib import Path
        from deployguard.process import spawn
        spawn(["sh", "-c", "echo one; sleep 3; echo two; exit 3"], Path({str(folder)!r}))
        print("spawned", flush=True)
        time.sleep(60)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "spawned\n"
        starter.send_signal(signal.SIGKILL)
    assert look(Spawned(folder)) == Running()
    lines: list[str] = []
    ended = follow(Spawned(folder), lines.append)
    assert code_of(ended) == 3
    assert lines == ["one", "two"]


def test_kill_9_at_any_moment_of_starting_is_running_or_never(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    code = """
        import sys
        from pathlib import Path
        from deployguard.process import spawn
        print("ready", flush=True)
        spawn(["sh", "-c", "echo ran >> " + sys.argv[2]], Path(sys.argv[1]))
    """
    for attempt in range(12):
        folder = tmp_path / f"run{attempt}"
        proof.unlink(missing_ok=True)
        with subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(folder), str(proof)],
            stdout=subprocess.PIPE,
            text=True,
        ) as starter:
            assert starter.stdout is not None
            starter.stdout.readline()
            time.sleep(attempt * 0.004)
            starter.send_signal(signal.SIGKILL)
        state = look(Spawned(folder), settle=0.2)
        if isinstance(state, Absent):
            time.sleep(0.3)
            assert not proof.exists()
        else:
            eventually(partial(finished, Spawned(folder)))
            assert code_of(look(Spawned(folder))) == 0
            assert proof.read_text() == "ran\n"


def test_a_run_that_was_called_absent_never_begins(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    assert look(Spawned(folder), settle=0) == Absent()
    spawn(["touch", str(tmp_path / "proof")], folder)
    time.sleep(0.5)
    assert look(Spawned(folder)) == Absent()
    assert not (tmp_path / "proof").exists()


def test_a_second_spawn_in_the_same_folder_starts_nothing(tmp_path: Path) -> None:
    argv = ["sh", "-c", f"echo ran >> {tmp_path}/proof"]
    first = spawn(argv, tmp_path / "run")
    follow(first, lambda _: None)
    spawn(argv, tmp_path / "run")
    time.sleep(0.5)
    assert (tmp_path / "proof").read_text() == "ran\n"


def test_a_killed_witness_with_a_living_command_is_running_then_unknown(tmp_path: Path) -> None:
    spawned = spawn(["sleep", "60"], tmp_path / "run")
    child = child_pid(spawned)
    owner = json.loads((tmp_path / "run" / "owner.json").read_text())["pid"]
    os.kill(owner, signal.SIGKILL)
    eventually(lambda: identify(owner) is None)
    assert look(spawned) == Running()
    os.kill(child, signal.SIGKILL)
    eventually(lambda: look(spawned) == Ended(None))


def test_a_recycled_process_number_is_not_mistaken_for_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    me = identify()
    assert me is not None
    for stale in (
        {"pid": me.pid, "started": me.started - 1, "boot": me.boot},
        {"pid": me.pid, "started": me.started, "boot": "an earlier boot"},
    ):
        (folder / "owner.json").write_text(json.dumps(stale))
        assert look(Spawned(folder)) == Ended(None)
    (folder / "owner.json").write_text(
        json.dumps({"pid": me.pid, "started": me.started, "boot": me.boot})
    )
    assert look(Spawned(folder)) == Running()


def test_timeout_is_kept_by_the_witness(tmp_path: Path) -> None:
    spawned = spawn(["sleep", "60"], tmp_path / "run", timeout=0.4)
    ended = follow(spawned, lambda _: None)
    assert isinstance(ended, Ended)
    assert (ended.code, ended.timed_out) == (-signal.SIGTERM, True)


def test_stop_ends_the_group_and_keeps_the_code(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    spawned = spawn(["sh", "-c", f"sleep 60 & echo $! > {note}; sleep 60"], tmp_path / "run")
    eventually(lambda: note.exists() and note.read_text())
    state = stop(spawned)
    assert code_of(state) == -signal.SIGTERM
    eventually(lambda: identify(int(note.read_text())) is None)


def test_stop_right_after_the_start_asks_kindly_too(tmp_path: Path) -> None:
    for attempt in range(5):
        began = time.monotonic()
        assert code_of(stop(spawn(["sleep", "60"], tmp_path / f"r{attempt}"))) == -signal.SIGTERM
        assert time.monotonic() - began < 9  # SIGKILL comes after 10


def test_stop_kills_what_ignores_sigterm(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    spawned = spawn(["sh", "-c", script], tmp_path / "run")
    eventually(lambda: (tmp_path / "run" / "output.log").read_text() == "ready\n")
    state = stop(spawned, grace=0.3)
    assert code_of(state) == -signal.SIGKILL


def test_a_program_that_is_not_there_ends_like_in_a_shell(tmp_path: Path) -> None:
    lines: list[str] = []
    ended = follow(spawn(["no-such-program"], tmp_path / "run"), lines.append)
    assert code_of(ended) == 127
    assert lines == ["no-such-program: No such file or directory"]


def test_a_missing_working_folder_is_an_error_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnreachable, match="does not exist"):
        spawn(["true"], tmp_path / "run", cwd=tmp_path / "gone")


def test_all_files_are_private_and_forget_removes_them(tmp_path: Path) -> None:
    spawned = spawn(["true"], tmp_path / "run")
    follow(spawned, lambda _: None)
    assert spawned.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in spawned.folder.iterdir()} == {0o600}
    forget(spawned)
    assert not spawned.folder.exists()
    assert look(spawned) == Absent()


def test_forget_leaves_a_run_that_still_runs(tmp_path: Path) -> None:
    spawned = spawn(["sleep", "60"], tmp_path / "run")
    child_pid(spawned)
    forget(spawned)
    assert look(spawned) == Running()
    stop(spawned)


def test_the_environment_reaches_the_command_and_no_argv(tmp_path: Path) -> None:
    spawned = spawn(
        ["sh", "-c", 'echo "$TOKEN"; sleep 1'],
        tmp_path / "run",
        env={"TOKEN": "canary-4711", "PATH": os.environ["PATH"]},
    )
    child = child_pid(spawned)
    owner = json.loads((tmp_path / "run" / "owner.json").read_text())["pid"]
    for pid in (child, owner):
        assert b"canary-4711" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    lines: list[str] = []
    follow(spawned, lines.append)
    assert lines == ["canary-4711"]
