"""Where the recording child runs: this machine's interpreter, or a container of the migration's service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

# Reads the recorder and its request from standard input, so that nothing of it is on a command line or a disk.
BOOTSTRAP = (
    "import sys,json;request=json.loads(sys.stdin.buffer.read());"
    "exec(compile(request.pop('loader'),'<deployguard>','exec'),{'request':request})"
)

# What a program needs to run at all. Everything else may be a secret and is not handed on.
KEPT = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "VIRTUAL_ENV",
    "CONDA_PREFIX",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
    "ALEMBIC_CONFIG",
    "FLASK_APP",
)


class Launcher(Protocol):
    """Builds the command that starts a Python program given as text."""

    def argv(self, bootstrap: str, environment: Mapping[str, str]) -> list[str]:
        """The argv that runs `bootstrap` with the variables of `environment` (names only appear in it)."""
        ...

    def environment(self, wanted: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
        """The environment to start that argv in. `wanted` is for the child, `outer` is our own."""
        ...


@dataclass(frozen=True, slots=True)
class Local:
    """The project's interpreter on this machine."""

    python: tuple[str, ...]

    def argv(self, bootstrap: str, environment: Mapping[str, str]) -> list[str]:
        """`PYTHON -c BOOTSTRAP`."""
        del environment
        return [*self.python, "-c", bootstrap]

    def environment(self, wanted: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
        """Only what is wanted, and what every program needs."""
        kept = {name: outer[name] for name in outer if name in KEPT or name.startswith("LC_")}
        return {**kept, **wanted}


@dataclass(frozen=True, slots=True)
class Compose:
    """A one-off container of a compose service, with its image's own interpreter.

    `compose` is the beginning of the command: `docker compose -f FILE -p PROJECT`.
    """

    compose: tuple[str, ...]
    service: str
    profile: str = "migration"
    python: str = "python"

    def argv(self, bootstrap: str, environment: Mapping[str, str]) -> list[str]:
        """`docker compose … --profile P run --rm -T --no-deps -e NAME --entrypoint python SERVICE -c BOOTSTRAP`."""
        names = [part for name in sorted(environment) for part in ("-e", name)]
        profile = ["--profile", self.profile] if self.profile else []
        run = [
            "run",
            "--rm",
            "-T",
            "--no-deps",
            *names,
            "--entrypoint",
            self.python,
            self.service,
            "-c",
            bootstrap,
        ]
        return [*self.compose, *profile, *run]

    def environment(self, wanted: Mapping[str, str], outer: Mapping[str, str]) -> dict[str, str]:
        """Ours, because compose fills in its files from it; the child inside strips what it was not promised."""
        return {**outer, **wanted}
