"""The commands with the journal in a PostgreSQL database that several hosts share."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deployguard.cli.main import run
from tests.cli.conftest import MakeBookings
from tests.support.postgres import Server

CANARY = "canary-9184"
STATE = '[state]\nurl_env = "STATE_URL"\npatience = 0\n'
TARGET = (
    '[target]\nkind = "commands"\n'
    'update = [["sh", "-c", "env > seen-env; cat /proc/[0-9]*/cmdline > seen-ps; true"]]\n'
)


@pytest.fixture
def state_url(
    postgres_server: Server, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> str:
    """The journal's database, opened by a role whose password must turn up nowhere."""
    name = postgres_database.rpartition("/")[2]
    role = f"keeper_{name[-6:]}"
    postgres_server.sql(f"CREATE ROLE {role} LOGIN PASSWORD '{CANARY}'")
    postgres_server.sql(f'GRANT ALL ON DATABASE "{name}" TO {role}')
    url = f"postgresql://{role}:{CANARY}@127.0.0.1:{postgres_server.port}/{name}"
    monkeypatch.setenv("STATE_URL", url)
    return url


def test_a_deploy_is_journaled_in_the_shared_database_and_its_password_turns_up_nowhere(
    make_bookings: MakeBookings, state_url: str, postgres_server: Server
) -> None:
    bookings = make_bookings("b014")
    bookings.configure(STATE + TARGET)
    done = bookings.deployguard("deploy", "--auto-migrate", "--by", f"ann {CANARY}", "-vv")
    assert done.code == 0, done.err
    assert bookings.revision == "b014"
    assert not (bookings.folder / ".deployguard" / "journal.db").exists()
    history = bookings.deployguard("history", "--format", "json")
    [row] = json.loads(history.out)["deploys"]
    assert row["state"] == "done"
    show = bookings.deployguard("show", "-vv", row["id"])
    status = bookings.deployguard("status")
    assert (show.code, status.code) == (0, 0)
    name = state_url.rpartition("/")[2]
    kept = "".join(
        postgres_server.sql(f"SELECT * FROM deployguard.{table}", name)
        for table in ("deploys", "events", "approvals", "holders", "meta")
    )
    assert row["id"] in kept
    files = [p.read_bytes() for p in (bookings.folder / ".deployguard").rglob("*") if p.is_file()]
    seen = [(bookings.folder / f"seen-{what}").read_bytes() for what in ("env", "ps")]
    said = [a.out + a.err for a in (done, history, show, status)]
    for text in (*files, *seen, kept.encode(), *(s.encode() for s in said)):
        assert CANARY.encode() not in text
    assert b"STATE_URL" not in seen[0]


