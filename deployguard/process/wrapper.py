"""Runs one command in a session of its own and writes down how it ended; executed as a script, stdlib only.

It is what is left when deployguard itself is killed: it holds no pipe of ours and needs nothing of us.
``argv`` is FOLDER TIMEOUT COMMAND…; TIMEOUT is in seconds, 0 is none. In FOLDER it writes

    owner.json  who runs this folder: its own identity. Made with link(2), so that of two only one can be first
    child.json  the command's identity, written by the command's own process just before it becomes the command
    exit.json   {"code": exit status or minus the signal, "timed_out": bool, "seconds": wall time}
"""

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

GRACE = 10.0  # seconds between SIGTERM and SIGKILL: the driver gets time to roll back


def identity() -> dict[str, object]:
    """Ourselves, in the words of identity.py."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return {"pid": os.getpid(), "started": 0, "boot": ""}
    return {"pid": os.getpid(), "started": int(fields[19]), "boot": boot}


def write(path: Path, content: dict[str, object], *, first: bool = False) -> bool:
    """Write atomically and durably; with ``first`` only when nobody did before (False: somebody did)."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    if not first:
        temporary.replace(path)
        return True
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    finally:
        temporary.unlink()
    return True


def become(folder: Path, command: list[str]) -> None:
    """In the forked child: a process group of its own, then the command."""
    os.setpgid(0, 0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    write(folder / "child.json", identity())
    try:
        os.execvp(command[0], command)  # noqa: S606 - that is the point: an argv, no shell
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.stderr.flush()
        os._exit(126 if isinstance(error, PermissionError) else 127)  # what a shell would say


def attend(child: int, timeout: float) -> tuple[int, bool]:
    """Wait for the child; stop its group at the timeout. (exit status or minus the signal, timed out)."""
    began, asked = time.monotonic(), 0.0
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), bool(asked)
        now = time.monotonic()
        if timeout and now - began > timeout:
            with suppress(ProcessLookupError):
                if not asked:
                    asked = now
                    os.killpg(child, signal.SIGTERM)
                elif now - asked > GRACE:
                    os.killpg(child, signal.SIGKILL)
        time.sleep(0.05)


def main(argv: list[str]) -> int:
    folder, timeout, command = Path(argv[0]), float(argv[1]), argv[2:]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the command is stopped, never its witness
    if not write(folder / "owner.json", identity(), first=True):
        return 0
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        become(folder, command)
    code, timed_out = attend(child, timeout)
    seconds = round(time.monotonic() - began, 3)
    write(folder / "exit.json", {"code": code, "timed_out": timed_out, "seconds": seconds})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
