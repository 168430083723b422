"""Images of a commit: compose builds them from a checkout, while all else of the project stays where it is.

Only the build contexts are moved, by a compose file of ours that comes after the configured ones. Project name, env
files, secrets, volumes and the compose files themselves are those of the working copy.
"""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Final

from deployguard.containers import Compose, ComposeProject, Engine, Reference
from deployguard.containers.compose import Service
from deployguard.errors import DeployguardError, EnvironmentUnreachable, UsageError
from deployguard.model import Json

LONGEST: Final = 3600.0  # seconds that a build may take
PATHS: Final = (
    "context",
    "dockerfile",
)  # of a build section; a relative dockerfile counts from the context


@dataclass(frozen=True, slots=True)
class Moved:
    """A working copy, and a checkout of it: paths of the one as paths of the other."""

    top: Path
    tree: Path
    ref: str

    def path(self, path: str) -> str | None:
        """The same path in the checkout; None for one outside of the working copy."""
        try:
            inside = Path(path).resolve().relative_to(self.top.resolve())
        except ValueError:
            return None
        return str(self.tree / inside)

    def holds(self, path: Path) -> bool:
        """Whether it lies in the checkout, wherever links lead."""
        return path.resolve().is_relative_to(self.tree.resolve())

    def build(self, service: Service, built: Collection[str] = ()) -> dict[str, Json]:
        """What is to be another in the build section of the service. Raises UsageError.

        ``built``: the services that are built from the checkout.
        """
        context = str(service.build.get("context", ""))
        moved = self.path(context) if context.startswith("/") else None
        if moved is None or not self.holds(Path(moved)):
            raise self._outside(service, context)
        if not Path(moved).is_dir():
            raise UsageError(
                f"{self.ref} has no folder {Path(moved).relative_to(self.tree)}, which the service"
                f" {service.name} is built from.",
                next_commands=(f"git ls-tree {quote(self.ref)}",),
            )
        changes: dict[str, Json] = {"context": moved}
        file = service.build.get("dockerfile")
        if isinstance(file, str) and file:
            other = self.path(file) if file.startswith("/") else str(Path(moved) / file)
            if other is None or not self.holds(Path(other)):
                raise self._outside(service, file)
            changes |= {"dockerfile": other} if file.startswith("/") else {}
        more = service.build.get("additional_contexts")
        if isinstance(more, dict):
            found = {name: self._context(service, str(at), built) for name, at in more.items()}
            changes["additional_contexts"] = {name: at for name, at in found.items() if at}
        return changes

    def _context(self, service: Service, at: str, built: Collection[str]) -> str | None:
        """Where one more context lies in the checkout; None for what is no folder, which stays. Raises UsageError."""
        kind, _, name = at.partition(":")
        moved = self.path(at) if at.startswith("/") else None
        foreign = kind == "service" and name not in built
        if foreign or (at.startswith("/") and (moved is None or not self.holds(Path(moved)))):
            raise self._outside(service, at)
        return moved

    def _outside(self, service: Service, what: str) -> UsageError:
        return UsageError(
            f"The service {service.name} is built from {what}, which does not lie in the repository; so no"
            f" commit says what {self.ref} is of it.",
            next_commands=("docker compose config   # shows the build contexts",),
        )


def override(
    project: ComposeProject, services: Sequence[str], moved: Moved, images: Mapping[str, str]
) -> dict[str, Json]:
    """The compose file that moves the builds of the services; ``images``: service → name to build it by.

    Pure but for looking whether the folders are there. Raises UsageError.
    """
    changed: dict[str, Json] = {}
    built = [name for name in services if project.services[name].builds]
    for name in services:
        if project.services[name].builds:
            service: dict[str, Json] = {"build": moved.build(project.services[name], built)}
            if name in images:
                service["image"] = images[name]
            changed[name] = service
    if not changed:
        raise UsageError(
            f"None of the services {', '.join(services)} is built: the compose file says `build` of none, so there is"
            " nothing to build from a commit.",
            next_commands=("docker compose config   # shows what is built",),
        )
    return {"services": changed}