def test_a_journal_that_is_not_there_stops_a_deploy_before_anything_and_names_no_password(
    make_bookings: MakeBookings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bookings = make_bookings("b014")
    bookings.configure(STATE)
    monkeypatch.setenv("STATE_URL", f"postgresql://ann:{CANARY}@127.0.0.1:1/x")
    for command in (("deploy", "--auto-migrate"), ("history",), ("resume",)):
        answer = bookings.deployguard(*command)
        assert answer.code == 3, answer
        assert "cannot be used" in answer.err
        assert CANARY not in answer.out + answer.err
    assert bookings.revision == "b013"
    monkeypatch.delenv("STATE_URL")
    assert bookings.deployguard("deploy", "--auto-migrate").code == 2
    assert bookings.revision == "b013"


@pytest.fixture
def on_postgres(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str]:
    """A project whose own database is on PostgreSQL; its journal's is to be named by the test."""
    (tmp_path / "deployguard.toml").write_text(
        f'{STATE}[project]\nname = "b"\n[environments.production]\ndatabase_url_env = "DATABASE_URL"\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", postgres_database)
    return tmp_path, postgres_database


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("hidden", [False, True])
def test_a_journal_in_the_database_that_is_deployed_to_is_refused_whatever_its_address(
    on_postgres: tuple[Path, str],
    postgres_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    host: str,
    *,
    hidden: bool,
) -> None:
    _, url = on_postgres
    name = url.rpartition("/")[2]
    if hidden:  # as on hosts that tell nobody the number of their server
        monkeypatch.setattr("deployguard.database.nearness.server_identifier", lambda cursor: None)
    monkeypatch.setenv("STATE_URL", url.replace("127.0.0.1", host))
    assert run(("deploy", "--skip-migrate")) == 2
    assert "leads to the database that is deployed to" in capsys.readouterr().err
    made = postgres_server.sql("SELECT nspname FROM pg_namespace", name)
    assert "deployguard" not in made


def test_another_database_of_the_same_server_will_do(
    on_postgres: tuple[Path, str],
    postgres_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder, url = on_postgres
    name = f"{url.rpartition('/')[2][:40]}_state"
    monkeypatch.setenv("STATE_URL", postgres_server.create_database(name))
    try:
        assert run(("deploy", "--skip-migrate")) == 0, capsys.readouterr().err
        text = (folder / "deployguard.toml").read_text()
        (folder / "deployguard.toml").write_text(
            text + '[backup]\nstore = "rds"\n[rds]\ninstance = "one"\n'
        )
        assert run(("deploy", "--skip-migrate")) == 2
        assert "A snapshot holds the whole instance" in " ".join(capsys.readouterr().err.split())
    finally:
        postgres_server.drop_database(name)


def test_while_the_database_cannot_be_asked_no_journal_is_made(
    on_postgres: tuple[Path, str],
    postgres_server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _, url = on_postgres
    monkeypatch.setenv("STATE_URL", url)
    monkeypatch.setenv("DATABASE_URL", "postgresql://ann:pw@127.0.0.1:1/x")
    assert run(("deploy", "--skip-migrate")) == 3
    assert "cannot be asked" in capsys.readouterr().err
    made = postgres_server.sql("SELECT nspname FROM pg_namespace", url.rpartition("/")[2])
    assert "deployguard" not in made


HOLD = """
import socket, sys, time
socket.gethostname = lambda: "web2"
from pathlib import Path
from deployguard.config import parse_url
from deployguard.state import EventKind, Journal, Kind
from deployguard.state.postgresql import PostgresStore
from deployguard.state.shared_lock import SharedLock
import os
store = PostgresStore(
    parse_url(os.environ["STATE_URL"], "x"), project="bookings", apart=lambda *_: True
)
lock, journal = SharedLock(Path(sys.argv[1]), "production", store), Journal(store)
with lock.hold("deploy", "bob"):
    run = journal.begin("production", Kind.DEPLOY, "bob")
    lock.name(run.id, "deploy", "bob")
    journal.record(run.id, "migrate", EventKind.INTENT)
    print(run.id, flush=True)
    time.sleep(600)
"""


def test_a_deploy_of_another_host_is_seen_and_is_not_unlocked_while_it_lives(
    make_bookings: MakeBookings, state_url: str, tmp_path: Path, postgres_server: Server
) -> None:
    bookings = make_bookings("b014")
    bookings.configure(STATE)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "web2")], stdout=subprocess.PIPE, text=True
    ) as other:
        try:
            assert other.stdout is not None
            name = other.stdout.readline().strip()
            status, unlock = bookings.deployguard("status"), bookings.deployguard("unlock")
            deploy = bookings.deployguard("deploy", "--auto-migrate")
            resume = bookings.deployguard("resume")
        finally:
            other.kill()
    assert {a.code for a in (status, unlock, deploy, resume)} == {23}
    who = f"bob (process {other.pid} on web2)"
    said = " ".join(status.out.split())
    assert who in said
    assert f"to deploy {name}, at step migrate since" in said
    assert "gone" not in said  # nobody says that it was cut off
    for answer in (unlock.out, deploy.err, resume.err):
        assert who in " ".join(answer.split())
    assert "shared journal held" in " ".join(unlock.out.replace(":", "").split())
    assert "# on web2" in unlock.err
    assert bookings.revision == "b013"
    # Once the server has seen it die, its work is unfinished, and every host knows it.
    name_of_server = state_url.rpartition("/")[2]
    query = f"SELECT count(*) FROM pg_locks JOIN pg_database d ON d.oid = database WHERE locktype = 'advisory' AND datname = '{name_of_server}'"
    while postgres_server.sql(query) != "0":
        time.sleep(0.05)
    status, deploy = bookings.deployguard("status"), bookings.deployguard("deploy")
    assert (status.code, deploy.code) == (23, 23)
    assert "is gone" in " ".join(status.out.split())
    assert name in deploy.err
