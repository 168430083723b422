"""Small throwaway compose projects for tests of containers, migrators and targets."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deployguard.config import TargetConfig
from deployguard.containers import Compose
from deployguard.process import Redactor
from tests.support.docker import run

BASE = "python:3.11-slim"


@dataclass(slots=True)
class Project:
    """A compose project in a folder of its own; leaves nothing behind after `down`."""

    folder: Path
    name: str = field(default_factory=lambda: f"dgt{secrets.token_hex(4)}")
    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    secrets: tuple[str, ...] = ()
    built: list[str] = field(default_factory=list)  # image ids

    def write(self, text: str, file: str = "docker-compose.prod.yml") -> None:
        (self.folder / file).write_text(text.replace("@BASE", BASE).replace("@PROJECT", self.name))

    def target(self, *services: str, **changes: object) -> TargetConfig:
        return TargetConfig(
            kind="compose",
            project_name=self.name,
            services=services,
            timeout=60,
            **changes,  # type: ignore[arg-type]
        )

    def compose(self, *services: str, **changes: object) -> Compose:
        target = self.target(*services, **changes)
        return Compose(target, self.folder, self.environ, Redactor(self.secrets))

    def call(self, *arguments: str) -> str:
        files = ("-f", str(self.folder / "docker-compose.prod.yml"))
        argv = ("docker", "compose", "-p", self.name, *files, *arguments)
        return run(*argv, environment=self.environ)

    def build(self, tag: str, says: str) -> str:
        """An image PROJECT:tag that holds /said; its id."""
        context = self.folder / f"image-{tag}"
        context.mkdir(exist_ok=True)
        # The label makes it nobody else's: a test beside this one that built the same would remove it by its id.
        (context / "Dockerfile").write_text(
            f"FROM {BASE}\nLABEL project={self.name}\nRUN echo {says} > /said\n"
        )
        run(
            *("docker", "build", "-q", "-t", f"{self.name}:{tag}", str(context)),
            environment={"DOCKER_BUILDKIT": "0"},
        )
        image = run("docker", "image", "inspect", "-f", "{{.Id}}", f"{self.name}:{tag}").strip()
        self.built.append(image)
        return image

    def down(self) -> None:
        label = f"label=com.docker.compose.project={self.name}"
        for kind, ids in (
            ("rm", run("docker", "ps", "-aq", "--filter", label).split()),
            ("network", run("docker", "network", "ls", "-q", "--filter", label).split()),
            ("volume", run("docker", "volume", "ls", "-q", "--filter", label).split()),
        ):
            remove = ["rm", "-f", "-v"] if kind == "rm" else [kind, "rm"]
            if ids:
                subprocess.run(["docker", *remove, *ids], capture_output=True, check=False)
        names = run("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", self.name).split()
        if names or self.built:
            argv = ["docker", "rmi", "-f", *names, *self.built]
            subprocess.run(argv, capture_output=True, check=False)


@contextmanager
def project(folder: Path) -> Iterator[Project]:
    made = Project(folder)
    try:
        yield made
    finally:
        made.down()
