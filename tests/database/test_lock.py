"""One holder at a time; a crash frees the lock; nobody's CREATE INDEX CONCURRENTLY waits for it."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from deployguard.config import parse_url
from deployguard.database import Database, connect
from deployguard.errors import Busy

HOLD = """
import sys, time
from pathlib import Path
from deployguard.config import parse_url
from deployguard.database import connect
database = connect(parse_url(sys.stdin.readline().strip(), "stdin"), directory=Path())
with database.advisory_lock("app"):
    print("held", flush=True)
    time.sleep(60)
"""
RACE = """
import os, sys
from pathlib import Path
from deployguard.config import parse_url
from deployguard.database import connect
from deployguard.errors import Busy
inside, won = Path(sys.argv[1]) / "inside", 0
with connect(parse_url(sys.stdin.readline().strip(), "stdin"), directory=Path()) as database:
    for _ in range(200):
        try:
            with database.advisory_lock("app", wait=0):
                os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                os.unlink(inside)
                won += 1
        except Busy:
            pass
print(won)
"""


@pytest.fixture
def open_one(postgres_database: str) -> Callable[[], Database]:
    return lambda: connect(parse_url(postgres_database, "x"), directory=Path())


def test_the_second_is_told_who_holds_it(open_one: Callable[[], Database]) -> None:
    with open_one() as first, open_one() as second:
        with first.advisory_lock("app") as lock:
            assert lock.held()
            with (
                pytest.raises(
                    Busy, match=r"server process \d+ \(process \d+ on .+\), connected since"
                ),
                second.advisory_lock("app", wait=0.3),
            ):
                raise AssertionError("two hold it")
            with second.advisory_lock("another"):
                pass
        with second.advisory_lock("app"):
            pass


def test_a_waiter_gets_it_when_it_is_free(
    open_one: Callable[[], Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_one() as first, open_one() as second:
        holding = first.advisory_lock("app")
        holding.__enter__()
        import time

        slept: list[float] = []

        def release(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 3:
                holding.__exit__(None, None, None)

        from deployguard.database import lock
        from deployguard.database.postgresql import PostgresDatabase

        assert isinstance(second, PostgresDatabase)
        with lock.hold(second.session, "app", 5, clock=time.monotonic, sleep=release) as mine:
            assert mine.held()
        assert len(slept) >= 3  # the server takes a moment to notice


def test_kill_9_of_the_holder_frees_it(
    open_one: Callable[[], Database], postgres_database: str
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdin is not None
    assert child.stdout is not None
    with child, open_one() as waiting:
        child.stdin.write(postgres_database + "\n")
        child.stdin.flush()
        assert child.stdout.readline() == "held\n"
        with pytest.raises(Busy), waiting.advisory_lock("app"):
            raise AssertionError("two hold it")
        os.kill(child.pid, signal.SIGKILL)
        with waiting.advisory_lock("app", wait=10):
            pass


def test_two_racers_are_never_both_inside(postgres_database: str, tmp_path: Path) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(2)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(postgres_database + "\n")
        racer.stdin.flush()
    wins = [int(racer.communicate()[0]) for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert all(wins), wins


def test_a_lock_whose_session_was_ended_says_so(
    open_one: Callable[[], Database], postgres_database: str
) -> None:
    with open_one() as database, database.advisory_lock("app") as lock:
        with psycopg.connect(postgres_database, autocommit=True) as other:
            other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'deployguard-lock:%'"
            )
        assert not lock.held()


def test_an_index_can_be_built_concurrently_while_it_is_held(
    open_one: Callable[[], Database], postgres_database: str
) -> None:
    with open_one() as database, database.advisory_lock("app"):
        assert database.row_counts() == {}
        with psycopg.connect(postgres_database, autocommit=True) as other:
            other.execute("SET statement_timeout = '10s'")
            other.execute("CREATE TABLE t (id int)")
            other.execute("CREATE INDEX CONCURRENTLY i ON t (id)")
