"""What a restore loses is what the client itself counts, to the row; and no slot outlives its deploy. Real servers."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from deployguard.cli.outlook import view_of
from deployguard.deploy import outlook, saga, slots
from deployguard.deploy.run import RollbackOptions
from deployguard.deploy.world import World
from deployguard.errors import NeedsHuman, RolledBack
from deployguard.state import Status
from tests.deploy import test_real_postgres
from tests.deploy.fakes import Recorder
from tests.deploy.test_real_postgres import DESTROY, Postgres, approved
from tests.support import postgres

server_project = test_real_postgres.project


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[postgres.Server]:
    """One whose programs bring test_decoding."""
    with postgres.serve(postgres.decoding_trees()[0]) as made:
        yield made


@dataclass
class Client:
    """Writes one row after another, each in a transaction of its own, and knows which were committed."""

    url: str
    done: list[tuple[str, int, int]] = field(default_factory=list)  # (what, id, value)
    ended: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None

    def start(self) -> None:
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def stop(self) -> None:
        self.ended.set()
        if self.thread is not None:
            self.thread.join()

    def write(self) -> None:
        number = len(self.done)
        what = ("insert", "insert", "update", "insert", "delete")[number % 5]
        here = sorted(replayed({}, self.done))
        row = number if what == "insert" else here[0 if what == "delete" else -1]
        statement = {
            "insert": "INSERT INTO ledger VALUES (%(id)s, %(n)s)",
            "update": "UPDATE ledger SET n = %(n)s WHERE id = %(id)s",
            "delete": "DELETE FROM ledger WHERE id = %(id)s",
        }[what]
        with psycopg.connect(self.url) as link:
            link.execute(statement, {"id": row, "n": number + 1000})
        self.done.append((what, row, number + 1000))

    def run(self) -> None:
        while not self.ended.wait(0.05):
            self.write()


def replayed(rows: dict[int, int], writes: list[tuple[str, int, int]]) -> dict[int, int]:
    found = dict(rows)
    for what, row, value in writes:
        if what == "delete":
            found.pop(row, None)
        else:
            found[row] = value
    return found


def ledger(project: Postgres) -> dict[int, int]:
    lines = project.query("SELECT id, n FROM ledger").splitlines()
    return {int(row): int(value) for row, value in (line.split("|") for line in lines)}


@pytest.fixture
def client(server_project: Postgres) -> Iterator[Client]:
    server_project.query("CREATE TABLE ledger (id int PRIMARY KEY, n int)")
    made = Client(server_project.server.url(server_project.name))
    for _ in range(7):
        made.write()
    made.start()
    yield made
    made.stop()


def slots_of(project: Postgres) -> str:
    return project.query("SELECT slot_name FROM pg_replication_slots", "postgres")


def exported(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_rollback_by_restore_says_and_keeps_exactly_what_the_client_loses(
    server_project: Postgres, client: Client
) -> None:
    project = server_project
    project.revision("r2", *DESTROY)
    project.sick.add("new")
    world = project.world(stoppable=True)
    with pytest.raises(NeedsHuman, match=r"others have written since the backup.*slot: ledger \+"):
        saga.deploy(world, approved(world))
    while len(client.done) < 30:  # it goes on after the deploy
        client.ended.wait(0.05)
    client.stop()
    name = world.journal.history()[0].id
    foreseen = view_of(outlook.look(world, RollbackOptions(name, restore=True)))
    reporter = world.reporter
    assert isinstance(reporter, Recorder)
    reporter.types = name
    saga.rollback(world, RollbackOptions(name, restore=True))

    back = ledger(project)
    [kept] = [n for n in range(len(client.done) + 1) if replayed({}, client.done[:n]) == back]
    lost = client.done[kept:]
    assert 0 < kept < len(client.done)
    counts = {what: sum(w[0] == what for w in lost) for what in ("insert", "update", "delete")}
    line = f"ledger: {counts['insert']} inserted, {counts['update']} updated, {counts['delete']} deleted"
    [warning] = [text for kind, text in reporter.told if kind == "confirm"]
    assert line in warning
    assert line in foreseen.warning
    evidence = next(why for question, _, why in foreseen.answers if "nobody written" in question)
    assert f"{len(lost)} rows in {len(lost)} transactions" in evidence

    path = project.folder / ".deployguard" / "changes" / f"{name}.jsonl"
    assert path.stat().st_mode & 0o777 == 0o600
    head, *changes, end = exported(path)
    assert (head["format"], head["deploy"]) == ("deployguard.changes/1", name)
    assert (end["end"], end["changes"], end["transactions"]) == (True, len(lost), len(lost))
    again = [
        (str(c["op"]), row(c, "id"), row(c, "n") if "new" in c else 0) for c in changes if "op" in c
    ]
    assert replayed(back, again) == replayed({}, client.done), "written again, all is there"
    assert slots_of(project) == ""
    world.journal.close()


def row(change: dict[str, object], column: str) -> int:
    told = change.get("new") or change["key"]
    assert isinstance(told, dict)
    return int(told[column])


def test_nobody_in_this_database_is_a_proof_however_busy_the_server_is(
    server_project: Postgres,
) -> None:
    project = server_project
    other = f"{project.name}_other"
    project.server.create_database(other)
    project.revision("r2", *DESTROY)
    project.sick.add("new")
    world = project.world(stoppable=True)
    before = world.backup_slot

    def busy(record: object) -> object:
        project.query("CREATE TABLE t (a int); INSERT INTO t VALUES (1)", other)
        return before(record)  # type: ignore[arg-type]

    object.__setattr__(world, "backup_slot", busy)
    with pytest.raises(RolledBack):
        saga.deploy(world, approved(world))
    assert (project.current(), project.running(), project.rooms()) == ("r1", "old", "3")
    assert slots_of(project) == ""
    project.server.drop_database(other)
    world.journal.close()


CHILD = """
import os, signal, sys
from pathlib import Path
from deployguard.backups import postgres, sealed
from deployguard.config import load
from deployguard.database import snapshot
from deployguard.deploy import saga
from deployguard.deploy.reporter import Silent
from deployguard.deploy.run import DeployOptions
from deployguard.deploy.wiring import wire
from deployguard.gate import Mode
config = load(None, Path(sys.argv[1]))
world = wire(config, config.environment(), reporter=Silent(), by="ann")
digest = world.assess().digest
def die(*given, **named):
    os.kill(os.getpid(), signal.SIGKILL)
