"""An application that Docker Compose runs: its services are recreated, and put back by image."""

import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deployguard.config import TargetConfig
from deployguard.containers import Compose, ComposeProject, Engine, Reference
from deployguard.containers.container import table
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.model import Foreseen, Json, Release
from deployguard.process import Completed
from deployguard.targets.base import NOT_RUNNING, UpdateFailed
from deployguard.targets.replacing import Replacing


@dataclass(frozen=True, slots=True)
class ComposeTarget:
    """The configured services of a compose project.

    ``state`` is the state folder. ``migration`` is (profile, service) when migrations run in a service of the same
    project: it is built, pulled and looked for together with the others. ``on_line`` gets compose's progress.
    """

    compose: Compose
    engine: Engine
    state: Path
    migration: tuple[str, str] | None
    on_line: Callable[[str], None]

    @property
    def config(self) -> TargetConfig:
        return self.compose.target

    @property
    def can_stop(self) -> bool:
        return True

    def preflight(self) -> None:
        self.compose.preflight()
        self.engine.ping()
        if not self.config.services:
            raise UsageError(
                "[target] services is empty: name the services that are to be updated."
            )
        project = self._project()
        known = project.services
        for service in self.config.services:
            if service not in known:
                raise UsageError(
                    f"The compose project has no service {service!r} ([target] services); it has:"
                    f" {', '.join(sorted(known))}."
                )
        for proxy in self._replacing(project).proxies():
            proxy.preflight()

    def foresee(self) -> tuple[Foreseen, ...]:
        return self._replacing().foresee(self.config.services)

    def prepare(self) -> None:
        services = self._prepared()
        if self.config.prepare != "none":
            profile = self.migration[0] if self.migration else None
            done = self.compose.run(
                self.config.prepare,
                *services,
                profile=profile,
                timeout=self.config.timeout,
                on_line=self.on_line,
            )
            if not done.ok:
                raise EnvironmentUnreachable(
                    f"`docker compose {self.config.prepare}` failed: {done.why()}",
                    state="Nothing that runs was touched.",
                    next_commands=(self._shown(self.config.prepare, *services),),
                )
        project = self._project()
        for service in services:
            if self.engine.image_id(project.image(service)) is None:
                raise EnvironmentUnreachable(
                    f"The image {project.image(service)} of the service {service} is not on this"
                    ' machine; build or pull it, or set prepare = "build" or "pull" in [target].',
                    next_commands=(self._shown("build", service), self._shown("pull", service)),
                )

    def current(self) -> Release:
        images: dict[str, str] = {}
        references: dict[str, str] = {}
        containers: dict[str, tuple[str, ...]] = {}
        name = self._project().name
        for service in self.config.services:
            found = self.engine.service_containers(name, service)
            # Several images at once is an update that stopped half-way: it equals neither the old nor the new.
            images[service] = ",".join(sorted({c.image for c in found})) or NOT_RUNNING
            references[service] = ",".join(sorted({c.reference for c in found}))
            containers[service] = tuple(c.id for c in found)
        digests = {service: self._known(one) for service, one in images.items()}
        return Release(images, references, containers, digests)

    def update(self, deploy: str, former: Release) -> Release:
        project = self._project()
        self._keep(former, project, deploy)
        wanted = {s: self.engine.image_id(project.image(s)) or "" for s in self.config.services}
        done = self._replacing(project).replace(wanted, former, deploy, self._up)
        return self._confirmed(wanted, self._told(done, former, wanted))

    def put_back(self, release: Release, deploy: str) -> Release:
        project = self._project()
        wanted = {s: image for s, image in release.images.items() if image != NOT_RUNNING}
        for service, image in wanted.items():
            if self.engine.image_id(image) is None:
                raise UpdateFailed(
                    f"The image that the service {service} ran before ({image}) is not on this machine"
                    " any more.",
                    tuple(f"docker pull {one}" for one in self._pulled(release, service)),
                )
        overrides = self._lead_back(wanted, release.references, project, deploy)
        before, done = self.current(), {}
        if wanted:
            files = (self._write(overrides, deploy),) if overrides else ()
            done = self._replacing(project).replace(
                wanted,
                release,
                deploy,
                lambda some: self._up(some, files),
                overrides=files,
                back=True,
            )
        silent = [service for service in release.images if service not in wanted]
        if silent:
            self._must(self.compose.run("stop", *silent, timeout=self.config.timeout), "stop")
        return self._confirmed(dict(release.images), self._told(done, before, wanted))

    def stop(self) -> None:
        self._must(self.compose.run("stop", *self.config.services, on_line=self.on_line), "stop")

    def start(self) -> None:
        self._must(self.compose.run("start", *self.config.services, on_line=self.on_line), "start")
        if self.config.rolling:  # they may have got other addresses
            self._replacing().tell_proxies(self.config.services, "")

    def running(self) -> bool:
        return NOT_RUNNING not in self.current().images.values()

    def stopped(self) -> bool:
        return set(self.current().images.values()) <= {NOT_RUNNING}

    def _replacing(self, project: ComposeProject | None = None) -> Replacing:
        known = project or self._project()
        return Replacing(self.compose, self.engine, known, self.on_line)

    # --- images

    def _keep(self, release: Release, project: ComposeProject, deploy: str) -> None:
        """Give each image that runs a tag, so that it outlives its containers and a prune."""
        for service, images in release.images.items():
            name = self._kept(service, release.references.get(service, ""), project, deploy)
            # An update that is repeated finds the new image running: the first tag is the right one.
            if images != NOT_RUNNING and "," not in images and self.engine.image_id(name) is None:
                self.engine.tag(images, name)

    def _lead_back(
        self,
        wanted: Mapping[str, str],
        references: Mapping[str, str],
        project: ComposeProject,
        deploy: str,
    ) -> dict[str, str]:
        """Move names back to the old images; services whose name can't be moved: service → name to start by."""
        by_name: dict[str, set[str]] = defaultdict(set)
        for service, image in wanted.items():
            by_name[project.image(service)].add(image)
        overrides = {}
        for service, image in wanted.items():
            name, before = project.image(service), references.get(service, "")
            present = self.engine.image_id(name)
            parts = Reference.parse(name)
            if present == image and by_name[name] == {image}:
                continue
            if name == before and parts.movable and by_name[name] == {image}:
                if present is not None:
                    self.engine.tag(present, parts.tagged(f"deployguard-failed-{deploy}"))
                self.engine.tag(image, name)
            elif Reference.parse(before).movable and self._leads_to(before, image):
                overrides[service] = before
            else:
                overrides[service] = self._kept(service, before, project, deploy)
                self.engine.tag(image, overrides[service])
        return overrides

    def _leads_to(self, name: str, image: str) -> bool:
        return bool(name) and self.engine.image_id(name) == image

    @staticmethod
    def _kept(service: str, reference: str, project: ComposeProject, deploy: str) -> str:
        parts = Reference.parse(reference or project.image(service))
        nameless = parts.repository == "sha256" or "," in reference
        repository = f"{project.name}-{service}" if nameless else parts.repository
        return f"{repository}:deployguard-{deploy}-{service}"

    def _write(self, overrides: Mapping[str, str], deploy: str) -> Path:
        path = self.state / "runs" / f"{deploy}-put-back.compose.json"
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        services = {
            service: {"image": image, "pull_policy": "never"}
            for service, image in overrides.items()
        }
        path.write_text(json.dumps({"services": services}, indent=2))  # JSON is YAML
        path.chmod(0o600)
        return path.resolve()

    # --- compose

    def _project(self) -> ComposeProject:
        return self.compose.project(profile=self.migration[0] if self.migration else None)

    def _prepared(self) -> tuple[str, ...]:
        extra = (self.migration[1],) if self.migration else ()
        return tuple(dict.fromkeys((*self.config.services, *extra)))

    def _up(self, services: tuple[str, ...], overrides: tuple[Path, ...] = ()) -> None:
        """Recreate what differs, no other service, and wait until all of it is running and healthy."""
        limit = self.config.timeout
        argv = (
            *("up", "-d", "--no-deps", "--no-build", "--pull", "never"),
            *("--wait", "--wait-timeout", str(limit)),
            *services,
        )
        done = self.compose.run(
            *argv, overrides=overrides, timeout=limit + 60, on_line=self.on_line
        )
        self._must(done, "up")

    def _must(self, done: Completed, what: str) -> None:
        if not done.ok:
            raise UpdateFailed(
                f"`docker compose {what}` failed: {done.why()}",
                (self._shown("ps", "-a"), self._shown("logs", "--tail", "50")),
            )

    def _shown(self, *arguments: str) -> str:
        return " ".join(self.compose.argv(*arguments))

    @staticmethod
    def _pulled(release: Release, service: str) -> tuple[str, ...]:
        """By what a registry has the image that the service ran."""
        return tuple(one for one in release.digests.get(service, "").split(",") if "@" in one)

    def _known(self, images: str) -> str:
        """Each image by its digest where a registry knows one, else by its id."""
        if images == NOT_RUNNING:
            return images
        return ",".join(self.engine.digest(one) or one for one in images.split(","))

    def _told(
        self, done: Mapping[str, Json], before: Release, wanted: Mapping[str, str]
    ) -> dict[str, Json]:
        """What was done to each service, with its images as a registry knows them."""
        return {
            service: {
                **table(what),
                "from": self._known(before.images.get(service, NOT_RUNNING)),
                "to": self._known(wanted[service]),
            }
            for service, what in done.items()
        }

    def _confirmed(self, wanted: Mapping[str, str], details: Mapping[str, Json]) -> Release:
        now = self.current()
        for service, image in wanted.items():
            if now.images.get(service) != image:
                raise UpdateFailed(
                    f"The service {service} runs {now.images.get(service)} and not {image}.",
                    (self._shown("ps", "-a"),),
                )
        return replace(now, details=details)
