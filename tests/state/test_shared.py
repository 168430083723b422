"""A journal that several hosts share: durable, one a project, nothing written by who only reads."""

import os
import subprocess
import sys

import pytest

from deployguard.errors import UsageError
from deployguard.state import EventKind, Journal, Kind, StateError
from tests.state.conftest import URL, shared
from tests.support.postgres import Server


def _schemas(server: Server, url: str) -> set[str]:
    name = url.rpartition("/")[2]
    return set(server.sql("SELECT nspname FROM pg_namespace", name).splitlines())


def test_every_commit_waits_for_the_disk_whatever_the_server_says(
    postgres_server: Server, postgres_database: str
) -> None:
    name = postgres_database.rpartition("/")[2]
    postgres_server.sql(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    journal = Journal(shared(postgres_database))
    journal.begin("production", Kind.DEPLOY, "ann")
    assert journal.store.rows("SHOW synchronous_commit") == [("on",)]
    journal.close()
    postgres_server.sql(f'ALTER DATABASE "{name}" SET synchronous_commit = remote_apply')
    assert journal.store.rows("SHOW synchronous_commit") == [("remote_apply",)]
    journal.close()


def test_reading_makes_nothing(postgres_server: Server, postgres_database: str) -> None:
    journal = Journal(shared(postgres_database, apart=None))
    assert journal.history() == ()
    assert "deployguard" not in _schemas(postgres_server, postgres_database)
    with pytest.raises(AssertionError, match="reading only"):
        journal.begin("production", Kind.DEPLOY, "ann")
    journal.close()


def test_a_schema_belongs_to_one_project(postgres_database: str) -> None:
    ours, other = shared(postgres_database), shared(postgres_database, project="invoices")
    Journal(ours).begin("production", Kind.DEPLOY, "ann")
    with pytest.raises(UsageError, match="the project 'bookings', not of 'invoices'"):
        Journal(other).history()
    apart = Journal(shared(postgres_database, project="invoices", schema="invoices"))
    apart.begin("production", Kind.DEPLOY, "bob")
    assert [run.by for run in apart.history()] == ["bob"]
    for one in (ours, other, apart):
        one.close()


def test_a_newer_schema_is_refused_untouched(
    postgres_server: Server, postgres_database: str
) -> None:
    journal = Journal(shared(postgres_database))
    journal.begin("production", Kind.DEPLOY, "ann")
    journal.close()
    name = postgres_database.rpartition("/")[2]
    postgres_server.sql("UPDATE deployguard.meta SET value = 999 WHERE key = 'version'", name)
    with pytest.raises(StateError, match="newer deployguard"):
        journal.history()
    with pytest.raises(StateError, match="newer deployguard"):  # and the second time, too
        journal.begin("production", Kind.DEPLOY, "ann")
    journal.close()


MAKE = f"""
import os
from deployguard.state import EventKind, Journal, Kind
from tests.state.conftest import shared
journal = Journal(shared(os.environ[{URL!r}]))
run = journal.begin("production", Kind.DEPLOY, "ann")
"""


def test_first_runs_at_once_make_one_schema(postgres_database: str) -> None:
    environ = {**os.environ, URL: postgres_database}
    children = [subprocess.Popen([sys.executable, "-c", MAKE], env=environ) for _ in range(4)]
    assert [child.wait() for child in children] == [0] * 4
    journal = Journal(shared(postgres_database))
    assert len(journal.history()) == 4
    journal.close()


def test_a_server_that_is_not_there_is_one_clear_error_without_the_password() -> None:
    journal = Journal(shared("postgresql://ann:hunter2@127.0.0.1:1/x"))
    with pytest.raises(StateError, match="cannot be used") as caught:
        journal.history()
    assert "hunter2" not in f"{caught.value} {caught.value.state} {caught.value.next_commands}"
    assert caught.value.exit_code == 3


def test_an_event_that_is_written_twice_is_there_once(postgres_database: str) -> None:
    journal = Journal(shared(postgres_database))
    run = journal.begin("production", Kind.DEPLOY, "ann")
    told: list[tuple[str, tuple[object, ...]]] = []
    write = journal.store.write
    journal.store.write = lambda words, values=(): (
        told.append((words, values)) or write(words, values)
    )  # type: ignore[method-assign,func-returns-value]
    journal.record(run.id, "migrate", EventKind.INTENT)
    write(*told[0])
    assert [event.step for event in journal.events(run.id)] == ["migrate"]
    journal.close()


def test_a_role_that_may_not_look_is_told_so_and_sees_no_empty_journal(
    postgres_server: Server, postgres_database: str
) -> None:
    ours = Journal(shared(postgres_database))
    ours.begin("production", Kind.DEPLOY, "ann")
    ours.close()
    postgres_server.sql("CREATE ROLE curious LOGIN PASSWORD 'curious'")
    host = postgres_database.partition("@")[2]
    journal = Journal(shared(f"postgresql://curious:curious@{host}"))
    with pytest.raises(StateError, match="may not look into the schema"):
        journal.unfinished("production")
    journal.close()
    postgres_server.sql("DROP ROLE curious")
