"""A real MariaDB server for the tests that prove what MySQL's online DDL does; Debian's mariadb-server-core has it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb")
START_SECONDS = 30


def missing() -> str | None:
    """Why no server can be started here; None when one can."""
    absent = [name for name in PROGRAMS if _program(name) is None]
    return f"no {', '.join(absent)} on this machine" if absent else None


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")


@dataclass(frozen=True, slots=True)
class Server:
    """A running server that listens on a socket only."""

    socket: Path

    def run(self, *statements: str) -> str:
        """Runs the statements, each in autocommit; what the server says against them, "" for nothing."""
        done = self._client(statements)
        return "" if done.returncode == 0 else done.stderr.strip()

    def ask(self, *statements: str) -> str:
        """What the statements return, as tab-separated lines; "" where the server refuses."""
        return self._client(statements).stdout

    def _client(self, statements: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [
                str(_program("mariadb")),
                "--no-defaults",
                f"--socket={self.socket}",
                "--user=root",
                "--batch",
                "--binary-mode",  # no command of the client's own behind a backslash
            ],
            input=";\n".join(statements),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@contextlib.contextmanager
def running() -> Iterator[Server]:
    """A server of its own in a folder of its own, gone afterwards; three seconds to start."""
    # A socket's path may have 107 characters only, so pytest's folders won't do.
    folder = Path(tempfile.mkdtemp(prefix="maria-"))
    user = ["--user=root"] if os.geteuid() == 0 else []
    common = ["--no-defaults", f"--datadir={folder / 'data'}", *user]
    install = [
        str(_program("mariadb-install-db")), *common, "--auth-root-authentication-method=normal",
        "--skip-test-db",
    ]  # fmt: skip
    subprocess.run(install, check=True, capture_output=True, timeout=60)
    server = Server(folder / "s")
    daemon = [
        str(_program("mariadbd")), *common, f"--socket={server.socket}", "--skip-networking",
        f"--pid-file={folder / 'pid'}", "--innodb-buffer-pool-size=16M",
        "--innodb-flush-log-at-trx-commit=0", "--skip-log-bin", "--debug-no-sync",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(daemon, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        _wait(server, process, folder / "log")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def _wait(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while server.run("SELECT 1"):
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"mariadbd did not start: {log.read_text()[-2000:]}")
        time.sleep(0.1)
