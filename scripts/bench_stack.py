"""The Compose stack that a deploy is measured on: bookings, brought from v1 to v2 by hand or by deployguard."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench_place import Place

from tests.e2e.production import Production
from tests.support import docker

BEFORE = "b013"  # what v1 has; v2 adds a column


@contextmanager
def stack(work: Path) -> Iterator[Place]:
    """Raises SystemExit where no engine answers."""
    why = docker.missing()
    if why:
        raise SystemExit(f"--docker needs an engine: {why}")
    images, folder = docker.Images(), work / "stack"
    folder.mkdir(parents=True)
    production = Production(
        docker.Stack(images.name, file=folder / "docker-compose.prod.yml"), folder
    )
    try:
        for tag in ("v1", "v2"):
            images.build(tag, head=docker.RELEASES[tag])
        production.set_up()
        production.stack.up()
        production.stack.seed(2000)
        production.checkout("v2")
        yield _place(production)
    finally:
        production.stack.down()
        images.remove()


def _place(production: Production) -> Place:
    running = production.stack

    def reset() -> None:
        running.tag = "v2"  # only it knows its own revision
        running.migrate("alembic", "downgrade", BEFORE)
        running.tag = "v1"
        running.compose("up", "-d", "--wait", "--no-build")
        running.compose("exec", "-T", "postgres", "rm", "-rf", "/tmp/bare")
        running.tag = "v2"
        shutil.rmtree(production.folder / ".deployguard", ignore_errors=True)
        subprocess.run(
            ["docker", "container", "prune", "-f", "--filter", _ours(running)], check=True
        )

    compose = ["docker", "compose", "-p", running.project, "-f", str(running.file)]
    dump = ["exec", "-T", "postgres", "pg_dump", "-Fd", "-j2", "-U", "bookings", "-f", "/tmp/bare"]
    migrate = ["--profile", "migration", "run", "--rm", "--no-deps", "-T", "migration"]
    return Place(
        "Docker Compose, bookings",
        production.folder,
        production.environ,
        reset,
        (
            ("backup", [*compose, *dump, "bookings"]),
            ("migrate", [*compose, *migrate]),
            ("update", [*compose, "up", "-d", "--wait", "--no-build"]),
        ),
    )


def _ours(running: docker.Stack) -> str:
    return f"label=com.docker.compose.project={running.project}"
