"""The connection to a shared journal is lost at every moment of a write: the event is there once, or we are told."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.errors import Busy
from deployguard.state import EventKind, Journal, Kind, StateError, Status
from deployguard.state.postgresql import PostgresStore
from deployguard.state.shared_lock import SharedLock
from tests.state.conftest import shared
from tests.support.postgres import Server
from tests.support.tcp import Cut, Way, way


@pytest.fixture
def net(postgres_server: Server) -> Iterator[Way]:
    with way(postgres_server.port) as made:
        yield made


def through(net: Way, url: str, **options: object) -> PostgresStore:
    return shared(url.replace(f":{net.target}/", f":{net.port}/"), **options)


def _steps(journal: Journal, run: str) -> list[str]:
    return [event.step for event in journal.events(run)]


@pytest.mark.parametrize("how", [Cut.BEFORE, Cut.AFTER, Cut.LATE])
def test_an_event_whose_commit_was_lost_is_there_exactly_once(
    net: Way, postgres_database: str, how: Cut
) -> None:
    journal = Journal(through(net, postgres_database))
    run = journal.begin("production", Kind.DEPLOY, "ann")
    journal.record(run.id, "one", EventKind.INTENT)
    net.cut(b"INSERT INTO events", how)
    journal.record(run.id, "two", EventKind.INTENT)
    net.late.set()
    journal.record(run.id, "three", EventKind.INTENT)
    assert net.sprung == 1
    assert _steps(journal, run.id) == ["one", "two", "three"]
    journal.close()


@pytest.mark.parametrize("how", [Cut.BEFORE, Cut.AFTER, Cut.LATE])
def test_a_run_whose_begin_was_lost_is_there_exactly_once(
    net: Way, postgres_database: str, how: Cut
) -> None:
    journal = Journal(through(net, postgres_database))
    journal.begin("staging", Kind.DEPLOY, "ann")
    net.cut(b"INSERT INTO deploys", how)
    run = journal.begin("production", Kind.DEPLOY, "ann")
    net.late.set()
    assert net.sprung == 1
    assert journal.history("production") == (run,)
    journal.close()


def test_a_status_that_arrives_late_does_not_undo_a_later_one(
    net: Way, postgres_database: str
) -> None:
    journal = Journal(through(net, postgres_database))
    run = journal.begin("production", Kind.DEPLOY, "ann")
    net.cut(b"UPDATE deploys", Cut.LATE)
    journal.set_status(run.id, Status.RUNNING, "resumed")
    journal.set_status(run.id, Status.DONE, "done")
    net.late.set()
    assert net.arrived.wait(60)
    assert journal.get(run.id).status is Status.DONE
    journal.close()


def test_a_server_that_says_nothing_counts_as_lost(net: Way, postgres_database: str) -> None:
    said: list[str] = []
    store = through(net, postgres_database, waiting=said.append)
    store._lasting._silence = 1.0
    journal = Journal(store)
    run = journal.begin("production", Kind.DEPLOY, "ann")
    net.cut(b"INSERT INTO events", Cut.SILENCE)
    journal.record(run.id, "one", EventKind.INTENT)
    assert _steps(journal, run.id) == ["one"]
    assert net.sprung == 1
    assert len(said) == 1
    assert "does not answer" in said[0]
    journal.close()


def test_a_server_that_comes_back_within_the_patience_is_waited_for(
    net: Way, postgres_database: str
) -> None:
    journal = Journal(through(net, postgres_database))
    run = journal.begin("production", Kind.DEPLOY, "ann")
    net.close()
    threading.Timer(1.5, net.open).start()
    journal.record(run.id, "one", EventKind.INTENT)
    assert _steps(journal, run.id) == ["one"]
    journal.close()


def test_a_server_that_stays_away_is_told_after_the_patience(
    net: Way, postgres_database: str
) -> None:
    journal = Journal(through(net, postgres_database, patience=0.5))
    run = journal.begin("production", Kind.DEPLOY, "ann")
    net.close()
    with pytest.raises(StateError, match="cannot be used"):
        journal.record(run.id, "one", EventKind.INTENT)
    net.open()
    assert _steps(journal, run.id) == []
    journal.close()


def test_the_lock_is_taken_again_with_the_connection(
    net: Way, postgres_database: str, tmp_path: Path
) -> None:
    store = through(net, postgres_database)
    other = SharedLock(tmp_path / "other", "production", shared(postgres_database))
    with SharedLock(tmp_path / "here", "production", store).hold("deploy", "ann"):
        for how in (Cut.BEFORE, Cut.AFTER):
            net.cut(b"INSERT INTO holders", how)
            store.rewrite("production", '{"by": "ann"}')
            with pytest.raises(Busy), other.hold("deploy", "bob"):
                pass
    assert net.sprung == 2
    with other.hold("deploy", "bob"):
        pass
    other.store.close()
    store.close()


def test_who_lost_the_lock_meanwhile_writes_nothing_more(
    net: Way, postgres_server: Server, postgres_database: str, tmp_path: Path
) -> None:
    store = through(net, postgres_database)
    journal = Journal(store)
    other = SharedLock(tmp_path / "other", "production", shared(postgres_database))
    with SharedLock(tmp_path / "here", "production", store).hold("deploy", "ann"):
        run = journal.begin("production", Kind.DEPLOY, "ann")
        net.close()
        postgres_server.sql(  # the server, too, sees that the connection is gone
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = "
            f"'{postgres_database.rpartition('/')[2]}'"
        )
        with other.hold("resume", "bob"):
            net.open()
            with pytest.raises(StateError, match="another process took the deploy lock"):
                journal.record(run.id, "one", EventKind.INTENT)
        with pytest.raises(StateError, match="another process took the deploy lock"):
            journal.record(run.id, "two", EventKind.INTENT)
    assert _steps(Journal(other.store), run.id) == []
    other.store.close()
    store.close()
