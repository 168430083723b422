"""A PostgreSQL server of our own: made from local programs, reached by a socket that only its owner sees, then gone.

A drill restores into it. Whoever is killed meanwhile leaves a folder whose lock nobody holds: the next one sweeps it.
"""

import fcntl
import glob
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from psycopg import sql

from deployguard.config import DatabaseUrl
from deployguard.database import libpq
from deployguard.database.session import Session
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import Completed, require, run

USER: Final = "deployguard"
STARTING: Final = 120.0  # seconds that a server may take to start, or to stop
_PREFIX: Final = "deployguard-drill-"
_LOCK: Final = "lock"
_SOCKETS: Final = (
    "sockets"  # leads to a folder whose path is short: a socket's may have some 100 bytes
)
_SHORT: Final = "dg-"
_NEEDED: Final = ("initdb", "pg_ctl", "postgres")
_OWNERS: Final = ("postgres", "nobody")  # who runs it where we are root: PostgreSQL refuses to


def can_serve(programs: Path) -> bool:
    """Whether the folder has a whole server, not only the client's programs."""
    return all((programs / name).exists() for name in _NEEDED)


@contextmanager
def server(programs: Path, parent: Path, environ: Mapping[str, str]) -> Iterator[DatabaseUrl]:
    """A new server from the programs in a folder, its files in a new folder of ``parent``.

    Yields the URL of its database "postgres", for a superuser. Nothing listens on the network. Raises
    EnvironmentUnreachable when it cannot be made or does not start.
    """
    with place(programs, parent, environ) as folder:
        _make(programs, folder, environ)
        yield reached_by(folder, USER)


def reached_by(folder: Path, user: str, database: str = "postgres") -> DatabaseUrl:
    """The URL of the server in a folder of ``place``."""
    where = {"host": str((folder / _SOCKETS).readlink())}
    return DatabaseUrl("postgresql", username=user, database=database, query=where)


@contextmanager
def place(
    programs: Path, parent: Path, environ: Mapping[str, str], prefix: str = _PREFIX
) -> Iterator[Path]:
    """A new folder in ``parent`` for a server's ``data`` and ``log``; at the end the server and the folder are gone.

    So are, before, those of this ``prefix`` that dead makers have left.
    """
    sweep(programs, parent, environ, prefix)
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
    number = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(number, fcntl.LOCK_EX)
    try:
        sockets = Path(tempfile.mkdtemp(prefix=_SHORT))
        (folder / _SOCKETS).symlink_to(sockets)
        hand_over(folder)
        hand_over(sockets)
        yield folder
    finally:
        _end(programs, folder, environ)
        os.close(number)


def hand_over(path: Path) -> None:
    """Give a file or folder to who runs the server."""
    who = owner()
    if who is not None:
        os.chown(path, who.pw_uid, who.pw_gid, follow_symlinks=False)


def sweep(programs: Path, parent: Path, environ: Mapping[str, str], prefix: str = _PREFIX) -> None:
    """Stop and remove the servers whose makers are dead."""
    for folder in sorted(parent.glob(f"{glob.escape(prefix)}*")):
        if not _ours(folder):
            continue
        number = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _end(programs, folder, environ)
        except BlockingIOError:
            continue
        finally:
            os.close(number)


def _ours(folder: Path) -> bool:
    """Whether a folder is one that we made: in /tmp, anybody may make one of this name, with links out of it."""
    try:
        there, lock = folder.lstat(), (folder / _LOCK).lstat()
    except OSError:
        return False
    made = stat.S_ISDIR(there.st_mode) and there.st_uid in _makers()
    return made and stat.S_ISREG(lock.st_mode) and lock.st_uid == os.geteuid()


def _makers() -> set[int]:
    """Whose the folders of our servers are."""
    who = owner()
    return {os.geteuid(), *([who.pw_uid] if who else ())}


