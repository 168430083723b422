"""What keeps a deploy out is explained layer by layer, and only what is proven to be stale is freed; real processes."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deployguard.deploy import saga
from deployguard.deploy.run import DeployOptions
from deployguard.deploy.unlocking import Layer, State, refuse, unlock
from deployguard.deploy.world import World
from deployguard.errors import Busy, EnvironmentUnreachable
from deployguard.gate import Mode
from tests.deploy import test_real_postgres as real_postgres
from tests.deploy.real import EXPAND, Small, small
from tests.deploy.test_real_postgres import Postgres
from tests.deploy.test_real_sqlite import CHILD, SLOW, in_child, world_of

postgres = real_postgres.project
PATIENCE = 60.0


def states(layers: tuple[Layer, ...]) -> list[str]:
    return [str(layer.state) for layer in layers]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def refused(world: World, layers: tuple[Layer, ...]) -> Busy:
    with pytest.raises(Busy) as caught:
        refuse(world, layers)
    return caught.value


class Lingering:
    """Forwards TCP to a server, and never tells it that a client has gone: a network that fails, a host without power."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                self._pairs += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)

    def close(self) -> None:
        for one in (self._listener, *self._pairs):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@contextmanager
def lingering(port: int) -> Iterator[Lingering]:
    made = Lingering(port)
    try:
        yield made
    finally:
        made.close()


def deploying(project: Postgres, url: str) -> subprocess.Popen[bytes]:
    """A deploy in a process of its own, in the middle of its migration."""
    project.revision("r2", *SLOW)
    argv = [sys.executable, "-c", CHILD, str(project.folder)]
    child = subprocess.Popen(argv, env={**project.environ(), "DATABASE_URL": url})
    until(lambda: (project.folder / "migrating").exists() or child.poll() is not None)
    assert child.poll() is None
    return child


def end(child: subprocess.Popen[bytes]) -> None:
    os.kill(child.pid, signal.SIGKILL)
    child.wait()


def test_nothing_keeps_anybody_out(postgres: Postgres) -> None:
    world = postgres.world()
    layers = unlock(world)
    assert states(layers) == ["free", "free", "free"]
    refuse(world, layers)
    assert "the last who did was ann" in unlock(world)[0].said
    world.journal.close()


def test_a_holder_that_lives_is_named_and_keeps_everything(postgres: Postgres) -> None:
    child = deploying(postgres, postgres.url)
    world = postgres.world()
    try:
        layers = unlock(world)
        assert child.poll() is None
    finally:
        end(child)
    assert states(layers) == ["held", "held", "held"]
    host, server, work = (layer.said for layer in layers)
    assert f"ann (process {child.pid} on {socket.gethostname()})" in host
    assert host.endswith("the process lives")
    assert f"process {child.pid} on" in server
    assert "holds the lock for deploy" in server
    assert "is being worked on" in work
    said = refused(world, layers)
    assert f"kill -INT {child.pid}" in " ".join(said.next_commands)
    assert said.state == "Nothing changed."
    world.journal.close()


def test_kill_9_frees_both_locks_and_the_unfinished_deploy_must_be_gone_on_with(
    postgres: Postgres,
) -> None:
    child = deploying(postgres, postgres.url)
    end(child)
    world = postgres.world()
    until(lambda: unlock(world)[1].state is State.FREE)
    layers = unlock(world)
    assert states(layers) == ["free", "free", "unfinished"]
    said = refused(world, layers)
    for command in ("deployguard resume", "deployguard rollback", "deployguard close"):
        assert any(command in line for line in said.next_commands)
    saga.close(world, "seen to")
    refuse(world, unlock(world))
    world.journal.close()


def test_a_session_that_outlives_its_killed_client_is_freed_when_the_journal_proves_it(
    postgres: Postgres,
) -> None:
    port = postgres.server.port
    with lingering(port) as way:
        child = deploying(postgres, postgres.url.replace(f":{port}/", f":{way.port}/"))
        end(child)
        world, elsewhere = postgres.world(), postgres.world(state=".elsewhere")

        # another host can prove nothing, and touches nothing
        for _ in range(2):
            foreign = unlock(elsewhere)
            assert states(foreign) == ["free", "held", "free"]
        assert "no run of this state folder opened it" in foreign[1].said
        assert "pg_terminate_backend" in " ".join(refused(elsewhere, foreign).next_commands)
        with pytest.raises(Busy, match="holds the lock"):
            saga.resume(world)

        layers = unlock(world)
        assert states(layers) == ["free", "freed", "unfinished"]
        assert f"process {child.pid} on" in layers[1].said
        assert refused(world, layers).state.startswith("The stale session was ended")
        assert states(unlock(elsewhere)) == ["free", "free", "free"]
    for one in (world, elsewhere):
        one.journal.close()


def test_a_session_that_nobody_here_opened_is_never_ended(postgres: Postgres) -> None:
    postgres.revision("r2", *EXPAND)
    world = postgres.world()
    saga.deploy(world, DeployOptions(Mode.AUTO))  # whose own session has ended
    with world.database() as database, database.advisory_lock(database.identity()) as lock:
        layers = unlock(world)
        assert states(layers) == ["free", "held", "free"]
        assert lock.held()
    world.journal.close()


def test_a_server_that_does_not_answer_is_unknown(postgres: Postgres) -> None:
    postgres.url = postgres.url.replace(f":{postgres.server.port}/", ":1/")
    world = postgres.world()
    layers = unlock(world)
    assert states(layers) == ["free", "unknown", "free"]
    with pytest.raises(EnvironmentUnreachable):
        refuse(world, layers)
    world.journal.close()


def test_on_sqlite_two_layers_are_enough(tmp_path: Path) -> None:
    with small(tmp_path) as project:
        _sqlite(project)


def _sqlite(project: Small) -> None:
    project.revision("r2", *SLOW)
    child = in_child(project)
    world = world_of(project)
    try:
        assert states(unlock(world)) == ["held", "free", "held"]
    finally:
        end(child)
    layers = unlock(world)
    assert states(layers) == ["free", "free", "unfinished"]
    assert "the last who did was ann" in layers[0].said
    world.journal.close()
