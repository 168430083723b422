"""An environment's outside world, made from its configuration and asked only when a step asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from deployguard.config import Config, DatabaseUrl, Environment, backup_url, key_lines, resolve_url
from deployguard.deploy.reporter import Reporter
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.model import HealthSample, Json, Plan, Scope
from deployguard.process import Completed, Redactor

if TYPE_CHECKING:
    from deployguard.backups import BackupRequest, Site
    from deployguard.backups.offsite import Offsite
    from deployguard.containers import Container, Engine
    from deployguard.containers.oneoff import OneOff
    from deployguard.database import Database
    from deployguard.health import Poller
    from deployguard.revisions.graph import Graph
    from deployguard.targets.quiesce import Quiescer


@dataclass
class Surroundings:
    """The environment's outside world, asked only when a step asks."""

    config: Config
    environment: Environment
    environ: dict[str, str]
    reporter: Reporter
    engine: "Engine"
    cached: bool
    every: float
    identity: str = field(repr=False)
    journal: DatabaseUrl | None = None  # where [state] keeps it; no child inherits that
    url: DatabaseUrl = field(init=False)
    source: DatabaseUrl | None = field(init=False)
    redact: Redactor = field(init=False)

    def __post_init__(self) -> None:
        self.url = resolve_url(self.environment, self.environ)
        if variable := self.environment.database.url_env:
            # What was checked and backed up must be what the migration connects to.
            self.environ[variable] = self.environ.get(variable) or self.url.raw
        self.source = backup_url(self.environment, self.environ)
        others = [url.secrets() for url in (self.source, self.journal) if url]
        secrets = [secret for found in (self.url.secrets(), *others) for secret in found]
        self.redact = Redactor((*secrets, *key_lines(self.identity)))

    def database(self) -> "Database":
        from deployguard.database import connect

        return connect(self.url, directory=self.config.directory, address=self.address)

    def assess(self) -> Plan:
        from deployguard.deploy.assess import assess

        with self.database() as database:
            return assess(self.config, self.environment, self.environ, database, cached=self.cached)

    def would_run(self, current: tuple[str, ...], image: str) -> dict[str, str]:
        from deployguard.deploy import assess, guard

        files = assess.would_run(self.config, self.environment, current)
        if files is None:
            files = {guard.WHOLE: self.assess().digest}
        return {**files, guard.IMAGE: image} if image else files

    def graph(self) -> "Graph":
        from deployguard.revisions.graph import load

        project = self.config.project
        return load(self.config.sources, project.alembic_ini, project.section)

    def address(self, host: str, port: int) -> tuple[str, int] | None:
        """Where a host answers that only Docker knows; None as well where there is no engine."""
        from deployguard.containers import find_address

        try:
            self.engine.ping()
        except EnvironmentUnreachable:
            if self._in_compose:
                raise
            return None  # then the database's own error is the one to show
        return find_address(self.engine, host, port, self._project)

    def site(self) -> "Site":
        from deployguard.backups import Site

        return Site(
            url=self.url,
            directory=self.config.directory,
            project=self.config.project.name,
            environment=self.environment.name,
            config=self.environment.backup,
            drill=replace(
                self.environment.drill,
                verify_sql=(
                    *self.environment.health.verify_sql,
                    *self.environment.drill.verify_sql,
                ),
            ),
            rds=self.environment.rds,
            version_table=self.config.project.version_table,
            address=self.address,
            # the container is that of the URL's own server
            inside=self.inside if self.url.dialect == "postgresql" and not self.source else None,
            oneoffs=self.oneoffs if self.url.dialect == "postgresql" else None,
            source=self.source,
            identity=self.identity,
            every=self.every,
            environ=self.environ,
            say=self.reporter.progress,
        )

    def offsite(self) -> "Offsite":
        from deployguard.backups.offsite_places import needed

        return needed(self.config, self.environment, self.reporter.progress)

    def inside(
        self,
        argv: tuple[str, ...],
        *,
        environment: Mapping[str, str] | None = None,
        stdin_path: Path | None = None,
        stdout_path: Path | None = None,
        timeout: float | None = None,
        redact: Redactor | None = None,
        moving: Callable[[], object] | None = None,
    ) -> Completed:
        """Run a program in the database's container; without one it is "not found", as in a shell."""
        from deployguard.containers import find_container

        try:
            found = find_container(self.engine, self.url.host, self._project)
        except (EnvironmentUnreachable, UsageError):
            found = None
        if found is None:
            return Completed(127, "", "the database runs in no container of this machine", 0.0)
        return self.engine.exec(
            found.name,
            argv,
            environment=environment,
            stdin_path=stdin_path,
            stdout_path=stdout_path,
            timeout=timeout,
            redact=redact,
            moving=moving,
        )

    def oneoffs(self, major: int) -> "tuple[OneOff, ...]":
        """How PostgreSQL's programs run in containers of their own: the database's image, else the version's."""
        from deployguard.containers.oneoff import find_oneoffs

        host = (self.source or self.url).host
        return find_oneoffs(
            self.engine, (f"postgres:{major}",), host=host, project=lambda: self._project
        )

    def poller(self, on_sample: Callable[[HealthSample], None]) -> "Poller":
        from deployguard import health

        config = self.environment.health
        scene = health.Scene(
            config, self.config.directory, self.environ, self.redact, self.database, self.containers
        )
        return health.Poller(config, health.checks(scene), on_sample)

    def quiescer(self) -> "Quiescer":
        from deployguard.containers import Compose
        from deployguard.targets.quiesce import Quiescer

        target, directory = self.environment.target, self.config.directory
        return Quiescer(
            self.environment.quiesce,
            Compose(target, directory, self.environ, self.redact),
            self.engine,
            directory,
            self.environ,
            self.redact,
            target.timeout,
            self.reporter.progress,
        )

    def containers(self, service: str) -> "tuple[Container, ...]":
        """Those of a compose service of the target's project, stopped ones too."""
        return self.engine.service_containers(self._compose_project(), service, stopped=True)

    def image(self, name: str) -> dict[str, Json]:
        """The digest of an image that is here ("name@sha256:…", else its id), and the names that lead to it."""
        names: list[Json] = [*self.engine.names(name)]
        return {"digest": self.engine.digest(name), "names": names}

    def request(
        self, reason: str, deploy: str | None = None, scope: Scope | None = None
    ) -> "BackupRequest":
        """What a backup is to be: with the commit, its tag, and the images that run, as far as they are known."""
        from deployguard.backups import BackupRequest
        from deployguard.deploy import origin, slots

        counted = reason == "pre-deploy" and deploy and self.environment.backup.slot == "auto"
        target, place = self.environment.target, self.config.directory
        return BackupRequest(
            reason,
            deploy,
            origin.commit(place, self.environ),
            scope or Scope(),
            origin.tag(place, self.environ),
            origin.images(target.services, self._compose_project)
            if target.kind == "compose"
            else {},
            slots.name_of(deploy) if counted and deploy else "",
        )

    @property
    def _in_compose(self) -> bool:
        kinds = (self.environment.target.kind, self.environment.migrate.runner)
        return "compose" in kinds

    def _compose_project(self) -> str:
        from deployguard.containers import Compose

        target = self.environment.target
        if target.project_name:
            return target.project_name
        return Compose(target, self.config.directory, self.environ, self.redact).project().name

    @cached_property
    def _project(self) -> str | None:
        """The compose project that the database belongs to; None where none is configured."""
        return self._compose_project() if self._in_compose else None
