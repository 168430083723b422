"""A scratch server is reached by its owner alone, and nothing of it is left, whoever was killed."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.database import scratch
from deployguard.database.postgresql import PostgresDatabase
from tests.support.postgres import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def parent() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="scratch-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_a_scratch_server_is_there_in_the_block_and_gone_behind_it(
    parent: Path, postgres_server: Server
) -> None:
    with scratch.server(postgres_server.bin, parent, os.environ) as url:
        with PostgresDatabase(url) as database:
            assert database.server_version[0] == postgres_server.version
            assert database.check("SELECT current_setting('listen_addresses') = ''")[0]
            assert database.check("SELECT current_setting('fsync') = 'on'")[0]
        (folder,) = parent.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not list(parent.iterdir())


HANG = """
import os, sys, time
from pathlib import Path
from deployguard.database import scratch
with scratch.server(Path(sys.argv[1]), Path(sys.argv[2]), os.environ):
    print("up", flush=True)
    time.sleep(600)
"""


def test_the_server_of_a_maker_that_was_killed_is_swept_and_a_living_one_is_not(
    parent: Path, postgres_server: Server
) -> None:
    argv = [sys.executable, "-c", HANG, str(postgres_server.bin), str(parent)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as maker:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "up\n"
        (folder,) = parent.iterdir()
        server = int((folder / "data" / "postmaster.pid").read_text().splitlines()[0])
        scratch.sweep(postgres_server.bin, parent, os.environ)
        os.kill(server, 0)  # alive: its maker holds the lock
        maker.send_signal(signal.SIGKILL)
    scratch.sweep(postgres_server.bin, parent, os.environ)
    assert not list(parent.iterdir())
    for _ in range(100):
        try:
            os.kill(server, 0)
        except ProcessLookupError:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the scratch server runs on")


def test_only_a_whole_server_can_serve(tmp_path: Path, postgres_server: Server) -> None:
    assert scratch.can_serve(postgres_server.bin)
    (tmp_path / "pg_ctl").symlink_to(postgres_server.bin / "pg_ctl")
    assert not scratch.can_serve(tmp_path)


@pytest.mark.parametrize("how", ["lock", "folder", "sockets"])
def test_a_sweep_follows_no_link_that_somebody_else_has_laid(
    parent: Path, tmp_path: Path, how: str
) -> None:
    """In /tmp anybody can make a folder of such a name."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "lock").touch()
    folder = parent / "deployguard-drill-x"
    if how == "folder":
        folder.symlink_to(theirs)
    else:
        folder.mkdir()
        (folder / "sockets").symlink_to(theirs)
        if how == "lock":
            (folder / "lock").symlink_to(theirs / "lock")
        else:
            (folder / "lock").touch()
    scratch.sweep(tmp_path, parent, os.environ)
    assert (theirs / "lock").exists()
    assert folder.exists() == (how != "sockets")  # that one is ours, only its link is not followed
