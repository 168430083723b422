"""A PostgreSQL server in a container of our own: named, labelled with who made it, and gone with him."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from deployguard.containers.container import Container
from deployguard.containers.engine import Engine
from deployguard.errors import EnvironmentUnreachable
from deployguard.process import Identity, alive, boot_id, identify, run

PREFIX: Final = "deployguard-drill-"
LABEL: Final = "deployguard.drill"  # pid:start:boot of the process that made it
USER: Final = "deployguard"
PORT: Final = 5432
STARTING: Final = 180.0  # seconds that a server may take to answer
_PASSWORD: Final = "POSTGRES_PASSWORD"  # noqa: S105 - the variable's name
_SETTINGS: Final = ("max_wal_size=4GB", "maintenance_work_mem=256MB")


@contextmanager
def postgres(engine: Engine, image: str) -> Iterator[tuple[Container, str]]:
    """(a running server of an image like the official one, the password of its superuser ``USER``).

    Its port is published to this machine's loopback only. The container and its volumes are removed at the end; what
    a killed process has left is removed by the next one. Nothing is pulled. Raises EnvironmentUnreachable.
    """
    sweep(engine)
    name, password = f"{PREFIX}{secrets.token_hex(4)}", secrets.token_urlsafe(16)
    started = run(
        start_argv(name, image, mark()),
        env={**os.environ, _PASSWORD: password},
        timeout=STARTING,
    )
    try:
        if not started.ok:
            raise EnvironmentUnreachable(
                f"A scratch server could not be started from the image {image}: {started.why()}"
            )
        yield _ready(engine, name, image), password
    finally:
        remove(name)


def start_argv(name: str, image: str, mark: str) -> list[str]:
    """``docker run`` of a scratch server; pure. The password is in the environment of the docker program."""
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    return [
        *("docker", "run", "--detach", "--rm", "--pull", "never", "--name", name),
        *("--label", f"{LABEL}={mark}", "--env", _PASSWORD, "--env", f"POSTGRES_USER={USER}"),
        *("--env", "POSTGRES_DB=postgres", "--publish", f"127.0.0.1::{PORT}", image),
        *("postgres", *settings),
    ]


def sweep(engine: Engine, label: str = LABEL) -> tuple[str, ...]:
    """Remove the containers of processes of this machine that are dead, by the label that names them; their names."""
    dead = [
        container.name
        for container in engine.containers(labels=(label,), stopped=True)
        if _left(container.labels[label])
    ]
    for name in dead:
        remove(name)
    return tuple(dead)


def _ready(engine: Engine, name: str, image: str) -> Container:
    """Wait until it answers over TCP, which it does not while it is still made."""
    deadline = time.monotonic() + STARTING
    while time.monotonic() < deadline:
        found = engine.container(name)
        if found is None or not found.running:
            break
        asked = engine.exec(name, ["pg_isready", "-q", "-h", "127.0.0.1"], timeout=20)
        if asked.ok:
            return found
        time.sleep(0.3)
    said = engine.logs(name).decode(errors="replace").strip().splitlines()[-1:]
    raise EnvironmentUnreachable(
        f"The scratch server of the image {image} did not start: {''.join(said) or 'it is gone'}"
    )


def remove(name: str) -> None:
    """Remove a container with its volumes, running or not; nothing happens when there is none."""
    run(["docker", "rm", "--force", "--volumes", name], timeout=60)


def mark() -> str:
    """Who we are, for the label of what we make."""
    maker = identify()
    return f"{maker.pid}:{maker.started}:{maker.boot}" if maker else "0:0:"


def _left(mark: str) -> bool:
    """Whether its maker ran in this boot of this machine, and is dead; of another machine's nobody here knows."""
    pid, _, rest = mark.partition(":")
    started, _, boot = rest.partition(":")
    if not (pid.isdigit() and started.isdigit() and boot) or boot != boot_id():
        return False
    return not alive(Identity(int(pid), int(started), boot))
