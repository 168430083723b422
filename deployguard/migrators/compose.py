"""Migrations in a container of a compose service, detached and named: it and its exit code survive us."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deployguard import process
from deployguard.config import MigrateConfig, parse_url
from deployguard.containers import Compose, ComposeProject, Container, Engine, Log
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.migrators.base import Absent, Exit, Exited, Job, Probe, Running, Started, job_argv
from deployguard.migrators.log import KeptLog
from deployguard.migrators.settings import HOOK, session_environment
from deployguard.process import Spawned

INSIDE: Final = "/opt/deployguard-session"  # where the container sees HOOK
LAUNCH: Final = 600.0  # seconds that `compose run -d` may take; it may have to pull an image
PATIENCE: Final = 300.0  # seconds that we wait for an engine that is being restarted
POLL: Final = 0.25
LOCAL: Final = frozenset(("localhost", "127.0.0.1", "::1", "host.docker.internal"))
NO_MOUNT: Final = "bind source path does not exist"


def run_argv(
    config: MigrateConfig, job: Job, container: str, names: tuple[str, ...]
) -> tuple[str, ...]:
    """The arguments of ``compose run``; of variables only the names, their values are in compose's environment."""
    return (
        *("run", "-d", "--no-deps", "--name", container),
        *("--label", f"deployguard.deploy={job.deploy}"),
        *(part for name in sorted(names) for part in ("-e", name)),
        config.service,
        *job_argv(config, job),
    )


@dataclass(frozen=True, slots=True)
class ComposeMigrator:
    """Runs the configured command in the configured service of its profile.

    ``project`` is deployguard's project name, part of the container's name. ``state`` is the state folder.
    ``url_env`` is the variable that holds the database's URL, "" when there is none.
    """

    config: MigrateConfig
    compose: Compose
    engine: Engine
    project: str
    state: Path
    url_env: str = ""

    def preflight(self) -> None:
        self.compose.preflight()
        self.engine.ping()
        service = self._resolve().services[self.config.service]
        checked, migrated = (
            environment.get(self.url_env, "")
            for environment in (self.compose.environ, service.environment)
        )
        if checked and migrated:
            _same_database(checked, migrated, self.config.service, self.url_env)

    def image(self) -> str:
        return self.engine.image_id(self._resolve().image(self.config.service)) or "none"

    def start(self, job: Job) -> Started:
        name = self._name(job)
        present = self.engine.container(name)
        if present is not None and present.running:
            return self._started(job, present)
        if present is not None and not self.engine.remove(name):
            return self._started(job, present)  # it began just now
        project = self._resolve()
        image = project.image(self.config.service)
        if self.engine.image_id(image) is None:
            raise EnvironmentUnreachable(
                f"The image {image} of the service {self.config.service} is not on this machine.",
                next_commands=(" ".join(self.compose.argv("build", self.config.service)),),
            )
        if not self._launch(job, project, hook=True):
            self._launch(job, project, hook=False)
        container = self.engine.container(name)
        if container is None:
            raise EnvironmentUnreachable(f"Compose started {name}, but the engine has no such one.")
        return self._started(job, container)

    def follow(self, started: Started, on_line: Callable[[str], None]) -> Exit:
        log, timed_out, trouble = Log(started.name), False, 0.0
        with KeptLog(started.log_path, self.compose.redact, on_line) as kept:
            while True:
                try:
                    container = self.engine.container(started.name)
                    ended = container is None or not container.running
                    log.advance(self.engine, kept.line, final=ended)
                    trouble = 0.0
                except EnvironmentUnreachable as error:
                    trouble = _bear(error, trouble, started, kept)
                    continue
                if container is None:
                    return Exit(None, started.log_path, timed_out)
                if ended:
                    return Exit(container.code, started.log_path, timed_out)
                if not timed_out and _overdue(container, started.timeout):
                    timed_out = True
                    kept.line(f"deployguard: stopped after {started.timeout:.0f} seconds")
                    self.cancel(started)
                time.sleep(POLL)

    def probe(self, job: Job) -> Probe:
        self._await_launch(job)
        container = self.engine.container(self._name(job))
        if container is None:
            return Absent()
        if container.status == "created":
            # Made but never begun, and the program that would have begun it is gone.
            if self.engine.remove(container.name):
                return Absent()
            return self.probe(job)
        started = self._started(job, container)
        return Running(started) if container.running else Exited(started, container.code)

    def cancel(self, started: Started) -> None:
        # SIGINT first: Python turns it into KeyboardInterrupt even as process 1, which ignores SIGTERM.
        for signal, grace in (("SIGINT", 5.0), ("SIGTERM", 5.0), ("SIGKILL", 10.0)):
            self.engine.signal(started.name, signal)
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline:
                container = self.engine.container(started.name)
                if container is None or not container.running:
                    return
                time.sleep(POLL)

    def tidy(self, started: Started) -> None:
        if self.engine.remove(started.name):
            process.forget(Spawned(Path(started.evidence["folder"])))
            Path(started.evidence["override"]).unlink(missing_ok=True)

    # --- starting

    def _resolve(self) -> ComposeProject:
        project = self.compose.project(profile=self.config.profile)
        if self.config.service not in project.services:
            raise UsageError(
                f"The compose project has no service {self.config.service!r} in the profile"
                f" {self.config.profile!r} ([migrate] service, profile); it has:"
                f" {', '.join(sorted(project.services))}."
            )
        return project

    def _launch(self, job: Job, project: ComposeProject, *, hook: bool) -> bool:
        """Let compose make and start the container; False when the engine cannot see our folder.

        Compose itself runs detached, so that a probe knows when no container can appear any more.
        """
        folder = self._folder(job)
        process.forget(folder)
        image = self.engine.image_environment(project.image(self.config.service))
        existing = {**image, **project.services[self.config.service].environment}
        added = session_environment(self.config, job, existing, hook=INSIDE if hook else None)
        argv = self.compose.argv(
            *run_argv(self.config, job, self._name(job), tuple(added)),
            profile=self.config.profile,
            overrides=(self._write_override(job),) if hook else (),
        )
        process.spawn(
            argv,
            folder.folder,
            env={**self.compose.environ, **added},
            cwd=self.compose.directory,
            timeout=LAUNCH,
        )
        lines: list[str] = []
        ended = process.follow(folder, lines.append, redact=self.compose.redact)
        if isinstance(ended, process.Ended) and ended.code == 0:
            return True
        self.engine.remove(self._name(job))  # made, perhaps, and never begun
        if hook and any(NO_MOUNT in line for line in lines):
            return False
        said = " ".join(lines[-3:]) or "it said nothing"
        raise EnvironmentUnreachable(
            f"Compose could not start the migration container: {said}",
            next_commands=(" ".join(self.compose.argv("config", "--quiet")),),
        )

    def _write_override(self, job: Job) -> Path:
        """A compose file that mounts HOOK; unlike ``-v``, it does not make a folder on an engine's other machine."""
        mount = {
            "type": "bind",
            "source": str(HOOK),
            "target": INSIDE,
            "read_only": True,
            "bind": {"create_host_path": False},
        }
        path = self._override(job)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # JSON is YAML.
        path.write_text(json.dumps({"services": {self.config.service: {"volumes": [mount]}}}))
        path.chmod(0o600)
        return path.resolve()

    def _await_launch(self, job: Job) -> None:
        deadline = time.monotonic() + LAUNCH
        while isinstance(process.look(self._folder(job)), process.Running):
            if time.monotonic() > deadline:
                raise EnvironmentUnreachable(
                    "Compose is still starting the migration container.",
                    state="The migration may begin at any moment.",
                    next_commands=("docker ps -a --filter label=deployguard.deploy",),
                )
            time.sleep(POLL)

    # --- names

    def _name(self, job: Job) -> str:
        return f"deployguard-{self.project}-{job.name}"

    def _folder(self, job: Job) -> Spawned:
        return Spawned(self.state / "runs" / job.name)

    def _override(self, job: Job) -> Path:
        return self.state / "runs" / f"{job.name}.compose.json"

    def _started(self, job: Job, container: Container) -> Started:
        evidence: Mapping[str, str] = {
            "container": container.id,
            "image": container.image,
            "folder": str(self._folder(job).folder),
            "override": str(self._override(job)),
            "log": str(self.state / "logs" / f"{job.name}.log"),
            "timeout": str(job.timeout),
            "application_name": job.application_name,
        }
        return Started("compose", self._name(job), evidence)


