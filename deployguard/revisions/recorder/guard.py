"""Shut the doors: a bare environment, no network, no real database file, nothing written by a revision."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .channel import Channel, Limit, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

# What a program needs to run at all; everything else may be a secret.
_KEPT = re.compile(
    r"^(PATH|HOME|USER|LOGNAME|SHELL|TERM|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|PWD|VIRTUAL_ENV|CONDA_PREFIX|LD_LIBRARY_PATH"
    r"|PYTHON(PATH|HOME|DONTWRITEBYTECODE|UTF8|IOENCODING|HASHSEED|WARNINGS|UNBUFFERED|NOUSERSITE)"
    r"|ALEMBIC_CONFIG|FLASK_APP|DJANGO_SETTINGS_MODULE)$"
)
_DATABASE = re.compile(
    r"^(postgres(ql)?|mysql|mariadb|oracle|mssql|cockroachdb|redshift)(\+\w+)?://"
)
_SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|PWD|AUTH|SALT|DSN", re.IGNORECASE)
_IN_URL = re.compile(r"://[^:/@\s]*:([^@/\s]+)@")
_SHORTEST = 5  # what is shorter is a word of every text
_NETWORK = frozenset(
    ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.gethostbyname")
)
_PROGRAMS = frozenset(
    ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
)
_CHANGES = frozenset(
    (
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.mkdir",
        "os.truncate",
        "os.chmod",
        "os.link",
        "os.symlink",
    )
)


def scrub(request: dict[str, Any]) -> tuple[str, ...]:
    """Leave only what the request names in the environment, with the database's address replaced.

    Returns the secrets that stay in it because env.py needs them: nothing of them may be reported.
    """
    kept = set(request["keep"])
    for name in list(os.environ):
        if name not in kept and not _KEPT.match(name):
            del os.environ[name]
        elif _DATABASE.match(os.environ[name]):
            os.environ[name] = request["url"]
    if request["url_env"]:
        os.environ[request["url_env"]] = request["url"]
    secrets: set[str] = set()
    for name in kept & set(os.environ):
        value = os.environ[name]
        secrets.update(_IN_URL.findall(value))
        if _SECRET_NAME.search(name):
            secrets.add(value)
    return tuple(sorted((one for one in secrets if len(one) >= _SHORTEST), key=len, reverse=True))


class _Doors:
    """The audit hook: refuses what would reach out of the process, and reports when a revision tried."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.busy = False
        homes = (sys.prefix, sys.base_prefix, os.path.dirname(os.__file__))
        roots = {os.path.realpath(path) for path in homes}
        self.ours = (*roots, "/proc/", "/dev/", "/usr/share/")

    def __call__(self, event: str, args: tuple[Any, ...]) -> None:
        if self.busy:
            return
        if event in _NETWORK:
            self._refuse("the network", ConnectionRefusedError, "there is no network")
        if event == "sqlite3.connect" and not _in_memory(str(args[0])):
            self._refuse("a SQLite file", PermissionError, "the database file stays closed")
        if self.channel.revision:
            self._inside(event, args)

    def _inside(self, event: str, args: tuple[Any, ...]) -> None:
        if event in _PROGRAMS:
            self._refuse("another program", PermissionError, "no programs are started")
        if event in _CHANGES:
            self._refuse("files", PermissionError, "no files are changed")
        if event == "open" and isinstance(args[0], (str, bytes)):
            self._opened(os.path.realpath(os.fsdecode(args[0])), args[1])

    def _opened(self, name: str, mode: Any) -> None:
        if isinstance(mode, str) and any(letter in mode for letter in "wax+"):
            if name != os.devnull:
                self._refuse(
                    f"the file {os.path.basename(name)}", PermissionError, "no files are changed"
                )
        elif not name.endswith((".py", ".pyc", ".so", ".pth")) and not name.startswith(self.ours):
            self._tell(f"the file {os.path.basename(name)}")

    def _tell(self, what: str) -> None:
        self.busy = True
        try:
            self.channel.tell("outside", what=what)
        finally:
            self.busy = False

    def _refuse(self, what: str, kind: type[OSError], why: str) -> None:
        self._tell(what)
        raise kind(f"deployguard only reads this migration: {why}")


def _in_memory(database: str) -> bool:
    return database in ("", ":memory:") or "mode=memory" in database


def install(channel: Channel) -> None:
    """Close the doors, for good: an audit hook cannot be removed."""
    sys.addaudithook(_Doors(channel))
    _silence_logs(channel)


def _silence_logs(channel: Channel) -> None:
    """No log file is opened, and env.py does not fail for a handler or a folder that only production has."""
    import logging.config

    def tolerant(original: Any) -> Any:
        def configure(*args: Any, **options: Any) -> None:
            try:
                original(*args, **options)
            except Exception as error:  # whatever a handler of the project's raises
                why = describe(error)
                channel.note(
                    f"The logging that env.py sets up did not work here, and was left out: {why}"
                )

        return configure

    def nowhere(_self: Any) -> Any:
        return io.StringIO()

    # Its method opens the file, whichever kind of file handler it is.
    logging.FileHandler._open = nowhere  # type: ignore[method-assign, assignment]  # no file
    for name in ("fileConfig", "dictConfig"):
        setattr(logging.config, name, tolerant(getattr(logging.config, name)))


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise Limit in the code below when it takes longer, again and again until it gives up."""

    def ring(_signal: int, _frame: object) -> None:
        raise Limit(f"no end after {seconds:g} seconds")

    former = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, 0.5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
