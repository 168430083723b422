"""An ALTER that is blocked under load: nobody waits behind it for longer than lock_timeout, by the server's own clock."""

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
import pytest

from deployguard.deploy import names, saga
from deployguard.deploy.run import Run
from deployguard.errors import RolledBack
from deployguard.state import Status
from tests.deploy import test_real_postgres as real_postgres
from tests.deploy.test_real_postgres import Postgres, approved
from tests.deploy.test_real_watch import ADD, WAITS, migrating, until

postgres = real_postgres.project

LOCK_TIMEOUT = 2.0  # seconds
# The server ends a wait by a timer of its own; what comes on top is until it is scheduled, and our looking.
SLACK = 3.0
READERS, WRITERS = 4, 3
# Who has waited for a lock on rooms behind the migration, and for how long already: asked of the server again and again.
WAITING = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)::float8, count(*)
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE NOT l.granted AND l.relation = 'rooms'::regclass AND a.application_name = 'load'"""


def configure(project: Postgres, *, retries: int) -> None:
    """The watcher only looks: it is lock_timeout that ends each wait."""
    toml = project.folder / "deployguard.toml"
    text = re.sub(
        r"\[migrate\]\nlock_timeout = 1\nretries = 3\n",
        f"[migrate]\nlock_timeout = {LOCK_TIMEOUT:.0f}\nretries = {retries}\n\n[watch]\ninterval = 0.2\nmax_seconds = 0\n",
        toml.read_text(),
    )
    assert "max_seconds = 0" in text
    toml.write_text(text)


@dataclass
class Load:
    """Sessions that read and write rooms all the time, and one that measures how long they wait."""

    url: str
    ended: threading.Event = field(default_factory=threading.Event)
    longest: float = 0.0
    queued: int = 0
    answered: int = 0
    errors: list[str] = field(default_factory=list)

    def work(self, statement: str) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True, application_name="load") as link:
                while not self.ended.wait(0.02):
                    link.execute(statement.encode())
                    self.answered += 1
        except psycopg.Error as error:
            self.errors.append(str(error))

    def measure(self) -> None:
        with psycopg.connect(self.url, autocommit=True, application_name="measure") as link:
            while not self.ended.wait(0.05):
                row = link.execute(WAITING.encode()).fetchone()
                assert row is not None
                self.longest, self.queued = max(self.longest, row[0]), max(self.queued, row[1])


@contextmanager
def load(url: str) -> Iterator[Load]:
    made = Load(url)
    read, write = "SELECT count(*) FROM rooms", "UPDATE rooms SET size = size WHERE id = 1"
    threads = [threading.Thread(target=made.work, args=(read,)) for _ in range(READERS)]
    threads += [threading.Thread(target=made.work, args=(write,)) for _ in range(WRITERS)]
    threads.append(threading.Thread(target=made.measure))
    for thread in threads:
        thread.start()
    try:
        yield made
    finally:
        made.ended.set()
        for thread in threads:
            thread.join(60)


@contextmanager
def long_reader(url: str, ends: Callable[[], bool]) -> Iterator[None]:
    """A transaction that has read rooms and is left open until ``ends`` says so (asked again and again)."""
    over = threading.Event()

    def hold() -> None:
        with psycopg.connect(url, application_name="report") as link:
            link.execute("SELECT * FROM rooms")
            while not over.wait(0.1) and not ends():
                pass

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(60)


def attempts(run: Run) -> int:
    return max(
        (int(str(e.evidence["attempt"])) for e in run.events() if "attempt" in e.evidence),
        default=0,
    )


def test_nobody_waits_longer_than_lock_timeout_and_the_deploy_ends_well(
    postgres: Postgres, postgres_database: str
) -> None:
    postgres.revision("r2", *ADD)
    configure(postgres, retries=8)
    world = postgres.world()
    options = approved(world)
    blocked: list[int] = []

    def twice_blocked() -> bool:  # the reader goes when the second attempt has been waiting, too
        if migrating(postgres, WAITS):
            pid = postgres.query(
                "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'deployguard:%'"
                " AND cardinality(pg_blocking_pids(pid)) > 0"
            )
            blocked.extend(int(one) for one in pid.split() if int(one) not in blocked)
        return len(blocked) > 1

    with load(postgres_database) as busy, long_reader(postgres_database, twice_blocked):
        until(lambda: busy.answered > 20)
        outcome = saga.deploy(world, options)
    assert outcome.status is Status.DONE
    assert postgres.current() == "r2"
    assert busy.errors == []
    assert busy.queued >= READERS  # they did wait behind it
    assert 0 < busy.longest <= LOCK_TIMEOUT + SLACK
    assert attempts(Run(world, world.journal.history()[-1])) >= 2
    world.journal.close()


def test_a_reader_that_never_ends_makes_it_give_up_kindly(
    postgres: Postgres, postgres_database: str
) -> None:
    postgres.revision("r2", *ADD)
    configure(postgres, retries=1)
    world = postgres.world()
    options = approved(world)
    with (
        load(postgres_database) as busy,
        long_reader(postgres_database, lambda: False),
        pytest.raises(RolledBack) as caught,
    ):
        saga.deploy(world, options)
    assert "Another session was in the way in any of 2 tries: no lock within 2 s" in str(
        caught.value
    )
    assert any("deployguard watch --once" in one for one in caught.value.next_commands)
    assert postgres.current() == "r1"
    assert busy.errors == []
    assert busy.longest <= LOCK_TIMEOUT + SLACK
    failed = [e.step for e in Run(world, world.journal.history()[-1]).failures()]
    assert failed == [names.MIGRATE]
    world.journal.close()


def test_a_statement_that_takes_longer_than_its_level_gives_it_is_ended_and_told(
    postgres: Postgres, postgres_database: str
) -> None:
    postgres.revision("r2", *ADD)
    configure(postgres, retries=3)
    toml = postgres.folder / "deployguard.toml"
    toml.write_text(
        toml.read_text().replace(
            "lock_timeout = 2\n", "lock_timeout = 0\nstatement_timeout = { low = 1 }\n"
        )
    )
    world = postgres.world()
    options = approved(world)
    with (
        long_reader(postgres_database, lambda: False),
        pytest.raises(RolledBack) as caught,
    ):
        saga.deploy(world, options)
    said = str(caught.value)
    assert "A statement ran longer than the 1 s that [migrate] statement_timeout gives it" in said
    assert any("[migrate] statement_timeout" in one for one in caught.value.next_commands)
    assert attempts(Run(world, world.journal.history()[-1])) == 1  # it is not tried again
    assert postgres.current() == "r1"
    world.journal.close()