def _same_database(checked: str, migrated: str, service: str, variable: str) -> None:
    """Refuse to check one database and migrate another; a published port may well go by another host."""
    ours = parse_url(checked, f"The environment variable {variable}")
    theirs = parse_url(migrated, f"{variable} of the service {service}")
    same_host = ours.host == theirs.host or bool({ours.host, theirs.host} & LOCAL)
    if ours.dialect != theirs.dialect or ours.database != theirs.database or not same_host:
        raise UsageError(
            f"{variable} leads deployguard to {ours.display()}, but the service {service}, which would migrate, to"
            f" {theirs.display()}. Both must lead to the same database.",
            next_commands=("docker compose config   # shows what the service is given",),
        )


def _overdue(container: Container, timeout: float) -> bool:
    if not timeout or not container.started:
        return False
    began = datetime.fromisoformat(container.started)
    return (datetime.now(UTC) - began).total_seconds() > timeout


def _bear(error: EnvironmentUnreachable, since: float, started: Started, kept: KeptLog) -> float:
    """Wait for an engine that does not answer; since when it doesn't. A container may well outlive its engine."""
    now = time.monotonic()
    if not since:
        kept.line(
            f"deployguard: {error.message} Waiting for it; the migration may go on meanwhile."
        )
        since = now
    if now - since > PATIENCE:
        raise EnvironmentUnreachable(
            f"{error.message} The migration's container is {started.name}.",
            state="The migration may still be running, or may have ended.",
            next_commands=(f"docker inspect {started.name}", "deployguard resume"),
        ) from error
    time.sleep(1)
    return since
