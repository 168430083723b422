"""A deploy that relies on a backup which cannot be had: exit code 20, nothing migrated, nothing listed, nothing left."""

from __future__ import annotations

import dataclasses
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

from deployguard.backups import room
from deployguard.deploy import saga
from deployguard.errors import BackupFailed
from deployguard.state import Status
from tests.deploy.fakes import Recorder
from tests.deploy.test_real_postgres import DESTROY, Postgres, approved
from tests.deploy.test_real_postgres import project as project  # noqa: PLC0414 - pytest looks for it here

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
DUMPING = "dumping contents"
LOST = "invalid snapshot identifier"  # what a worker says that comes after its session's end


class Interrupting(Recorder):
    """A reporter that does something when the dump has begun."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__()
        self.action = action

    def progress(self, text: str) -> None:
        super().progress(text)
        if DUMPING in text:
            self.action()


@contextmanager
def killed(project: Postgres, _: pytest.MonkeyPatch) -> Iterator[None]:
    """pg_dump is killed when half of its work is done."""
    with wrapped(project, "kill -KILL $$"):
        yield


@contextmanager
def cut(project: Postgres, _: pytest.MonkeyPatch) -> Iterator[None]:
    """pg_dump says that all is well, and its file is cut."""
    with wrapped(project, 'for f in "${last#--file=}"/*.gz; do truncate -s -9 "$f"; done'):
        yield


@contextmanager
def wrapped(project: Postgres, then: str) -> Iterator[None]:
    folder, real = project.folder / "bin", project.server.bin
    folder.mkdir()
    for name in ("pg_restore", "pg_dumpall", "psql"):
        (folder / name).symlink_to(real / name)
    (folder / "pg_dump").write_text(
        f"""#!/bin/sh
case "$*" in *--snapshot=*) ;; *) exec {real}/pg_dump "$@";; esac
for last; do :; done
{real}/pg_dump "$@" || exit
{then}
"""
    )
    (folder / "pg_dump").chmod(0o755)
    toml = project.folder / "deployguard.toml"
    text = toml.read_text()
    toml.write_text(text.replace(f'pg_bin = "{real}"', f'pg_bin = "{folder}"'))
    yield
    toml.write_text(text)


@contextmanager
def mounted(project: Postgres, size: str) -> Iterator[None]:
    folder = project.folder / ".deployguard" / "backups"
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], check=True)
    try:
        yield
        assert nothing_left(project)  # it is looked at while it is there
    finally:
        subprocess.run(["umount", folder], check=True)


@contextmanager
def too_small(project: Postgres, _: pytest.MonkeyPatch) -> Iterator[None]:
    """The disk has no room, which is seen before anything begins."""
    with mounted(project, "1m"):
        yield


@contextmanager
def full(project: Postgres, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """The disk fills up while it is written to."""
    noise = "string_agg(sha512((i || ':' || j)::text::bytea)::text, '')"
    rows = f"SELECT {noise} FROM generate_series(1, 20) i, generate_series(1, 300) j GROUP BY i"
    project.query(f"CREATE TABLE noise AS {rows}")
    with mounted(project, "256k"), patch.context() as only:
        only.setattr(room, "need", lambda *_: None)
        yield


@contextmanager
def unflushed(_: Postgres, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """The disk fails when what was written is flushed to it."""
    real = os.fsync

    def fsync(number: int) -> None:
        if "/backups/" in str(Path(f"/proc/self/fd/{number}").readlink()):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(number)

    with patch.context() as only:
        only.setattr(os, "fsync", fsync)
        yield


@contextmanager
def locked(project: Postgres, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Somebody has a table for himself, and keeps it."""
    patch.setattr("deployguard.database.session.ASKING", 500)
    with psycopg.connect(project.url.replace("+psycopg", "")) as other:
        other.execute("CREATE TABLE busy (id int)")
        other.commit()
        other.execute("LOCK TABLE busy IN ACCESS EXCLUSIVE MODE")
        yield
        other.rollback()
        other.execute("DROP TABLE busy")


@contextmanager
def disconnected(project: Postgres, _: pytest.MonkeyPatch) -> Iterator[Callable[[], object]]:
    """The server ends the connections of each try."""
    yield lambda: project.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'deployguard-backup:%'"
    )


Fault = Callable[
    [Postgres, pytest.MonkeyPatch], AbstractContextManager[Callable[[], object] | None]
]


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (killed, "signal 9"),
        (cut, "damaged|not whole|cannot read"),
        pytest.param(too_small, "not enough room for the backup", marks=AS_ROOT),
        pytest.param(full, "is full", marks=AS_ROOT),
        (unflushed, "Input/output error"),
        (locked, "lock timeout"),
        (disconnected, f"terminating connection|server closed the connection|{LOST}"),
    ],
)
def test_without_its_backup_a_deploy_changes_nothing_and_can_be_made_again(
    project: Postgres, monkeypatch: pytest.MonkeyPatch, fault: Fault, said: str
) -> None:
    project.revision("r2", *DESTROY)
    toml = project.folder / "deployguard.toml"
    toml.write_text(toml.read_text().replace("[backup]\n", "[backup]\ntries = 1\n"))
    with fault(project, monkeypatch) as action:
        world = project.world()
        if action is not None:
            world = dataclasses.replace(world, reporter=Interrupting(action))
            object.__setattr__(world.backups.site, "say", world.reporter.progress)  # type: ignore[attr-defined]
        with pytest.raises(BackupFailed, match=said) as caught:
            saga.deploy(world, approved(world))
        assert caught.value.exit_code == 20
        assert "Nothing was migrated" in caught.value.state
        [row] = world.journal.history()
        found = world.find_backup("pre-deploy", row.id)
        # One that was sealed, and could not be read back, is there to be looked at; it does not count.
        assert found is None or (fault is cut and not world.backups.verify(found).ok)
        assert row.status is Status.FAILED
        world.journal.close()
    assert fault is cut or nothing_left(project)
    assert (project.current(), project.running()) == ("r1", "old")
    assert project.query("SELECT name, size FROM rooms ORDER BY id") == "a|s\nb|m\nc|l"
    assert project.query(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'deployguard%'"
    ) in {"0", "1"}

    world = project.world()
    outcome = saga.deploy(world, approved(world))
    assert outcome.status is Status.DONE
    assert project.current() == "r2"
    assert world.find_backup("pre-deploy", outcome.deploy) is not None
    world.journal.close()


def nothing_left(project: Postgres) -> bool:
    folder: Path = project.folder / ".deployguard" / "backups"
    folder.mkdir(parents=True, exist_ok=True)
    return {path.name for path in folder.iterdir()} <= {".busy", ".gitignore"}
