"""The journal keeps what it was told, whatever happens next."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from deployguard.errors import UsageError
from deployguard.model import Approval
from deployguard.state import (
    UNFINISHED,
    EventKind,
    Journal,
    Kind,
    StateError,
    Status,
    prepare_folder,
)
from deployguard.state.schema import MIGRATIONS
from tests.state.conftest import Place

NOW = datetime(2026, 2, 18, 10, 30, tzinfo=UTC)


@pytest.fixture
def journal(place: Place) -> Iterator[Journal]:
    journal = place.journal(clock=lambda: NOW)
    yield journal
    journal.close()


def test_a_new_run_is_named_by_its_time_and_is_running(journal: Journal) -> None:
    deploy = journal.begin("production", Kind.DEPLOY, "ann", {"mode": "auto"})
    assert deploy.id.startswith("20260218-103000-")
    assert journal.get(deploy.id) == deploy
    assert deploy.status is Status.RUNNING
    assert journal.unfinished("production") == deploy
    assert journal.unfinished("staging") is None


def test_events_come_back_in_order_with_their_evidence(journal: Journal) -> None:
    deploy = journal.begin("production", Kind.DEPLOY, "ann")
    journal.record(deploy.id, "backup", EventKind.INTENT)
    journal.record(deploy.id, "backup", EventKind.DONE, {"files": ["a"], "bytes": 3})
    events = journal.events(deploy.id)
    assert [(e.step, e.kind, dict(e.evidence)) for e in events] == [
        ("backup", EventKind.INTENT, {}),
        ("backup", EventKind.DONE, {"files": ["a"], "bytes": 3}),
    ]
    assert all(event.at == NOW for event in events)


@pytest.mark.parametrize("status", list(Status))
def test_only_finished_runs_have_an_end(journal: Journal, status: Status) -> None:
    deploy = journal.begin("production", Kind.DEPLOY, "ann")
    journal.set_status(deploy.id, status, "so it went")
    kept = journal.get(deploy.id)
    assert kept.summary == "so it went"
    assert (kept.finished is None) == (status in UNFINISHED)
    assert (journal.unfinished("production") is not None) == (status in UNFINISHED)


def test_history_is_newest_first_and_by_environment(journal: Journal) -> None:
    first = journal.begin("production", Kind.DEPLOY, "ann")
    second = journal.begin("staging", Kind.DEPLOY, "ann")
    third = journal.begin("production", Kind.ROLLBACK, "ann")
    assert [d.id for d in journal.history("production")] == [third.id, first.id]
    assert [d.id for d in journal.history()] == [third.id, second.id, first.id]
    assert [d.id for d in journal.history(limit=1)] == [third.id]


def test_history_is_filtered_by_how_a_run_stands_and_when_it_began(place: Place) -> None:
    clock = iter(NOW + timedelta(days=day) for day in (0, 0, 1, 1, 2, 2))
    journal = place.journal(clock=lambda: next(clock))
    runs = []
    for status in (Status.DONE, Status.ROLLED_BACK, Status.DONE):
        runs.append(journal.begin("production", Kind.DEPLOY, "ann").id)
        journal.set_status(runs[-1], status)
    first, second, third = runs

    def found(**wanted: object) -> list[str]:
        return [run.id for run in journal.history("production", **wanted)]

    assert found(status=Status.DONE) == [third, first]
    assert found(since=NOW + timedelta(days=1)) == [third, second]
    assert found(since=NOW + timedelta(days=1), status=Status.ROLLED_BACK) == [second]
    zone = timezone(timedelta(hours=5))  # the same moment, in other words
    assert found(since=(NOW + timedelta(days=1)).astimezone(zone)) == [third, second]
    assert journal.history(status=Status.FAILED) == ()
    journal.close()


def test_a_run_is_found_by_either_end_of_its_id(journal: Journal) -> None:
    first = journal.begin("production", Kind.DEPLOY, "ann")
    second = journal.begin("production", Kind.DEPLOY, "ann")
    assert journal.find(first.id[-4:]) == first
    assert journal.find(second.id) == second
    with pytest.raises(UsageError, match="several"):
        journal.find("20260218")
    with pytest.raises(UsageError, match="No deploy"):
        journal.find("%")


def test_approvals_are_kept_for_their_plan(journal: Journal) -> None:
    approval = Approval("ab" * 32, "ann", "looked at it", NOW, NOW + timedelta(hours=24))
    journal.approve("production", approval)
    assert journal.approvals("ab" * 32) == (approval,)
    assert journal.approvals("cd" * 32) == ()


def test_no_secret_is_kept(place: Place, tmp_path: Path) -> None:
    journal = place.journal(redact=lambda text: text.replace('s"ö', "***"))
    deploy = journal.begin("production", Kind.DEPLOY, 's"ö', {"list": ['s"ö']})
    journal.record(deploy.id, "x", EventKind.NOTE, {"deep": [{"url": 'p://u:s"ö@h'}]})
    journal.set_plan(deploy.id, "d", {"text": 's"ö'})
    journal.set_status(deploy.id, Status.DONE, 's"ö')
    journal.approve("production", Approval("d", 's"ö', 's"ö', NOW))
    assert journal.events(deploy.id)[0].evidence == {"deep": [{"url": "p://u:***@h"}]}
    everything = [
        journal.store.rows(f"SELECT * FROM {t}") for t in ("deploys", "events", "approvals")
    ]
    assert all(everything)
    assert "ö" not in str(everything)
    journal.close()
    for file in (tmp_path / "state").glob("*"):
        content = file.read_bytes()
        assert 's"ö'.encode() not in content
        assert b"\\u00f6" not in content


def test_the_files_are_private(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        journal = Journal(tmp_path / "state" / "journal.db")
        journal.begin("production", Kind.DEPLOY, "ann")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    modes = {
        f.name: stat.S_IMODE(f.stat().st_mode) for f in (tmp_path / "state").glob("journal.db*")
    }
    assert set(modes.values()) == {0o600}, modes
    assert (tmp_path / "state" / ".gitignore").read_text() == "*\n"
    journal.close()


def test_every_event_is_written_through_to_the_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.db")
    journal.begin("production", Kind.DEPLOY, "ann")
    [(mode,)] = journal.store.rows("PRAGMA journal_mode")
    [(synchronous,)] = journal.store.rows("PRAGMA synchronous")
    assert (mode, synchronous) == ("wal", 2)
    journal.close()


def test_a_newer_state_file_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as sql:
        sql.execute("PRAGMA user_version = 999")
    sql.close()
    with pytest.raises(StateError, match="newer deployguard"):
        Journal(path).history()


def test_a_damaged_state_file_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(b"this is no database" * 500)
    with pytest.raises(StateError, match="not a usable state file"):
        Journal(path).history()


def test_a_state_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be written"):
        Journal(tmp_path / "file" / "journal.db").history()


def test_an_event_that_was_recorded_survives_kill_9(place: Place) -> None:
    script = f"""
