"""Programs of an image that is here, each run in a container of its own: named, labelled, and gone with its maker."""

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployguard.containers import scratch
from deployguard.containers.engine import LONGEST, Engine
from deployguard.containers.find import find_container
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.process import Completed, Redactor, run, which

PREFIX: Final = "deployguard-once-"
LABEL: Final = "deployguard.once"  # pid:start:boot of the process that made it
# What libpq reads from files; they are shown to the container where they lie, and cannot be written there.
FILES: Final = ("PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGSSLCRL")
_STARTING: Final = 60.0  # seconds that the engine may need besides the program's own time


@dataclass(frozen=True, slots=True)
class OneOff:
    """Runs a program in a new container of ``image`` on this machine's network; called as ``Engine.exec`` is.

    Values of the environment never reach an argv. Nothing is pulled, and the engine keeps no log of the output, which
    may be a whole dump.
    """

    image: str
    environ: Mapping[str, str] | None = None  # what the docker program gets besides; None is ours

    def __call__(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stdin_path: Path | None = None,
        stdout_path: Path | None = None,
        timeout: float | None = None,
        redact: Redactor | None = None,
        moving: Callable[[], object] | None = None,
    ) -> Completed:
        """Raises EnvironmentUnreachable where there is no docker program."""
        given = environment or {}
        name = f"{PREFIX}{secrets.token_hex(4)}"
        limit = timeout if moving is None and timeout is not None else LONGEST
        try:
            return run(
                once_argv(
                    (name, scratch.mark(), self.image),
                    argv,
                    given,
                    interactive=stdin_path is not None,
                    timeout=limit,
                ),
                env={**(os.environ if self.environ is None else self.environ), **given},
                stdin_path=stdin_path,
                stdout_path=stdout_path,
                timeout=timeout if timeout is None or moving is not None else timeout + _STARTING,
                redact=redact,
                moving=moving,
            )
        finally:
            scratch.remove(name)


def once_argv(
    who: tuple[str, str, str],
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    interactive: bool,
    timeout: float,
) -> list[str]:
    """``docker run`` of one program; ``who`` is (name, mark, image). Names of variables only, never their values."""
    name, mark, image = who
    names = [part for variable in sorted(environment) for part in ("--env", variable)]
    files = dict.fromkeys(environment.get(variable, "") for variable in FILES)
    mounts = [
        part
        for path in files
        if path.startswith("/")
        for part in ("--mount", f"type=bind,source={path},target={path},readonly")
    ]
    return [
        *("docker", "run", "--rm", "--pull", "never", "--name", name, "--label", f"{LABEL}={mark}"),
        *("--network", "host", "--log-driver", "none", *(["--interactive"] if interactive else [])),
        *(*names, *mounts, "--entrypoint", "timeout", image),
        *("-k", "10", str(max(1, round(timeout))), *argv),
    ]


def find_oneoffs(
    engine: Engine,
    images: Sequence[str],
    *,
    host: str = "",
    project: Callable[[], str | None] = lambda: None,
    environ: Mapping[str, str] | None = None,
) -> tuple[OneOff, ...]:
    """Ways to run programs in the image of the container that answers to ``host``, then in ``images``: those here.

    None where no engine of this machine answers: another machine's "localhost" is not ours. What killed processes
    have left is removed.
    """
    path = (os.environ if environ is None else environ).get("PATH")
    here = (os.environ.get("DOCKER_HOST") or "unix://").startswith("unix://")
    if not here or which("docker", path=path) is None:
        return ()
    try:
        engine.ping()
        scratch.sweep(engine, LABEL)
        own = _image_of(engine, host, project) if host else ""
        wanted = dict.fromkeys((own, *images))
        return tuple(OneOff(name, environ) for name in wanted if name and engine.image_id(name))
    except EnvironmentUnreachable:
        return ()


def _image_of(engine: Engine, host: str, project: Callable[[], str | None]) -> str:
    try:
        found = find_container(engine, host, project())
    except (EnvironmentUnreachable, UsageError):  # several may be meant
        return ""
    return found.reference if found else ""
