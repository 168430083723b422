"""Compose commands for the configured files: pure argv, and the project as compose itself resolves it."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deployguard.config import TargetConfig
from deployguard.containers.container import table, text
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.model import Json
from deployguard.process import Completed, Redactor, require, run


def compose_argv(
    target: TargetConfig,
    *args: str,
    profile: str | None = None,
    overrides: Sequence[Path] = (),
) -> list[str]:
    """``docker compose -f … [-f OVERRIDE] [-p NAME] [--profile PROFILE] ARGS``; file names as configured."""
    files = [
        part for name in (*target.compose_files, *map(str, overrides)) for part in ("-f", name)
    ]
    name = ["-p", target.project_name] if target.project_name else []
    chosen = ["--profile", profile] if profile else []
    return ["docker", "compose", *files, *name, *chosen, *args]


@dataclass(frozen=True, slots=True)
class Service:
    """One service as compose resolves it. ``image`` is empty when the file names none (compose invents one).

    ``build`` is its build section, {} when it is not built; ``binds`` are the paths of this machine that it mounts.
    ``definition`` is all that the file says of it.
    """

    name: str
    image: str
    environment: Mapping[str, str]
    builds: bool
    build: Mapping[str, Json] = field(default_factory=dict)
    binds: tuple[str, ...] = ()
    definition: Mapping[str, Json] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ComposeProject:
    """``docker compose config``: the project's real name and its services. Holds secrets: never print it."""

    name: str
    services: Mapping[str, Service]

    def image(self, service: str) -> str:
        """The name of the image that compose starts the service by."""
        return self.services[service].image or f"{self.name}-{service}"


@dataclass(frozen=True, slots=True)
class Compose:
    """Compose on the configured files, whose names count from ``directory``.

    ``environ`` is the whole environment of the docker program: secrets and the files' variables come from there.
    """

    target: TargetConfig
    directory: Path
    environ: Mapping[str, str]
    redact: Redactor

    def argv(
        self, *args: str, profile: str | None = None, overrides: Sequence[Path] = ()
    ) -> list[str]:
        return compose_argv(self.target, *args, profile=profile, overrides=overrides)

    def run(
        self,
        *args: str,
        profile: str | None = None,
        overrides: Sequence[Path] = (),
        timeout: float | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        """Run a compose command to its end. Raises EnvironmentUnreachable when docker cannot be run."""
        argv = self.argv(*args, profile=profile, overrides=overrides)
        return run(
            argv,
            env=self.environ,
            cwd=self.directory,
            timeout=timeout,
            on_line=on_line,
            redact=self.redact,
        )

    def preflight(self) -> None:
        """Raises EnvironmentUnreachable without docker or its compose plugin, UsageError without the files."""
        require("docker", path=self.environ.get("PATH"))
        if not run(["docker", "compose", "version"], env=self.environ, timeout=30).ok:
            raise EnvironmentUnreachable(
                "Docker is here, but its Compose plugin (version 2) is not; install the package"
                " docker-compose-plugin: https://docs.docker.com/compose/install/linux/",
                next_commands=("docker compose version",),
            )
        for name in self.target.compose_files:
            if not (self.directory / name).is_file():
                raise UsageError(
                    f"There is no compose file {name} in {self.directory} ([target] compose_files)."
                )

    def hash(self, service: str, *, overrides: Sequence[Path] = ()) -> str:
        """What compose labels the service's containers with (``com.docker.compose.config-hash``), as it is now."""
        argv = self.argv("config", "--hash", service, overrides=overrides)
        done = run(argv, env=self.environ, cwd=self.directory, timeout=60)
        return done.stdout.split()[-1] if done.ok and done.stdout.strip() else ""

    def project(self, *, profile: str | None = None) -> ComposeProject:
        """The project as compose resolves it now, variables filled in. Raises UsageError when it cannot."""
        argv = self.argv("config", "--format", "json", profile=profile)
        # Not redacted: it is read here and shown nowhere, and a short password would break its JSON.
        done = run(argv, env=self.environ, cwd=self.directory, timeout=60)
        if not done.ok:
            raise UsageError(
                f"Compose cannot read the project: {self.redact(done.why())}",
                next_commands=(" ".join(self.argv("config", "--quiet", profile=profile)),),
            )
        content: Json = json.loads(done.stdout)
        services = table(table(content).get("services"))
        return ComposeProject(
            text(table(content).get("name")),
            {name: _service(name, table(value)) for name, value in services.items()},
        )


def _service(name: str, value: Mapping[str, Json]) -> Service:
    environment = table(value.get("environment"))
    return Service(
        name,
        text(value.get("image")),
        {key: text(item) for key, item in environment.items()},
        "build" in value,
        table(value.get("build")),
        tuple(_binds(value.get("volumes"))),
        value,
    )


def _binds(volumes: Json) -> Iterator[str]:
    for volume in volumes if isinstance(volumes, list) else ():
        if text(table(volume).get("type")) == "bind":
            yield text(table(volume).get("source"))