def make_roles(session: Session, wanted: Sequence[str]) -> tuple[str, ...]:
    """Make the roles that are not there; the ones that were made.

    Nobody can log in as one. Where we may, they are superusers: what an owner was allowed on the server that was
    backed up (to refresh a view of somebody's table, say) no dump tells.
    """
    with session.cursor() as cursor:
        there = {str(row[0]) for row in cursor.execute(b"SELECT rolname FROM pg_roles").fetchall()}
        made = tuple(role for role in wanted if role not in there and not role.startswith("pg_"))
        mighty = cursor.execute(b"SELECT current_setting('is_superuser') = 'on'").fetchone()
        rights = sql.SQL("SUPERUSER" if mighty and mighty[0] else "NOSUPERUSER")
        for role in made:
            cursor.execute(sql.SQL("CREATE ROLE {} {}").format(sql.Identifier(role), rights))
    return made


def drop_roles(session: Session, made: Sequence[str]) -> None:
    """Drop roles that nothing belongs to any more."""
    with session.cursor() as cursor:
        for role in made:
            cursor.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))


def initdb_argv(programs: Path, data: Path) -> list[str]:
    """Initdb of a cluster for one superuser; nobody else can reach its socket."""
    return [
        str(programs / "initdb"),
        f"--pgdata={data}",
        f"--username={USER}",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C",
    ]


def settings(folder: Path) -> str:
    """The server's own lines of postgresql.conf; what is committed is on the disk, as in production."""
    place = str((folder / _SOCKETS).readlink()).replace("'", "''")
    return (
        "listen_addresses = ''\n"
        f"unix_socket_directories = '{place}'\n"
        "unix_socket_permissions = 0700\n"
        "max_wal_size = '4GB'\n"
        "maintenance_work_mem = '256MB'\n"
        "logging_collector = off\n"
    )


def _make(programs: Path, folder: Path, environ: Mapping[str, str]) -> None:
    data, log = folder / "data", folder / "log"
    _must(execute(initdb_argv(programs, data), folder, environ), "initdb")
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(settings(folder))
    start = [str(programs / "pg_ctl"), f"--pgdata={data}", f"--log={log}", "--wait", "start"]
    started = execute(start, folder, environ)
    if not started.ok and log.exists():
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        told = [line for line in lines if "FATAL" in line] or lines or [started.why()]
        raise EnvironmentUnreachable(f"A scratch server did not start: {told[0]}")
    _must(started, "pg_ctl")


def _end(programs: Path, folder: Path, environ: Mapping[str, str]) -> None:
    data = folder / "data"
    if (data / "postmaster.pid").exists():
        stop = [str(programs / "pg_ctl"), f"--pgdata={data}", "--mode=immediate", "--wait", "stop"]
        execute(stop, folder, environ)
    with suppress(OSError):
        sockets = (folder / _SOCKETS).readlink()
        if sockets.name.startswith(_SHORT) and sockets.lstat().st_uid in _makers():
            shutil.rmtree(sockets, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def execute(
    argv: Sequence[str], folder: Path, environ: Mapping[str, str], timeout: float = STARTING
) -> Completed:
    """Run a program as who runs the server, without anything of another server in its environment."""
    around = {
        name: value
        for name, value in libpq.environment({}, environ).items()
        if not name.startswith("PG")
    }
    return run([*_as_owner(), *argv], env=around | {"LC_ALL": "C"}, cwd=folder, timeout=timeout)


def _must(done: Completed, program: str) -> None:
    if not done.ok:
        errors = [line for line in done.stderr.splitlines() if "error:" in line]
        raise EnvironmentUnreachable(
            f"A scratch server could not be made: {(errors or [f'{program}: {done.why()}'])[0]}"
        )


def owner() -> pwd.struct_passwd | None:
    """Who runs the server: we do, unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in _OWNERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise EnvironmentUnreachable(
        "PostgreSQL does not run as root, and there is no user postgres or nobody to run a scratch server."
    )


def _as_owner() -> list[str]:
    who = owner()
    if who is None:
        return []
    ids = [f"--reuid={who.pw_uid}", f"--regid={who.pw_gid}", "--clear-groups"]
    return [require("setpriv"), *ids, "--"]
