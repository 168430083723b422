"""Deployguard's own command line, forked from a process that has loaded it, which can end itself at a boundary.

Reads orders from stdin, one JSON document a line: argv, cwd, env, out and err (files), and at: null, or [step, point,
nth, signal]. Answers each with the process's number, then with its wait status. Nothing of the program is replaced but
Journal.record, which calls the real one: the process sends itself the signal right before or right after it.
"""

import importlib
import json
import os
import signal
import sys
from pathlib import Path

LOADED = (
    "alembic",
    "psycopg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "deployguard.backups.postgres",
    "deployguard.backups.sqlite",
    "deployguard.cli.group",
    "deployguard.cli.session",
    "deployguard.database",
    "deployguard.deploy.saga",
    "deployguard.deploy.wiring",
    "deployguard.health",
    "deployguard.migrators",
    "deployguard.revisions.graph",
    "deployguard.targets",
)


def load() -> None:
    """What a command would import, once for all."""
    for name in LOADED:
        importlib.import_module(name)


def kill_at(step: str, point: str, nth: int, number: int) -> None:
    """End this process at the ``nth`` time that it comes to the point (before-intent, after-done, …) of a step."""
    from deployguard.state import EventKind, Journal

    real, left = Journal.record, [nth]

    def reached(where: str, when: str) -> None:
        if step not in ("*", where) or point not in ("*", when):
            return
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), number)

    def record(
        self: Journal, deploy: str, where: str, kind: EventKind, evidence: object = None
    ) -> None:
        reached(where, f"before-{kind}")
        real(self, deploy, where, kind, evidence)  # type: ignore[arg-type]
        reached(where, f"after-{kind}")

    Journal.record = record  # type: ignore[assignment,method-assign]


def command(order: dict[str, object]) -> None:
    os.setsid()
    os.chdir(str(order["cwd"]))
    os.environ.clear()
    os.environ.update(order["env"])  # type: ignore[arg-type]
    for number, path in ((0, "/dev/null"), (1, order["out"]), (2, order["err"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_APPEND
        os.dup2(os.open(str(path), flags, 0o600), number)
    sys.argv = ["deployguard", *order["argv"]]  # type: ignore[misc]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if order["at"]:
        kill_at(*order["at"])  # type: ignore[misc]
    from deployguard.cli import main

    main()


def serve() -> None:
    load()
    answers = os.fdopen(os.dup(1), "w")
    while line := sys.stdin.readline():
        pid = os.fork()
        if pid == 0:
            os.close(answers.fileno())
            command(json.loads(line))
            raise AssertionError("main always exits")
        print(pid, file=answers, flush=True)
        print(os.waitpid(pid, 0)[1], file=answers, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    serve()
