"""The journal in a PostgreSQL database that hosts share: killed, cut off and raced, each with one legal end.

The points are made from the step table, as for a journal in a file.
"""

import os
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployguard.deploy import names, saga
from deployguard.deploy.back import RECOVERY
from deployguard.deploy.run import RollbackOptions
from deployguard.deploy.steps import STEPS
from deployguard.deploy.world import World
from deployguard.errors import Busy, DeployguardError
from deployguard.state import Journal, Status
from tests.deploy import test_kill as kills
from tests.deploy.asking import untouched
from tests.deploy.fakes import (
    NOW,
    PENDING,
    V2,
    KillingJournal,
    Production,
    make_world,
    place,
    shares,
)
from tests.support.postgres import Server
from tests.support.tcp import Way, way

POINTS = kills.points(STEPS)
_ORDER = [step.name for step in STEPS]


def safe(step: str, point: str) -> bool:
    """Whether nothing has been changed yet when a process comes to this point."""
    at, arm = _ORDER.index(step), _ORDER.index(names.ARM)
    return at < arm or (at == arm and point != "after-done")


@pytest.fixture
def shared(postgres_server: Server, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """A schema of its own for each test, in the server's first database; its URL and its name."""
    schema = f"s{secrets.token_hex(6)}"
    shares(tmp_path, postgres_server.url(), schema)
    yield postgres_server.url(), schema
    postgres_server.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(("step", "point"), POINTS)
def test_a_killed_deploy_goes_on_where_it_was(tmp_path: Path, step: str, point: str) -> None:
    kills.test_a_killed_deploy_goes_on_where_it_was(tmp_path, step, point)
    assert not (tmp_path / "state" / "journal.db").exists()


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(
    ("step", "point"),
    [at for at in kills.reached("restore") if at[1] in ("after-intent", "before-done")],
)
def test_a_killed_way_back_goes_on_where_it_was(tmp_path: Path, step: str, point: str) -> None:
    assert step in {one.name for one in RECOVERY}
    kills.test_a_killed_way_back_goes_on_where_it_was(tmp_path, "restore", step, point)


@pytest.fixture
def net(postgres_server: Server) -> Iterator[Way]:
    with way(postgres_server.port) as made:
        yield made


@pytest.mark.parametrize(("step", "point"), POINTS)
def test_a_deploy_whose_journal_is_cut_off_stops_and_goes_on_later(
    tmp_path: Path, shared: tuple[str, str], net: Way, step: str, point: str
) -> None:
    url, schema = shared
    production = Production(tmp_path)
    shares(tmp_path, url.replace(f":{net.target}/", f":{net.port}/"), schema, patience=0.0)
    journal = KillingJournal(tmp_path, (step, point), net.close)
    world = make_world(tmp_path, pending=PENDING, journal=journal, settings=kills.SETTINGS)
    with pytest.raises(DeployguardError, match="cannot be used") as caught:
        kills.deploy(world)
    world.journal.close()
    assert caught.value.exit_code == (3 if safe(step, point) else 22), caught.value
    if safe(step, point):  # and whatever was held runs again
        untouched(production)
        assert (production["cron"], production["closed"]) == (True, False)
    net.open()
    status = kills.finish(tmp_path, PENDING)
    assert (status, kills.legal(production)) == (Status.DONE, "after")
    kills.once(production, "upgrade ok", f"start {V2}")


def test_hosts_that_race_never_both_begin(tmp_path: Path, shared: tuple[str, str]) -> None:
    url, schema = shared
    hosts = [tmp_path / f"host{n}" for n in range(4)]
    for host in hosts:
        host.mkdir()
        shares(host, url, schema)
    rounds, inside = 5, tmp_path / "inside"
    children = []
    for host in hosts:
        pid = os.fork()
        if pid == 0:
            os._exit(_race(host, inside, rounds))
        children.append(pid)
    codes = [os.WEXITSTATUS(os.waitpid(pid, 0)[1]) for pid in children]
    assert codes == [rounds] * len(hosts), "two were inside at once"


def _race(host: Path, inside: Path, rounds: int) -> int:
    world = make_world(host, pending=PENDING)
    won = 0
    try:
        while won < rounds:
            try:
                with world.lock.hold("race", "ann"):
                    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
                    run = world.journal.begin("production", saga.Kind.DEPLOY, "ann")
                    assert world.journal.all_unfinished("production") == (run,)
                    world.journal.set_status(run.id, Status.DONE)
                    inside.unlink()
                    won += 1
            except Busy:
                continue
        world.journal.close()
    except BaseException:  # noqa: BLE001 - a forked test runner must never run on
        return 99
    return won


@pytest.mark.usefixtures("shared")
def test_a_host_whose_process_was_killed_leaves_the_lock_free(tmp_path: Path) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    assert kills.killed_at(tmp_path, ("migrate", "after-intent"), kills.deploy, PENDING, die)
    world = make_world(tmp_path, pending=PENDING)
    with world.lock.hold("look", "bob"):
        row = world.journal.unfinished("production")
    assert row is not None
    world.journal.close()


def _elsewhere(folder: Path) -> World:
    journal = Journal(place(folder), clock=lambda: NOW, host="web2")
    return make_world(folder, pending=PENDING, journal=journal, settings=kills.SETTINGS)


@pytest.mark.usefixtures("shared")
def test_a_migration_that_was_begun_on_another_host_is_not_begun_again_here(tmp_path: Path) -> None:
    production = Production(tmp_path)
    assert kills.killed_at(tmp_path, ("migrate", "after-intent"), kills.deploy, PENDING)
    world = _elsewhere(tmp_path)
    name = world.journal.history()[0].id
    for goes_on in (saga.resume, lambda w: saga.rollback(w, RollbackOptions(name))):
        with pytest.raises(Busy, match=f"on {socket.gethostname()}: its step 'migrate'"):
            goes_on(world)
    assert "upgrade ok" not in production.effects()
    world.journal.close()
    assert kills.finish(tmp_path, PENDING) is Status.DONE


@pytest.mark.usefixtures("shared")
def test_another_host_goes_on_where_nothing_is_left_on_the_first(tmp_path: Path) -> None:
    production = Production(tmp_path)
    assert kills.killed_at(tmp_path, ("update-app", "before-intent"), kills.deploy, PENDING)
    kept = production["backups"]
    production.change(backups={})
    world = _elsewhere(tmp_path)
    with pytest.raises(Busy, match=r"its backup .* lies there"):
        saga.resume(world)
    production.change(backups=kept)
    saga.resume(world)
    assert kills.legal(production) == "after"
    [row] = world.journal.history()
    assert [e.evidence["host"] for e in world.journal.events(row.id) if e.step == "moved"] == [
        "web2"
    ]
    world.journal.close()
