"""What a look at a real server shows: who waits for whom, builds, replicas; also to a role that may see little."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import connect
from deployguard.database.postgresql import PostgresDatabase
from deployguard.errors import EnvironmentUnreachable
from deployguard.formats.watching import replica as replica_words
from deployguard.observation import Observation
from tests.support.postgres import Server, replica

NAME = "deployguard:20260218-103000-ab12"
PATIENCE = 60.0


def open_one(url: str) -> PostgresDatabase:
    database = connect(parse_url(url, "x"), directory=Path())
    assert isinstance(database, PostgresDatabase)
    return database


@pytest.fixture
def url(postgres_server: Server, postgres_database: str) -> str:
    postgres_server.sql(
        "CREATE TABLE rooms (id int); INSERT INTO rooms VALUES (1)",
        postgres_database.rpartition("/")[2],
    )
    return postgres_database


@pytest.fixture
def low(postgres_server: Server, url: str) -> Iterator[str]:
    """The URL of a role that is in no other role, and owns a table."""
    role = f"low_{os.urandom(3).hex()}"
    database = url.rpartition("/")[2]
    postgres_server.sql(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
    postgres_server.sql(f"GRANT ALL ON SCHEMA public TO {role}", database)
    yield url.replace(f"{postgres_server.user}:{postgres_server.password}", f"{role}:x")
    postgres_server.sql(f"DROP OWNED BY {role} CASCADE", database)
    postgres_server.sql(f"DROP ROLE {role}")


@contextmanager
def running(url: str, statement: str, application: str) -> Iterator[list[BaseException]]:
    """Run a statement in a thread; what it ended with."""
    ended: list[BaseException] = []
    link = psycopg.connect(url, autocommit=True, application_name=application)

    def execute() -> None:
        try:
            link.execute(statement.encode())
        except psycopg.Error as error:
            ended.append(error)

    thread = threading.Thread(target=execute, daemon=True)
    thread.start()
    try:
        yield ended
    finally:
        link.cancel()
        thread.join(PATIENCE)
        link.close()


def until(
    database: PostgresDatabase, true: Callable[[Observation], bool], name: str = NAME
) -> Observation:
    deadline = time.monotonic() + PATIENCE
    while True:
        seen = database.observe(name)
        if true(seen):
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.05)


ALTER = "ALTER TABLE rooms ADD colour text"


def waits(seen: Observation) -> bool:
    return any(client.blockers for client in seen.ours)


def test_who_waits_for_whom_is_seen(url: str) -> None:
    with (
        open_one(url) as database,
        psycopg.connect(url, application_name="worker") as holder,
    ):
        pid = holder.info.backend_pid
        holder.execute("SELECT 'a secret' FROM rooms")
        with running(url, ALTER, NAME):
            until(database, waits)
            with running(url, "SELECT 'hunter2' FROM rooms", "web"):
                seen = until(database, lambda seen: len(seen.queue) == 1)
    (ours,) = seen.ours
    assert (ours.mode, ours.on, ours.blockers) == (
        "AccessExclusiveLock",
        "rooms",
        (pid,),
    )
    assert ours.waiting is not None
    (reader,) = seen.queue
    assert (reader.application, reader.mode, reader.blockers) == (
        "web",
        "AccessShareLock",
        (ours.pid,),
    )
    assert seen.culprits == (ours,)
    worker = seen.client(pid)
    assert worker is not None
    assert worker.idle
    assert seen.longest == worker
    assert seen.hidden == 0
    assert "secret" not in repr(seen)
    assert "hunter2" not in repr(seen)


def test_every_server_can_be_asked(postgres_servers: tuple[Server, ...]) -> None:
    for server in postgres_servers:
        with open_one(server.url()) as database:
            seen = database.observe("", around=True)
        assert seen.ours == ()
        assert seen.around is not None
        assert (seen.around.replicas, seen.around.invalid) == ((), ())
        assert seen.around.size
        assert seen.around.free


def test_another_database_or_another_name_is_not_ours(url: str, postgres_server: Server) -> None:
    with (
        open_one(url) as database,
        psycopg.connect(postgres_server.url(), application_name=NAME, autocommit=True) as elsewhere,
        psycopg.connect(url, application_name=f"{NAME}x", autocommit=True) as other,
        psycopg.connect(url, application_name="deployguard", autocommit=True) as third,
    ):
        assert database.observe(NAME).ours == ()
        assert [client.pid for client in database.observe("").ours] == [other.info.backend_pid]
        every = [link.info.backend_pid for link in (elsewhere, other, third)]
        assert database.stop(NAME, every) == ()
        for link in (elsewhere, other, third):
            assert link.execute("SELECT 1").fetchone() == (1,)


def test_what_is_stopped_is_our_statement_alone(url: str) -> None:
    with (
        open_one(url) as database,
        psycopg.connect(url) as holder,
        running(url, ALTER, NAME) as ended,
        running(url, "SELECT pg_sleep(60)", "web") as spared,
    ):
        holder.execute("SELECT * FROM rooms")
        with running(url, ALTER, NAME) as second:
            seen = until(database, lambda seen: len([c for c in seen.ours if c.blockers]) == 1)
            waiting = next(c.pid for c in seen.ours if c.blockers)
            web = next(c.pid for c in seen.clients if c.application == "web")
            assert database.stop(NAME, [waiting, web]) == (waiting,)
            until(database, lambda seen: not any(c.blockers for c in seen.ours))
        assert holder.execute("SELECT count(*) FROM rooms").fetchone() == (1,)
        assert not spared
        assert [type(e) for e in [*ended, *second]] == [psycopg.errors.QueryCanceled]


def test_one_that_is_idle_in_its_transaction_is_ended(url: str) -> None:
    with open_one(url) as database:
        link = psycopg.connect(url, application_name=NAME)
        link.execute("LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE")
        with running(url, "SELECT * FROM rooms", "web"):
            seen = until(database, lambda seen: len(seen.queue) == 1)
            assert seen.ours[0].holds == "rooms"
            assert database.stop(NAME, [seen.ours[0].pid]) == (seen.ours[0].pid,)
            until(database, lambda seen: not seen.ours)
        with pytest.raises(psycopg.OperationalError):
            link.execute("SELECT 1")


def test_a_role_that_may_see_little_sees_who_waits_and_says_what_it_does_not_see(
    url: str, low: str
) -> None:
    with (
        psycopg.connect(low, autocommit=True) as mine,
        open_one(low) as database,
        psycopg.connect(url, application_name="worker") as holder,
    ):
        mine.execute("CREATE TABLE own (id int)")
        holder.execute("SELECT * FROM own")
        pid = holder.info.backend_pid
        with running(low, "ALTER TABLE own ADD c int", NAME):
            until(database, waits)
            with running(url, "SELECT * FROM own", "web"):
                seen = until(database, lambda seen: len(seen.queue) == 1)
                with pytest.raises(EnvironmentUnreachable, match="permission denied"):
                    database.stop("web", [seen.queue[0].pid])
    worker = seen.client(pid)
    assert worker is not None
    assert (worker.hidden, worker.state, worker.transaction) == (True, "", None)
    assert seen.hidden == 2
    assert (seen.queue[0].application, seen.queue[0].hidden) == ("web", True)
    assert seen.queue[0].waiting is not None  # of pg_locks
    assert [client.hidden for client in seen.ours] == [False]


def test_a_concurrent_build_shows_its_phase_and_is_not_called_invalid(url: str) -> None:
    with open_one(url) as database, psycopg.connect(url) as writer:
        writer.execute("INSERT INTO rooms VALUES (2)")
        with running(url, "CREATE INDEX CONCURRENTLY rooms_id ON rooms (id)", NAME):
            seen = until(database, lambda seen: any(b.total for b in seen.builds))
            (build,) = seen.builds
            assert (build.table, build.index) == ("rooms", "rooms_id")
            assert (build.phase, build.done, build.total) == (
                "waiting for writers before build",
                0,
                1,
            )
            around = database.observe(NAME, around=True).around
            assert around is not None
            assert around.invalid == ()
            pid = seen.ours[0].pid
            assert database.stop(NAME, [pid]) == (pid,)
            until(database, lambda seen: not seen.builds)
            around = database.observe(NAME, around=True).around
            assert around is not None
            assert around.invalid == ("public.rooms_id",)


def test_a_replica_that_falls_behind_is_seen(url: str, low: str, postgres_server: Server) -> None:
    with replica(postgres_server) as standby, open_one(url) as database, open_one(low) as lower:
        standby.sql("SELECT pg_wal_replay_pause()")
        with psycopg.connect(url, autocommit=True) as link:
            link.execute("INSERT INTO rooms SELECT * FROM generate_series(1, 20000)")

        def behind() -> int:
            around = database.observe("", around=True).around
            assert around is not None
            (one,) = around.replicas or ()
            assert (one.name, one.hidden) == ("walreceiver", False)
            return one.behind or 0

        deadline = time.monotonic() + PATIENCE
        while behind() < 1_000_000:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        around = lower.observe("", around=True).around
        assert around is not None
        (hidden,) = around.replicas or ()
        assert (hidden.hidden, hidden.behind) == (True, None)
        assert "not visible" in replica_words(hidden)
        assert around.free is None  # where the server's files are is not for this role to know
        standby.sql("SELECT pg_wal_replay_resume()")


def test_a_look_survives_that_its_session_is_ended(url: str) -> None:
    with open_one(url) as database, psycopg.connect(url, autocommit=True) as other:
        database.observe(NAME)
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'deployguard' AND datname = current_database()"
        )
        assert isinstance(database.observe(NAME), Observation)


def test_a_server_that_is_away_is_no_quiet_one(postgres_server: Server) -> None:
    url = postgres_server.url().replace(f":{postgres_server.port}/", ":1/")
    with open_one(url) as database, pytest.raises(EnvironmentUnreachable):
        database.observe(NAME)
