"""One compose project without an engine: its containers in memory, a proxy's file on disk, and no time that passes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployguard.config import RollingConfig, TargetConfig
from deployguard.containers import Compose, ComposeProject, Container, Engine, Service
from deployguard.model import Json, Release
from deployguard.process import Completed, Redactor
from deployguard.targets.replacing import Replacing

OLD, NEW = "sha256:old", "sha256:new"
CHECKED: dict[str, Json] = {"healthcheck": {"test": ["CMD", "true"]}}


class Room(Engine):
    """An engine whose containers are what a test says."""

    def __init__(self) -> None:
        super().__init__()
        self.here: dict[str, Container] = {}
        self.keeps: tuple[str, ...] = ()

    def add(self, name: str, image: str, health: str = "healthy", status: str = "running") -> None:
        labels = {
            "com.docker.compose.project": "shop",
            "com.docker.compose.service": name.partition("-")[0],
            "com.docker.compose.oneoff": "False",
            "com.docker.compose.config-hash": image,
        }
        self.here[name] = Container(
            f"id-{name}", name, image, image, status, None, "t", health, labels, {}, {}, {}
        )

    def change(self, name: str, status: str, health: str) -> None:
        self.here[name] = replace(self.here[name], status=status, health=health)

    def names(self, *, stopped: bool = True) -> list[str]:
        return [one.name for one in self.containers(stopped=stopped)]

    def containers(
        self, *, labels: Sequence[str] = (), stopped: bool = False
    ) -> tuple[Container, ...]:
        wanted = [label.split("=", 1) for label in labels]
        found = [
            one
            for one in self.here.values()
            if (stopped or one.running) and all(one.labels.get(k) == v for k, v in wanted)
        ]
        return tuple(sorted(found, key=lambda one: one.name))

    def container(self, name: str) -> Container | None:
        return next((one for one in self.here.values() if name in {one.id, one.name}), None)

    def logs(self, name: str, *, since: int | None = None) -> bytes:
        return b""

    def stop(self, names: Sequence[str], *, timeout: float) -> Completed:
        for one in [one for one in self.here.values() if one.id in names]:
            self.change(one.name, status="exited", health="")
        return Completed(0, "", "", 0)

    def remove(self, name: str) -> bool:
        found = self.container(name)
        if found is not None and not found.running:
            del self.here[found.name]
        return found is None or not found.running

    def image_keeps(self, reference: str) -> tuple[str, ...]:
        return self.keeps

    def image_tells_health(self, reference: str) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Held(Compose):
    """Compose in the room: it starts healthy containers of the new image."""

    room: Room = field(default_factory=Room)
    image: str = NEW

    def hash(self, service: str, *, overrides: Sequence[Path] = ()) -> str:
        return self.image

    def project(self, *, profile: str | None = None) -> ComposeProject:
        services = {
            name: Service(name, "", {}, builds=False, definition={**CHECKED, "scale": 2})
            for name in ("web", "worker", "cron")
        }
        return ComposeProject("shop", services)

    def run(
        self,
        *args: str,
        profile: str | None = None,
        overrides: Sequence[Path] = (),
        timeout: float | None = None,
        on_line: Callable[[str], None] | None = None,
    ) -> Completed:
        if args[0] == "up":
            service, _, scale = args[args.index("--scale") + 1].partition("=")
            number = 1
            while len(self.room.service_containers("shop", service, stopped=True)) < int(scale):
                if f"{service}-{number}" not in self.room.here:
                    self.room.add(f"{service}-{number}", self.image)
                number += 1
        elif args[0] == "start":
            for name in [one for one in self.room.here if one.partition("-")[0] in args[1:]]:
                self.room.change(name, status="running", health="healthy")
        return Completed(0, "", "", 0)


@dataclass
class Shop:
    """The project, and what is told of it. ``then`` is called with each sleep's seconds."""

    folder: Path
    room: Room = field(default_factory=Room)
    image: str = NEW
    then: Callable[[float], None] = lambda _: None
    switch: tuple[tuple[str, ...], ...] = ()
    told: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)

    @property
    def compose(self) -> Held:
        web = RollingConfig("web", "web.conf", "{name}", self.switch, drain=7)
        target = TargetConfig(
            services=("web", "worker", "cron"), rolling=(web, RollingConfig("worker"))
        )
        return Held(target, self.folder, dict(os.environ), Redactor(()), self.room, self.image)

    def replacing(self) -> Replacing:
        return Replacing(
            self.compose, self.room, self.compose.project(), self.told.append, self._sleep
        )

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.then(seconds)

    def routes(self) -> list[str]:
        """Whom the proxy's file names."""
        file = self.folder / "web.conf"
        return file.read_text().split() if file.exists() else []

    def former(self) -> Release:
        """What ran, as a deploy notes it: every container of the old image."""
        ids: dict[str, tuple[str, ...]] = {}
        for one in self.room.containers():
            if one.image == OLD:
                ids[one.service] = (*ids.get(one.service, ()), one.id)
        return Release(dict.fromkeys(ids, OLD), containers=ids)