module, name = {"made": (snapshot, "_look"), "dumping": (postgres, "dump"), "sealed": (sealed, "flush")}[sys.argv[2]]
setattr(module, name, die)
saga.deploy(world, DeployOptions(Mode.AUTO, health_check=True, approve=digest))
"""


def resumed(world: World) -> None:
    assert saga.resume(world).status is Status.DONE


def taken_back(world: World) -> None:
    saga.rollback(world, RollbackOptions())


def closed(world: World) -> None:
    saga.close(world, "by hand")


@pytest.mark.parametrize(
    ("where", "end"), [("made", resumed), ("dumping", taken_back), ("sealed", closed)]
)
def test_kill_9_around_the_slot_leaves_none_behind(
    server_project: Postgres, where: str, end: object
) -> None:
    project = server_project
    project.revision("r2", *DESTROY)
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(project.folder), where],
        env=project.environ(),
        check=False,
    )
    assert child.returncode == -signal.SIGKILL
    world = project.world()
    [deploy] = world.journal.history()
    assert slots_of(project) == slots.name_of(deploy.id)
    with world.database() as database:
        [left] = slots.found(world, database)
    assert left.needed
    end(world)  # type: ignore[operator]
    assert slots_of(project) == ""
    world.journal.close()


def test_what_a_finished_deploy_left_is_told_and_swept_by_the_next(
    server_project: Postgres,
) -> None:
    project = server_project
    project.revision("r2", *DESTROY)
    world = project.world()
    name = saga.deploy(world, approved(world)).deploy
    for left in (slots.name_of(name), "deployguard_of_another_host"):
        project.query(f"SELECT pg_create_logical_replication_slot('{left}', 'test_decoding')")
    with world.database() as database:
        told = [str(left) for left in slots.found(world, database)]
    assert all("LEFT BEHIND" in text and "MB of write-ahead log" in text for text in told)
    project.revision("r3", "pass", "pass")
    saga.deploy(world, approved(world))
    assert slots_of(project) == "deployguard_of_another_host"
    project.query("SELECT pg_drop_replication_slot('deployguard_of_another_host')")
    world.journal.close()
