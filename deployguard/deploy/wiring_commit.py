"""The world of a run that works with another commit: its revisions and images; all else is the working copy's."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deployguard.config import Argv, Environment
from deployguard.deploy import source
from deployguard.deploy.commits import GitCommits
from deployguard.deploy.surroundings import Surroundings
from deployguard.deploy.world import World
from deployguard.model import Plan

if TYPE_CHECKING:
    from deployguard.state import Deploy
    from deployguard.targets.built import Builder

CHECKOUTS: Final = "checkouts"  # below the state folder, then the environment's name


def with_commits(base: World, around: Surroundings) -> World:
    """``base``, the world of the working copy, with the repository that the project lies in; nothing is asked yet."""
    from deployguard.targets.git import Git

    config, environment, note = around.config, around.environment, around.reporter.note
    folder = config.state_directory / CHECKOUTS / environment.name
    git = Git(config.directory, folder, around.environ)
    commits = GitCommits(config, environment, git, _builder(around, folder), note)
    base = replace(base, commits=commits)
    made: dict[str, World] = {}

    def of_commit(deploy: "Deploy") -> World:
        if deploy.id not in made:
            made[deploy.id] = replace(_world(base, around, commits, deploy), of_commit=of_commit)
        return made[deploy.id]

    return replace(base, of_commit=of_commit)


def _builder(around: Surroundings, folder: Path) -> "Builder | None":
    from deployguard.containers import Compose
    from deployguard.targets.built import Builder

    environment, migrate = around.environment, around.environment.migrate
    if environment.target.kind != "compose":
        return None
    return Builder(
        Compose(environment.target, around.config.directory, around.environ, around.redact),
        around.engine,
        environment.target.services,
        (migrate.profile, migrate.service) if migrate.runner == "compose" else None,
        folder,
        around.reporter.progress,
    )


def _world(base: World, around: Surroundings, commits: GitCommits, deploy: "Deploy") -> World:
    """The world of one deploy of a commit."""
    from deployguard import migrators, targets

    named = source.named(deploy.options)
    if named is None:
        return base
    config = commits.configured(deploy.id, named)
    environ = {**around.environ, **config.alembic_environ(), **_file_url(around)}
    if not config.alembic_environ():
        environ.pop("ALEMBIC_CONFIG", None)  # which leads into the working copy
    environment = anchored(around.environment, config.directory)
    there = replace(around, config=config, environment=environment, environ=environ)
    settings = (config, environment, there.environ, there.redact, there.engine)
    migrator = migrators.make(migrators.Setting(*settings))

    def assess() -> Plan:
        plan = there.assess()
        return replace(plan, notes=(f"Read from {named.ref}, commit {named.commit}.", *plan.notes))

    return replace(
        base,
        assess=assess,
        graph=there.graph,
        migrator=migrator,
        target=targets.make(targets.Setting(*settings, there.reporter.progress)),
        would_run=lambda current: there.would_run(current, migrator.image()),
    )


def _file_url(around: Surroundings) -> dict[str, str]:
    """The variable of a SQLite file's URL, which would count from the folder that the migration runs in."""
    variable, url = around.environment.database.url_env, around.url
    if not variable or url.dialect != "sqlite":
        return {}
    return {variable: replace(url, database=str(url.sqlite_path(around.config.directory))).raw}


def anchored(environment: Environment, directory: Path) -> Environment:
    """The environment with the names of files that count from the project's folder made full; pure.

    Nothing is prepared any more: the images of the commit are built by us, under the names that compose starts.
    """
    target, migrate, read = environment.target, environment.migrate, environment.read
    return replace(
        environment,
        target=replace(
            target,
            prepare="none",
            compose_files=tuple(str(directory / name) for name in target.compose_files),
        ),
        migrate=replace(
            migrate,
            command=_program(migrate.command, directory),
            downgrade_command=_program(migrate.downgrade_command, directory),
        ),
        read=replace(read, python=_program(read.python, directory)),
    )


def _program(argv: Argv, directory: Path) -> Argv:
    if not argv or "/" not in argv[0]:
        return argv
    return (str(directory / argv[0]), *argv[1:])
