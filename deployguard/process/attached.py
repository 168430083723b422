"""Run one program to its end: streamed and redacted lines, a deadline, and no orphans."""

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from deployguard.errors import EnvironmentUnreachable
from deployguard.process.output import Completed, Lines, Redactor

GRACE: Final = 5.0  # seconds between SIGTERM and SIGKILL
STRAGGLERS: Final = 1.0  # seconds that a pipe may stay open after the program itself has ended

HOW_TO_GET: Final[Mapping[str, str]] = {
    "docker": "Install Docker Engine with the Compose plugin: https://docs.docker.com/engine/install/",
    "pg_dump": "Install PostgreSQL's client programs, or name their folder in [backup] pg_bin.",
    "pg_restore": "Install PostgreSQL's client programs, or name their folder in [backup] pg_bin.",
    "psql": "Install PostgreSQL's client programs, or name their folder in [backup] pg_bin.",
    "git": "Install git, or leave out --since, --ref and --to-ref.",
    "alembic": "Install Alembic in the project's environment, or give the command's full path in"
    " [migrate] command.",
}


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
    input: bytes | None = None,  # noqa: A002 - the name that subprocess gave it
    redact: Redactor | None = None,
    stdin_path: Path | None = None,
    stdout_path: Path | None = None,
    moving: Callable[[], object] | None = None,
) -> Completed:
    """Run ``argv`` to its end, in a process group of its own.

    It reads ``input``, or the file ``stdin_path``, or nothing.

    ``env`` is the whole environment (None: ours). ``timeout`` is in seconds. ``on_line`` gets each redacted line of
    stdout and stderr as it comes, without its newline, in the calling thread. With ``stdout_path`` standard output
    goes untouched to that file (0600, replaced if it exists) and ``Completed.stdout`` is empty. ``timeout``
    counts anew whenever the answer of ``moving``, which is asked again and again, changes.

    At the timeout, at KeyboardInterrupt and at any error of ``on_line`` the whole group is stopped (SIGTERM, then
    SIGKILL). Raises EnvironmentUnreachable when the program cannot be started.
    """
    started = time.monotonic()
    patience = _Patience(timeout, moving)
    redactor = redact or Redactor()
    source = subprocess.DEVNULL if input is None else subprocess.PIPE
    if stdin_path is not None:
        source = os.open(stdin_path, os.O_RDONLY)
    process = _start(argv, env, cwd, source=source, stdout_path=stdout_path)
    streams = {
        stream: Lines(redactor, on_line) for stream in (process.stdout, process.stderr) if stream
    }
    try:
        timed_out = not _pump(process, streams, input or b"", patience)
        if timed_out:
            _end_group(process)
        for lines in streams.values():
            lines.feed(b"", final=True)
    except BaseException:
        _end_group(process)
        raise
    finally:
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
    return Completed(
        code=process.wait(),
        stdout=streams[process.stdout].text() if process.stdout else "",
        stderr=streams[process.stderr].text() if process.stderr else "",
        seconds=time.monotonic() - started,
        timed_out=timed_out,
    )


def _start(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    *,
    source: int,
    stdout_path: Path | None,
) -> subprocess.Popen[bytes]:
    target: int = subprocess.PIPE
    if stdout_path is not None:
        target = os.open(stdout_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.fchmod(target, 0o600)  # an existing file keeps its mode otherwise
    try:
        return subprocess.Popen(
            list(argv),
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=source,
            stdout=target,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        raise _cannot_start(argv, cwd, error) from error
    finally:
        for descriptor in (source, target):
            if descriptor >= 0:  # subprocess.PIPE and DEVNULL are negative
                os.close(descriptor)


def _cannot_start(argv: Sequence[str], cwd: Path | None, error: OSError) -> EnvironmentUnreachable:
    if cwd is not None and not cwd.is_dir():
        return EnvironmentUnreachable(f"The folder {cwd} does not exist, so {argv[0]} cannot run.")
    if isinstance(error, PermissionError):
        return EnvironmentUnreachable(f"The program {argv[0]} may not be run: {error.strerror}.")
    return missing_program(argv[0])


def _pump(
    process: subprocess.Popen[bytes],
    streams: Mapping[IO[bytes], Lines],
    data: bytes,
    patience: "_Patience",
) -> bool:
    """Move bytes until the program has ended; False when the deadline came first."""
    left = memoryview(data)
    ended: float | None = None
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            selector.register(process.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            now, wait = time.monotonic(), patience.left()
            if wait <= 0:
                return False
            if process.poll() is not None:
                ended = ended or now
                if now - ended > STRAGGLERS:
                    break  # something that it started holds the pipe; that is not ours to wait for
            for key, _ in selector.select(min(0.2, wait)):
                if key.fileobj is process.stdin:
                    left = _write(process.stdin, left, selector)
                else:
                    _read(key.fd, streams, selector)
    return _wait(process, patience)


def _write(stdin: IO[bytes], left: memoryview, selector: selectors.BaseSelector) -> memoryview:
    try:
        left = left[os.write(stdin.fileno(), left[:65536]) :]
    except BrokenPipeError:
        left = left[
            :0
        ]  # it ended, or closed its input, without reading all of it: its own business
    if not left:
        selector.unregister(stdin)
        stdin.close()
    return left


def _read(fd: int, streams: Mapping[IO[bytes], Lines], selector: selectors.BaseSelector) -> None:
    stream = next(s for s in streams if s.fileno() == fd)
    data = os.read(fd, 65536)
    if data:
        streams[stream].feed(data)
    else:
        selector.unregister(stream)


def _wait(process: subprocess.Popen[bytes], patience: "_Patience") -> bool:
    while (left := patience.left()) > 0:
        try:
            process.wait(min(left, 1.0))
        except subprocess.TimeoutExpired:
            continue
        return True
    return process.poll() is not None


class _Patience:
    """How long a program may still take: for ever, a time, or a time since something moved."""

    def __init__(self, timeout: float | None, moving: Callable[[], object] | None) -> None:
        self._timeout, self._moving = timeout, moving
        self._since = time.monotonic()
        self._seen: object = None

    def left(self) -> float:
        """Seconds."""
        if self._moving is not None and (now := self._moving()) != self._seen:
            self._seen, self._since = now, time.monotonic()
        if self._timeout is None:
            return float("inf")
        return self._since + self._timeout - time.monotonic()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM the whole group, then SIGKILL what is left; the group outlives its leader."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def which(program: str, *, path: str | None = None) -> str | None:
    """The full path of ``program`` on ``path`` (None: PATH), or None."""
    return shutil.which(program, path=path)


def require(program: str, *, path: str | None = None) -> str:
    """The full path of ``program``; raises EnvironmentUnreachable that says how to get it."""
    found = which(program, path=path)
    if found is None:
        raise missing_program(program)
    return found


def missing_program(program: str) -> EnvironmentUnreachable:
    """The error for a program that is not there, with how to get it where that is known."""
    name = Path(program).name
    hint = HOW_TO_GET.get(name, f"Install {name}, or correct its name in deployguard.toml.")
    return EnvironmentUnreachable(f"The program {program} was not found. {hint}")


def program_version(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, timeout: float = 20
) -> str | None:
    """The first line that ``argv`` (for example ``["pg_dump", "--version"]``) prints; None when it does not run."""
    try:
        done = run(argv, env=env, timeout=timeout)
    except EnvironmentUnreachable:
        return None
    lines = (done.stdout.strip() or done.stderr.strip()).splitlines()
    return lines[0].strip() if done.ok and lines else None
