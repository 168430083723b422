"""One deploy at a time on this host: a lock file that a crash frees and that says who, since when and why."""

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from deployguard.errors import Busy
from deployguard.process.identity import Identity, alive
from deployguard.state.records import StateError
from deployguard.state.schema import prepare_folder

_TRIES, _PAUSE = 5, 0.05  # seconds


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock. ``started`` (clock ticks since boot) tells this process from a later one with its number."""

    pid: int
    started: int
    boot: str
    host: str
    by: str
    since: str  # ISO 8601, UTC
    why: str
    deploy: str = ""


class DeployLock:
    """The lock file of one environment. The kernel drops the lock when the holder dies; the text stays readable."""

    shared = False  # with other hosts

    def __init__(self, folder: Path, environment: str) -> None:
        self.environment = environment
        self.path = folder / f"lock-{environment}"

    @contextlib.contextmanager
    def hold(self, why: str, by: str) -> Iterator[None]:
        """Hold the lock for the length of the block. Raises Busy, which names the holder and what to type."""
        try:
            prepare_folder(self.path.parent)
            handle = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateError(f"The lock {self.path} cannot be taken: {error.strerror}.") from error
        try:
            if not _try_lock(handle):
                raise busy(self.environment, _read(self.path))
            self._write(handle, current_process(why, by))
            yield
        finally:
            os.close(handle)  # frees the lock

    def name(self, deploy: str, why: str, by: str) -> None:
        """Write the deploy's id beside the holder; call it only while holding the lock."""
        handle = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._write(handle, current_process(why, by, deploy))
        finally:
            os.close(handle)

    def holder(self) -> Holder | None:
        """Who holds the lock now, on whichever host; None when it is free."""
        return holder(self.path.parent, self.environment)

    def elsewhere(self) -> tuple[str, Holder | None] | None:
        """The session in a shared journal that holds the lock, and who that is; None where there is none."""
        return None

    def last_holder(self) -> Holder | None:
        """Who holds the lock, or held it last; None when nobody is known."""
        return last_holder(self.path.parent, self.environment)

    def _write(self, handle: int, who: Holder) -> None:
        text = json.dumps(asdict(who)).encode()
        os.ftruncate(handle, 0)
        os.pwrite(handle, text, 0)
        os.fsync(handle)


def _try_lock(handle: int) -> bool:
    """Lock exclusively; a few tries, because somebody may just be asking who holds it."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE)
        else:
            return True
    return False


def holder(folder: Path, environment: str) -> Holder | None:
    """Who holds the lock of ``environment`` now; None when it is free (whatever the file still says)."""
    path = folder / f"lock-{environment}"
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        # Shared: asking never keeps a deploy out for longer than this call, and two may ask at once.
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(path) or Holder(0, 0, "", "", "an unnamed process", "", "")
    else:
        return None
    finally:
        os.close(handle)


def last_holder(folder: Path, environment: str) -> Holder | None:
    """Who holds the lock of ``environment``, or held it last; None when nobody is known."""
    return _read(folder / f"lock-{environment}")


def lives(who: Holder) -> bool | None:
    """Whether exactly that process runs; None when it is one of another host, container or boot."""
    if (who.host, who.boot) != (socket.gethostname(), boot_id()):
        return None
    return alive(Identity(who.pid, who.started, who.boot))


def busy(environment: str, who: Holder | None) -> Busy:
    """The error for "another deploy runs here"."""
    if who is None:
        text = "by a process that has not written its name yet"
    else:
        deploy = f", deploy {who.deploy}" if who.deploy else ""
        text = (
            f"by {who.by} (process {who.pid} on {who.host}) since {who.since}, to {who.why}{deploy}"
        )
    return Busy(
        f"The deploy lock of {environment!r} is held {text}.",
        state="This run changed nothing; the other one goes on.",
        next_commands=(f"deployguard status --env {environment}",),
    )


def current_process(why: str, by: str, deploy: str = "") -> Holder:
    """The present process as a holder."""
    return Holder(
        pid=os.getpid(),
        started=process_started(os.getpid()),
        boot=boot_id(),
        host=socket.gethostname(),
        by=by,
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        why=why,
        deploy=deploy,
    )


def process_started(pid: int) -> int:
    """Clock ticks between boot and the process's start (proc(5), /proc/PID/stat field 22); 0 where unknown."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(text.rpartition(")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def boot_id() -> str:
    """A text that changes with each boot of this host; "" where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _read(path: Path) -> Holder | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Holder(**document)
    except (OSError, ValueError, TypeError):
        return None
