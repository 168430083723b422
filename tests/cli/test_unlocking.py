"""``deployguard unlock`` and what ``status`` says of a deploy that runs."""

import json
import os
import socket
from pathlib import Path

import pytest

from deployguard.cli.main import run
from deployguard.config import parse_url
from deployguard.database import connect
from deployguard.state import DeployLock, EventKind, Journal, Kind
from tests.cli.conftest import MakeBookings


def test_nothing_keeps_a_deploy_out(make_bookings: MakeBookings) -> None:
    bookings = make_bookings("b014")
    answer = bookings.deployguard("unlock")
    assert answer.code == 0, answer.err
    assert answer.out.count("free: ") == 3
    document = json.loads(bookings.deployguard("unlock", "--format", "json").out)
    assert document["schema"] == "deployguard.unlock/1"
    names = [layer["name"] for layer in document["layers"]]
    assert names == ["this host", "database server", "journal"]


def test_who_deploys_is_told_with_host_and_step_and_is_not_unlocked(
    make_bookings: MakeBookings,
) -> None:
    bookings = make_bookings("b014")
    state = bookings.folder / ".deployguard"
    lock, journal = DeployLock(state, "production"), Journal(state / "journal.db")
    with lock.hold("deploy", "ann"):
        row = journal.begin("production", Kind.DEPLOY, "ann")
        lock.name(row.id, "deploy", "ann")
        journal.record(row.id, "backup", EventKind.DONE)
        journal.record(row.id, "migrate", EventKind.INTENT)
        status = bookings.deployguard("status")
        unlock = bookings.deployguard("unlock")
    assert (status.code, unlock.code) == (23, 23)
    who = f"ann (process {os.getpid()} on {socket.gethostname()})"
    assert who in " ".join(status.out.split())
    assert f"to deploy {row.id}, at step migrate since " in " ".join(status.out.split())
    assert "the process lives" in " ".join(unlock.out.split())
    assert f"kill -INT {os.getpid()}" in unlock.err
    after = bookings.deployguard("unlock")
    assert after.code == 23
    for command in ("resume", "rollback", "close"):
        assert f"deployguard {command}" in after.err
    journal.close()


def test_a_lock_that_another_host_holds_in_the_server_shows_in_status(
    tmp_path: Path,
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "deployguard.toml").write_text(
        '[project]\nname = "b"\n[environments.production]\ndatabase_url_env = "DATABASE_URL"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", postgres_database)
    with connect(parse_url(postgres_database, "x"), directory=tmp_path) as database:
        with database.advisory_lock(database.identity()):
            assert run(("status",)) == 23
            said = " ".join(capsys.readouterr().out.split())
            assert run(("unlock",)) == 23
            refused = capsys.readouterr()
        assert run(("status",)) == 0
    assert f"process {os.getpid()} on {socket.gethostname()}" in said
    assert "held: server process" in refused.out
    assert "pg_terminate_backend" in refused.err