import os, signal
from pathlib import Path
from deployguard.state import EventKind, Journal, Kind
{place.code}
deploy = journal.begin("production", Kind.DEPLOY, "ann")
journal.record(deploy.id, "migrate", EventKind.INTENT, {{"n": 1}})
os.kill(os.getpid(), signal.SIGKILL)
"""
    child = subprocess.run([sys.executable, "-c", script], check=False, env=place.environ)
    assert child.returncode == -signal.SIGKILL
    journal = place.journal()
    deploy = journal.unfinished("production")
    assert [(e.step, e.kind) for e in journal.events(deploy.id)] == [("migrate", EventKind.INTENT)]
    journal.close()


def test_several_processes_write_at_once(place: Place) -> None:
    script = f"""
from pathlib import Path
from deployguard.state import EventKind, Journal, Kind
{place.code}
deploy = journal.begin("production", Kind.DEPLOY, "ann")
for n in range(100):
    journal.record(deploy.id, "step", EventKind.NOTE, {{"n": n}})
"""
    children = [
        subprocess.Popen([sys.executable, "-c", script], env=place.environ) for _ in range(3)
    ]
    assert [child.wait() for child in children] == [0, 0, 0]
    journal = place.journal()
    assert len(journal.history()) == 3
    for deploy in journal.history():
        assert [e.evidence["n"] for e in journal.events(deploy.id)] == list(range(100))
    journal.close()


def test_a_run_says_where_it_was_begun(place: Place) -> None:
    journal = place.journal(host="web1")
    assert journal.get(journal.begin("production", Kind.DEPLOY, "ann").id).host == "web1"
    journal.close()


def test_a_journal_that_was_never_written_is_empty(place: Place) -> None:
    journal = place.journal()
    assert journal.history() == ()
    assert journal.unfinished("production") is None
    assert journal.last_done("d", "arm", other_than="x") is None
    journal.close()


def test_a_state_file_of_the_first_format_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with sqlite3.connect(path) as sql:
        sql.executescript(MIGRATIONS[0])
        sql.execute("PRAGMA user_version = 1")
        sql.execute(
            "INSERT INTO deploys (id, environment, kind, started, by, status) "
            f"VALUES ('old', 'production', 'deploy', '{NOW.isoformat()}', 'ann', 'done')"
        )
        sql.execute(
            "INSERT INTO events (deploy, at, step, kind) VALUES ('old', ?, 'lock', 'done')",
            (NOW.isoformat(),),
        )
    sql.close()
    journal = Journal(path)
    journal.record("old", "close", EventKind.NOTE)
    assert journal.get("old").host == ""
    assert [event.step for event in journal.events("old")] == ["lock", "close"]
    journal.close()


def test_paths_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    journal = Journal(Path(".deployguard/journal.db"))
    journal.begin("development", Kind.DEPLOY, "ann")
    journal.close()
    assert (tmp_path / ".deployguard" / "journal.db").is_file()


def test_the_state_folder_is_ignored_by_git_whoever_made_it(tmp_path: Path) -> None:
    folder = tmp_path / ".deployguard"
    prepare_folder(folder / "backups")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "backups" / ".gitignore").read_text() == "*\n"
    prepare_folder(folder)
    assert (folder / ".gitignore").read_text() == "*\n"
