"""A migration that keeps others waiting on a real server: watched, cut off in time, and told truthfully."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from deployguard.deploy import saga
from deployguard.deploy.world import World
from deployguard.errors import NeedsHuman, RolledBack
from deployguard.model import Json
from deployguard.state import Status
from tests.deploy import test_real_postgres as real_postgres
from tests.deploy.test_real_postgres import Postgres, approved

postgres = real_postgres.project

PATIENCE = 60.0
ADD = (
    """op.add_column("rooms", sa.Column("colour", sa.Text))""",
    """op.drop_column("rooms", "colour")""",
)
LOCK = """op.execute("LOCK TABLE rooms IN ACCESS EXCLUSIVE MODE")"""
WORK = (f"""{LOCK}\nop.execute("SELECT pg_sleep(120)")""", "pass")
IDLE = (
    f"""{LOCK}\nimport os, time\nif "PGAPPNAME" in os.environ:\n    time.sleep(120)""",
    "pass",
)
BUILD = (
    """with op.get_context().autocommit_block():
    op.create_index("rooms_size", "rooms", ["size"], postgresql_concurrently=True)""",
    """op.drop_index("rooms_size")""",
)


def configure(project: Postgres, *, retries: int = 0, blocked: int = 2, seconds: float = 1) -> None:
    """No lock_timeout: only the watcher ends a wait."""
    toml = project.folder / "deployguard.toml"
    text = re.sub(
        r"\[migrate\]\nlock_timeout = 1\nretries = 3\n",
        f"[migrate]\nlock_timeout = 0\nretries = {retries}\n\n[watch]\ninterval = 0.05\n"
        f"max_blocked = {blocked}\nmax_seconds = {seconds}\n",
        toml.read_text(),
    )
    assert "[watch]" in text
    toml.write_text(text)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.05)


def migrating(project: Postgres, condition: str) -> bool:
    query = f"""SELECT count(*) FROM pg_stat_activity a WHERE application_name LIKE 'deployguard:%'
        AND datname = current_database() AND {condition}"""
    return project.query(query) != "0"


WAITS = "cardinality(pg_blocking_pids(pid)) > 0"
HOLDS = """EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid AND l.granted AND l.relation = 'rooms'::regclass
    AND l.mode = 'AccessExclusiveLock')"""


class Others:
    """Sessions of the application: one that holds a transaction open, and some that want to read."""

    def __init__(self, url: str, statement: str) -> None:
        self.url, self.statement = url, statement
        self.holder = psycopg.connect(url, application_name="worker")
        self.answers: list[object] = []
        self.threads: list[threading.Thread] = []

    def queue(self, number: int) -> None:
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(number)]
        for thread in self.threads:
            thread.start()

    def _ask(self) -> None:
        try:
            with psycopg.connect(self.url, autocommit=True, application_name="web") as link:
                link.execute(self.statement.encode())
                self.answers.append("ok")
        except psycopg.Error as error:
            self.answers.append(error)


@contextmanager
def others(
    project: Postgres,
    url: str,
    *,
    hold: str = "SELECT * FROM rooms",
    when: str = WAITS,
    statement: str = "SELECT count(*) FROM rooms",
    number: int = 3,
    then: Callable[[Others], None] | None = None,
) -> Iterator[Others]:
    """Hold a transaction open (unless ``hold`` is ""), and queue up once the migration is ``when``; then ``then``."""
    made = Others(url, statement)
    trouble: list[BaseException] = []

    def happen() -> None:
        try:
            until(lambda: migrating(project, when))
            made.queue(number)
            if then is not None:
                then(made)
        except BaseException as error:  # noqa: BLE001 - told by the test
            trouble.append(error)
            made.holder.close()

    if hold:
        made.holder.execute(hold.encode())
    thread = threading.Thread(target=happen, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        thread.join(PATIENCE)
        for one in made.threads:
            one.join(PATIENCE)
        made.holder.close()
    assert not trouble, trouble
    assert made.answers == ["ok"] * number


def noted(world: World, name: str) -> list[Json]:
    (row,) = world.journal.history()
    return [e.evidence[name] for e in world.journal.events(row.id) if name in e.evidence]


def told(world: World, what: str) -> int:
    return sum(what in text for kind, text in world.reporter.told if kind == "note")  # type: ignore[attr-defined]


@pytest.fixture
def url(postgres_database: str) -> str:
    return postgres_database


def test_a_queue_behind_our_waiting_statement_is_ended_in_time_and_told(
    postgres: Postgres, url: str
) -> None:
    configure(postgres)
    postgres.revision("r2", *ADD)
    world = postgres.world()
    options = approved(world)
    with others(postgres, url) as made:
        with pytest.raises(RolledBack) as caught:
            saga.deploy(world, options)
        assert made.holder.execute("SELECT count(*) FROM rooms").fetchone() == (3,)
    said = str(caught.value)
    assert "deployguard cancelled its own statement because it blocked 3 sessions for" in (
        said[0].lower() + said[1:]
    ).replace("Deployguard", "deployguard")
    assert re.search(
        r"it waits [\d.]+ s for AccessExclusiveLock on rooms, behind process \d+ \(worker, idle in trans",
        said,
    )
    assert "QueryCanceled" in said
    (row,) = world.journal.history()
    assert row.status is Status.ROLLED_BACK
    assert "cancelled its own statement" in " ".join(
        str(e.evidence.get("error")) for e in world.journal.events(row.id)
    )
    before, after = noted(world, "cut")
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert "sent" not in before  # written before it was done
    assert after["sent"] == after["pids"]
    assert (after["blocked"], after["waited"]) == (3, True)
    (summary,) = noted(world, "watched")
    assert isinstance(summary, dict)
    assert summary["most_blocked"] == 3
    assert "SELECT" not in str(
        [e.evidence for e in world.journal.events(row.id) if "queue" in e.evidence]
    )
    assert postgres.current() == "r1"
    assert told(world, "Cancelling the migration's own statement") == 1
    world.journal.close()


def test_a_cut_off_wait_is_tried_again_and_may_find_the_way_free(
    postgres: Postgres, url: str
) -> None:
    configure(postgres, retries=2)
    postgres.revision("r2", *ADD)
    world = postgres.world()
    options = approved(world)

    def leave(made: Others) -> None:
        until(lambda: told(world, "Cancelling") > 0)
        made.holder.rollback()

    with others(postgres, url, then=leave):
        outcome = saga.deploy(world, options)
    assert outcome.status is Status.DONE
    assert postgres.current() == "r2"
    assert told(world, "It blocked others for too long; trying again") == 1
    world.journal.close()


def test_tries_are_bounded(postgres: Postgres, url: str) -> None:
    configure(postgres, retries=1, blocked=0, seconds=0.2)
    postgres.revision("r2", *ADD)
    world = postgres.world()
    options = approved(world)

    def again(made: Others) -> None:
        until(lambda: told(world, "trying again") > 0 and migrating(postgres, WAITS))
        made.queue(1)

    with others(postgres, url, number=1, then=again) as made:
        with pytest.raises(RolledBack, match="cancelled its own statement"):
            saga.deploy(world, options)
        until(lambda: len(made.answers) == 2)
        made.answers.pop()
    assert told(world, "trying again") == 1
    assert [cut["attempt"] for cut in noted(world, "cut")] == [1, 1, 2, 2]  # type: ignore[index,call-overload]
    world.journal.close()


@pytest.mark.parametrize("revision", [WORK, IDLE], ids=["working", "idle"])
def test_work_under_a_lock_is_cut_off_once_and_not_repeated(
    postgres: Postgres, url: str, revision: tuple[str, str]
) -> None:
    configure(postgres, retries=3)
    postgres.revision("r2", *revision)
    world = postgres.world()
    options = approved(world)
    with (
        others(postgres, url, hold="", when=HOLDS),
        pytest.raises(RolledBack, match="work under a lock that they need, so that process"),
    ):
        saga.deploy(world, options)
    assert told(world, "trying again") == 0
    assert postgres.current() == "r1"
    assert postgres.rooms() == "3"
    world.journal.close()


def test_a_short_queue_is_kept_and_not_cut_off(postgres: Postgres, url: str) -> None:
    configure(postgres, seconds=600)
    postgres.revision("r2", *ADD)
    world = postgres.world()
    options = approved(world)

    def leave(made: Others) -> None:
        until(lambda: told(world, "keeps others waiting") > 0)
        made.holder.rollback()

    with others(postgres, url, then=leave):
        assert saga.deploy(world, options).status is Status.DONE
    assert noted(world, "cut") == []
    queue = noted(world, "queue")
    assert 1 <= len(queue) <= 4
    assert "worker" in str(queue[0])
    world.journal.close()


def test_a_quiet_migration_leaves_no_note_but_of_what_was_around(postgres: Postgres) -> None:
    configure(postgres)
    postgres.revision("r2", *ADD)
    world = postgres.world()
    assert saga.deploy(world, approved(world)).status is Status.DONE
    assert [*noted(world, "cut"), *noted(world, "queue")] == []
    around = [one["most_blocked"] for one in noted(world, "watched") if isinstance(one, dict)]
    assert around in ([], [0])  # it may be over before a look
    world.journal.close()


def test_a_watcher_that_cannot_look_says_so_once_ends_nothing_and_looks_again(
    postgres: Postgres, url: str
) -> None:
    configure(postgres)
    postgres.revision("r2", *ADD)
    world = postgres.world()
    options = approved(world)
    other = postgres.server.sql

    def shut(made: Others) -> None:
        waiting = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{postgres.name}' AND wait_event_type = 'Lock'"
        until(lambda: int(other(waiting)) == 4)  # the migration and three who queue behind it
        other(f'ALTER DATABASE "{postgres.name}" ALLOW_CONNECTIONS false')
        end = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{postgres.name}'"
        other(f"{end} AND application_name = 'deployguard'")
        until(lambda: told(world, "is unknown") > 0)
        time.sleep(0.5)  # some more looks that fail
        other(f'ALTER DATABASE "{postgres.name}" ALLOW_CONNECTIONS true')

    # enough patience that nothing is cut off before the server is shut
    configure_seconds(postgres, 8)
    world = postgres.world()
    with others(postgres, url, then=shut), pytest.raises(RolledBack, match="cancelled its own"):
        saga.deploy(world, options)
    assert told(world, "is unknown") == 1
    assert told(world, "can read again") == 1
    world.journal.close()


def configure_seconds(project: Postgres, seconds: int) -> None:
    toml = project.folder / "deployguard.toml"
    toml.write_text(toml.read_text().replace("max_seconds = 1", f"max_seconds = {seconds}"))


def test_a_concurrent_build_that_is_cut_off_leaves_an_index_that_is_found_and_named(
    postgres: Postgres, url: str
) -> None:
    configure(postgres, retries=3)
    postgres.revision("r2", *BUILD)
    world = postgres.world()
    options = approved(world)

    def leave(made: Others) -> None:
        until(lambda: told(world, "Cancelling") > 0)
        made.holder.rollback()

    with (
        others(
            postgres,
            url,
            hold="UPDATE rooms SET size = size",
            statement="ANALYZE rooms",
            then=leave,
        ),
        pytest.raises(NeedsHuman) as caught,
    ):
        saga.deploy(world, options)
    assert told(world, "trying again") == 0
    assert "public.rooms_size" in str(caught.value)
    assert any(
        "DROP INDEX CONCURRENTLY public.rooms_size" in command
        for command in caught.value.next_commands
    )
    assert any(
        "waiting for writers before build" in t for k, t in world.reporter.told if k == "progress"
    )  # type: ignore[attr-defined]
    world.journal.close()


def test_nothing_is_watched_where_that_is_turned_off(
    postgres: Postgres, url: str, tmp_path: Path
) -> None:
    configure(postgres)
    toml = postgres.folder / "deployguard.toml"
    toml.write_text(toml.read_text().replace("interval = 0.05", "interval = 0"))
    postgres.revision("r2", *ADD)
    world = postgres.world()
    options = approved(world)

    def leave(made: Others) -> None:
        until(
            lambda: (
                postgres.query(
                    f"SELECT count(*) FROM pg_stat_activity a WHERE {WAITS} AND application_name = 'web'"
                )
                == "3"
            )
        )
        time.sleep(1.5)
        made.holder.rollback()

    with others(postgres, url, then=leave):
        assert saga.deploy(world, options).status is Status.DONE
    assert told(world, "waiting") == 0
    world.journal.close()
