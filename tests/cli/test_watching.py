"""``deployguard watch`` on a real server: one look, a live view, and what it says where there is nothing to see."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from deployguard.cli.main import run
from tests.cli.conftest import MakeBookings

NAME = "deployguard:20260218-103000-ab12"
CONFIG = """
[project]
name = "bookings"
[watch]
interval = 0.1
[environments.production]
database_url_env = "DATABASE_URL"
"""
PATIENCE = 60.0
COMMAND = (sys.executable, "-m", "deployguard", "watch")


@pytest.fixture
def url(tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "deployguard.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", postgres_database)
    with psycopg.connect(postgres_database) as link:
        link.execute("CREATE TABLE rooms (id int)")
    return postgres_database


@contextmanager
def blocked(url: str, name: str = NAME) -> Iterator[None]:
    """A reader in an open transaction, a migration that waits for it, and a reader behind that."""
    with ExitStack() as stack:
        holder = stack.enter_context(psycopg.connect(url, application_name="worker"))
        holder.execute("SELECT * FROM rooms")
        threads = []
        for number, (one, statement) in enumerate(
            ((name, "ALTER TABLE rooms ADD colour text"), ("web", "SELECT * FROM rooms")), 1
        ):
            link = psycopg.connect(url, application_name=one, autocommit=True)
            thread = threading.Thread(target=link.execute, args=(statement.encode(),))
            thread.start()
            threads.append((thread, link))
            until(lambda number=number: waiting(url) == number)  # type: ignore[misc]
        try:
            yield
        finally:
            holder.rollback()
            for thread, link in threads:
                thread.join(PATIENCE)
                link.close()


def waiting(url: str) -> int:
    with psycopg.connect(url) as link:
        row = link.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND cardinality(pg_blocking_pids(pid)) > 0"
        ).fetchone()
        assert row is not None
        return int(row[0])


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_one_look_shows_who_waits_for_whom(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with blocked(url):
        assert run(("watch", "--once")) == 0
        text = capsys.readouterr().out
        assert run(("watch", "--format", "json")) == 0
        document = json.loads(capsys.readouterr().out)
    for words in (
        NAME,
        "AccessExclusiveLock on rooms",
        "(worker, idle in",
        "1 session waits behind it",
        "invalid",
    ):
        assert words in text
    assert document["schema"] == "deployguard.watch/1"
    (ours,) = document["migration"]
    assert (ours["application"], ours["lock_mode"]) == (NAME, "AccessExclusiveLock")
    assert document["queue"] == [one["pid"] for one in document["waiting"]]
    assert document["waiting"][0]["blocked_by"] == [ours["pid"]]
    assert "SELECT" not in text + str(document)


def test_others_that_keep_everybody_out_are_shown_without_a_migration_of_ours(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with blocked(url, "psql"):
        assert run(("watch", "--once")) == 0
    text = capsys.readouterr().out
    assert "No migration of deployguard's runs in this database." in text
    assert "Locks that keep everybody out" in text
    assert "psql" in text


def test_a_stream_gets_a_line_a_change_and_ctrl_c_ends_it(url: str) -> None:
    child = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        assert "no migration of deployguard's runs" in child.stdout.readline()
        with blocked(url):
            text = ""
            while "1 session" not in text:
                text += child.stdout.readline()
        assert f"{NAME}: waits" in text
        lines = [child.stdout.readline()]
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE) == 130
        lines += child.stdout.readlines()
    assert len(lines) < 10  # however often it looked


def test_a_terminal_gets_a_view_that_is_replaced(url: str) -> None:
    parent, terminal = pty.openpty()
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    child = subprocess.Popen(COMMAND, stdout=terminal, stderr=subprocess.DEVNULL, env=environ)
    os.close(terminal)
    shown = b""
    while b"No migration of deployguard's" not in shown:
        shown += os.read(parent, 65536)
    with blocked(url):
        while b"1 session waits behind it" not in shown:
            shown += os.read(parent, 65536)
    child.send_signal(signal.SIGINT)
    assert child.wait(PATIENCE) == 130
    os.close(parent)
    assert b"\x1b[1A" in shown  # up, to draw over the former view
    assert b"Ctrl-C ends" in shown


def test_a_server_that_goes_away_is_unknown_not_quiet(url: str, postgres_server: object) -> None:
    name = url.rpartition("/")[2]
    sql = postgres_server.sql  # type: ignore[attr-defined]
    child = subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    with child:
        assert "no migration" in child.stdout.readline()
        sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        assert "unknown: " in child.stdout.readline()
        sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
        while "no migration" not in child.stdout.readline():
            pass
        child.send_signal(signal.SIGINT)
        assert child.wait(PATIENCE) == 130


def test_a_server_that_does_not_answer_at_first_is_exit_code_3(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:c4nary@127.0.0.1:1/b")
    assert run(("watch", "--once")) == 3
    assert "c4nary" not in "".join(capsys.readouterr())


def test_sqlite_has_no_server_to_ask(make_bookings: MakeBookings) -> None:
    answer = make_bookings("b014").deployguard("watch")
    assert answer.code == 2
    assert "is no PostgreSQL database" in answer.err