def names(project: ComposeProject, services: Sequence[str], tag: str) -> dict[str, str]:
    """Service → another name for its image, one for all services that share theirs; those that are built only."""
    chosen: dict[str, str] = {}
    for service in services:
        if project.services[service].builds:
            image = project.image(service)
            chosen.setdefault(image, f"{Reference.parse(image).repository}:{tag}-{service}")
    return {
        service: chosen[project.image(service)]
        for service in services
        if project.services[service].builds
    }


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds the services of a compose project from checkouts. ``migration`` is (profile, service), if there is one.

    ``folder`` holds the compose files of ours.
    """

    compose: Compose
    engine: Engine
    services: tuple[str, ...]
    migration: tuple[str, str] | None
    folder: Path
    on_line: Callable[[str], None] = field(repr=False)

    def project(self) -> ComposeProject:
        return self.compose.project(profile=self._profile)

    def built(self) -> tuple[str, ...]:
        """The services that are to be built: the application's, and the migration's."""
        extra = (self.migration[1],) if self.migration else ()
        return tuple(dict.fromkeys((*self.services, *extra)))

    def mounted(self) -> tuple[tuple[str, str], ...]:
        """(service, path of this machine that it mounts), of the services that are to be built."""
        project = self.project()
        return tuple((s, path) for s in self.built() for path in project.services[s].binds)

    def build(self, name: str, moved: Moved, *, tag: str = "") -> dict[str, tuple[str, str]]:
        """Build from a checkout: service → (image id, name that it was built by), of the services that are built.

        With ``tag`` the application's services only, and by a name of their own, so that every name that is in use
        goes on leading where it leads. May be repeated. Raises UsageError, EnvironmentUnreachable.
        """
        project = self.project()
        services = self.services if tag else self.built()
        others = names(project, services, tag) if tag else {}
        wanted = override(project, services, moved, others)
        file = self._write(name, wanted)
        chosen = tuple(service for service in services if project.services[service].builds)
        done = self.compose.run(
            *("build", *chosen),
            profile=None if tag else self._profile,
            overrides=(file,),
            timeout=LONGEST,
            on_line=self.on_line,
        )
        file.unlink(missing_ok=True)
        if not done.ok:
            raise EnvironmentUnreachable(
                f"The images of {moved.ref} could not be built: {done.why()}",
                state="Nothing that runs was touched.",
                next_commands=("docker info", f"git show --stat {quote(moved.ref)}"),
            )
        built: dict[str, tuple[str, str]] = {}
        for service in chosen:
            by = others.get(service) or project.image(service)
            image = self.engine.image_id(by)
            if image is None:
                raise EnvironmentUnreachable(
                    f"The image {by} of {service} was built, but is not here."
                )
            built[service] = (image, by)
        return built

    def images(self) -> dict[str, tuple[str, str]]:
        """Service → (image id, name that leads to it), as ``build`` without tag would give it; "" is no image."""
        project = self.project()
        names = {s: project.image(s) for s in self.built() if project.services[s].builds}
        return {s: (self.engine.image_id(name) or "", name) for s, name in names.items()}

    def lead(self, names: Mapping[str, str], only: Collection[str] = ()) -> None:
        """Let each name lead to its image again, "" to none; with ``only`` just those that lead to one of these.

        May be repeated. Raises EnvironmentUnreachable when one could not be led back; the others are.
        """
        failed: list[DeployguardError] = []
        for name, image in names.items():
            now = self.engine.image_id(name) or ""
            if now == image or (only and now not in only):
                continue
            try:
                self.engine.tag(image, name) if image else self.engine.untag(name)
            except DeployguardError as error:
                failed.append(error)
        if failed:
            raise failed[0]

    def keep(self, tag: str) -> dict[str, str]:
        """Name each image that runs: service → name. May be repeated."""
        project = self.project()
        kept: dict[str, str] = {}
        for service in self.services:
            repository = Reference.parse(project.image(service)).repository
            images = {c.image for c in self.engine.service_containers(project.name, service)}
            for number, image in enumerate(
                sorted(images)
            ):  # several, where an update stopped half-way
                name = f"{repository}:{tag}-{service}{f'-{number}' if number else ''}"
                self.engine.tag(image, name)
                kept[service] = f"{kept[service]},{name}" if service in kept else name
        return kept

    @property
    def _profile(self) -> str | None:
        return self.migration[0] if self.migration else None

    def _write(self, name: str, content: Mapping[str, Json]) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{name}.compose.json"
        path.write_text(json.dumps(content, indent=2))  # JSON is YAML
        path.chmod(0o600)
        return path.resolve()
