"""Two promises on the whole road: no committed row of a client is lost by itself, and no secret is shown anywhere."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.kills.arena import Arena
from tests.kills.chase import DEPLOY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_what_clients_write_before_during_and_after_each_phase_is_never_taken_back_by_itself(
    prepared: tuple[Arena, str],
) -> None:
    production, digest = prepared
    production.reset()
    production.sick.add("new")  # the way back would be a restore, which would lose what they write
    with production.clients():
        ended = production.run(*DEPLOY, "--approve", digest)
        assert ended.code == 22, ended.said
        assert "wrote since the backup" in " ".join(ended.said.split())
        again = production.run("resume")
        assert again.code == 22, again.said
        written = len(production.acknowledged)
    seen = production.database.look()
    assert seen.live is not None
    assert written > 10
    assert production.acknowledged <= seen.live.clients
    assert not seen.kept, "nothing was swapped"
    # A person orders it: then they are in the database that was kept.
    [deploy] = [one[0] for one in production.rows()]
    back = production.run("rollback", deploy, "--restore", "--confirm", deploy)
    assert back.code == 0, back.said
    assert production.judge("before old", restored=True) == ("before old", [])


def test_no_secret_is_in_an_argv_a_log_the_journal_a_manifest_or_a_summary(
    prepared: tuple[Arena, str],
) -> None:
    production, digest = prepared
    production.reset()
    assert production.server is not None
    secret = production.server.password.encode()
    seen: set[bytes] = set()
    ended = threading.Event()

    def scan() -> None:
        while not ended.is_set():
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    seen.add(path.read_bytes())
                except OSError:
                    continue

    thread = threading.Thread(target=scan)
    thread.start()
    try:
        made = production.run(*DEPLOY, "--approve", digest)
        assert made.code == 0, made.said
        name = production.rows()[0][0]
        back = production.run("rollback", name, "--restore", "--confirm", name)
        assert back.code == 0, back.said
        shown = [production.run("show", name), production.run("status", "--format", "json")]
    finally:
        ended.set()
        thread.join()
    assert any(b"pg_dump" in one for one in seen)
    assert any(b"alembic" in one for one in seen)
    assert not [one for one in seen if secret in one]
    assert not any(secret.decode() in one.said for one in (made, back, *shown))
    files = [one for one in production.folder.rglob("*") if one.is_file()]
    assert {"manifest.json", "journal.db"} <= {one.name for one in files}
    assert not [one for one in files if secret in one.read_bytes()]
