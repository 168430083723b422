"""Run one command that survives our death, and find out later how it went."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from deployguard.errors import EnvironmentUnreachable
from deployguard.process import wrapper
from deployguard.process.identity import Identity, alive
from deployguard.process.output import Redactor

OUTPUT: Final = "output.log"  # raw: stdout and stderr of the command, 0600
SETTLE: Final = 3.0  # seconds that a wrapper that was just started may take to sign its folder
_ABANDONED: Final = -1  # pid in owner.json of a run that was given up before it began


@dataclass(frozen=True, slots=True)
class Spawned:
    """A detached run: everything that is needed to find it again is in its folder."""

    folder: Path


@dataclass(frozen=True, slots=True)
class Running:
    """The command runs."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The command has ended. ``code`` None: nobody saw how (the machine was restarted, its witness was killed)."""

    code: int | None
    timed_out: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """The command never began, and never will."""


State: TypeAlias = Running | Ended | Absent


def spawn(
    argv: Sequence[str],
    folder: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
) -> Spawned:
    """Start ``argv`` in a session of its own; it goes on when we are killed.

    ``folder`` (made, 0700) identifies the run: a second spawn in it starts nothing. ``timeout`` (seconds) is
    enforced also when we are gone. A program that cannot be run ends with 127 or 126, as in a shell.
    """
    if cwd is not None and not cwd.is_dir():
        raise EnvironmentUnreachable(f"The folder {cwd} does not exist, so {argv[0]} cannot run.")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    log = os.open(folder / OUTPUT, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                str(Path(wrapper.__file__)),
                str(folder.resolve()),
                str(timeout or 0),
                *argv,
            ],
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    finally:
        os.close(log)
    process.returncode = 0  # nobody waits for it, its report is a file: keeps Popen from warning
    return Spawned(folder)


def look(spawned: Spawned, *, settle: float = SETTLE) -> State:
    """What has become of a run, also one that another process started; at most ``settle`` seconds.

    A folder that no wrapper has signed by then is taken away from it, so that Absent stays true.
    """
    folder = spawned.folder
    if not folder.is_dir():
        return Absent()
    owner = _wait_for_owner(folder, settle)
    if owner is None or owner.pid == _ABANDONED:
        return Absent()
    lives = alive(owner) or _child_lives(folder)
    ended = _read(folder / "exit.json")  # after the look at the processes: the file comes first
    if ended is not None:
        return _ended(ended)
    return Running() if lives else Ended(None)


def _ended(content: Mapping[str, object]) -> Ended:
    code, seconds = content.get("code"), content.get("seconds")
    return Ended(
        code=code if isinstance(code, int) else None,
        timed_out=content.get("timed_out") is True,
        seconds=seconds if isinstance(seconds, float) else None,
    )


def _wait_for_owner(folder: Path, settle: float) -> Identity | None:
    deadline = time.monotonic() + settle
    while (owner := _identity(folder / "owner.json")) is None:
        if time.monotonic() >= deadline:
            if wrapper.write(
                folder / "owner.json", {"pid": _ABANDONED, "started": 0, "boot": ""}, first=True
            ):
                return None
            continue  # it signed just now
        time.sleep(0.02)
    return owner


def _child_lives(folder: Path) -> bool:
    child = _identity(folder / "child.json")
    return child is not None and alive(child)


def _identity(path: Path) -> Identity | None:
    match _read(path):
        case {"pid": int(pid), "started": int(started), "boot": str(boot)}:
            return Identity(pid, started, boot)
        case _:
            return None


def _read(path: Path) -> Mapping[str, object] | None:
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    return content if isinstance(content, dict) else None


def follow(
    spawned: Spawned,
    on_line: Callable[[str], None],
    *,
    redact: Redactor | None = None,
    poll: float = 0.1,
) -> Ended | Absent:
    """Hand on every line of a run from its beginning, redacted and without newline, until it has ended."""
    clean = redact or Redactor()
    position, rest = 0, b""
    while True:
        state = look(spawned)
        position, rest = _hand_on(spawned.folder / OUTPUT, position, rest, clean, on_line)
        if not isinstance(state, Running):
            if rest:
                on_line(clean(rest.decode(errors="replace")))
            return state
        time.sleep(poll)


def _hand_on(
    path: Path, position: int, rest: bytes, clean: Redactor, on_line: Callable[[str], None]
) -> tuple[int, bytes]:
    try:
        with path.open("rb") as file:
            file.seek(position)
            data = file.read()
    except FileNotFoundError:
        return position, rest
    *lines, tail = (rest + data).split(b"\n")
    for line in lines:
        on_line(clean(line.decode(errors="replace").rstrip("\r")))
    return position + len(data), tail


def stop(spawned: Spawned, *, grace: float = 10.0) -> State:
    """Stop the command's process group (SIGTERM, after ``grace`` seconds SIGKILL); how it ended is still written."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        deadline, sent = time.monotonic() + seconds, False
        while isinstance(look(spawned), Running) and time.monotonic() < deadline:
            sent = sent or _signal(spawned, number)
            time.sleep(0.05)
    return look(spawned)


def _signal(spawned: Spawned, number: signal.Signals) -> bool:
    """Signal the command's group; False when there is none yet: its witness has only just begun."""
    child = _identity(spawned.folder / "child.json")
    if child is None or not alive(child):
        return False
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
    return True


def forget(spawned: Spawned) -> None:
    """Remove what a run that has ended left behind; a run that still runs is left alone."""
    if isinstance(look(spawned), Running):
        return
    for path in spawned.folder.glob("*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # somebody put something else there: not ours to delete
        spawned.folder.rmdir()
