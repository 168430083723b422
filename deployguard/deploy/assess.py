"""What is pending and how dangerous it is: read, judge, plan; with a database, from a revision, or from git alone."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from deployguard import gate
from deployguard.accept import Against
from deployguard.config import Config, DatabaseUrl, Environment, resolve_url
from deployguard.deploy.accepting import applied
from deployguard.errors import UsageError
from deployguard.model import Facts, Json, Plan, Verdict

if TYPE_CHECKING:
    from deployguard.database import Database
    from deployguard.revisions.graph import Graph
    from deployguard.revisions.launcher import Launcher
    from deployguard.revisions.reader import ProjectSource, Reading
    from deployguard.revisions.store import Store

ENV: Final = "env.py"
CACHE: Final = "cache"

_EMPTY = "it was taken to be empty: what this run itself creates has nothing to lose or to block"


@dataclass(frozen=True, slots=True)
class Basis:
    """Against what the pending revisions are read and judged."""

    dialect: str
    url: DatabaseUrl  # a dummy: it leads nowhere
    facts: Facts
    current: tuple[str, ...] = ()
    catalogue: Json = None
    only: frozenset[str] | None = None
    shown: frozenset[str] | None = None  # of what is read, these are judged; None: all
    real: DatabaseUrl | None = None  # of the database that was asked
    at: tuple[str, ...] | None = None  # where the database is when these begin; None: at `current`
    target: str = "no database"
    identity: str = ""
    notes: tuple[str, ...] = ()
    cached: bool = False  # a reading that was kept will do


def assess(
    config: Config,
    environment: Environment,
    environ: Mapping[str, str],
    database: "Database",
    *,
    cached: bool = False,
) -> Plan:
    """The plan against the database. Raises UsageError and EnvironmentUnreachable.

    ``cached``: a reading of the same revisions that was kept will do. Never for what is then deployed.
    """
    from deployguard.deploy.snapshot import schema_of, unmeasured

    url = resolve_url(environment, environ)
    facts = database.facts()
    catalogue, notes = schema_of(database, store_of(config, environ, cached=cached))
    basis = Basis(
        dialect=url.dialect,
        url=url.dummy(),
        real=url,
        facts=facts,
        current=database.current_revisions(config.project.version_table),
        catalogue=catalogue,
        target=url.display(),
        identity=database.identity(),
        notes=(*notes, *unmeasured(facts)),
        cached=cached,
    )
    return plan_for(config, environment, environ, basis)


def assess_from(
    config: Config,
    environment: Environment,
    environ: Mapping[str, str],
    revision: str,
    *,
    cached: bool = False,
) -> Plan:
    """The plan for a database that is at ``revision`` ("base" is an empty one), without asking any."""
    graph = graph_of(config, environ, cached=cached)
    names = () if revision == "base" else revision.split(",")
    known = f"sizes are unknown, and {revision} was taken for its revision"
    basis = replace(
        without_database(config, environment, environ),
        current=tuple(graph.resolve(name.strip()) for name in names),
        notes=(f"No database was asked: {_EMPTY if revision == 'base' else known}.",),
        cached=cached,
    )
    plan = plan_for(config, environment, environ, basis)
    return replace(plan, nothing=f"Nothing comes after {revision}.")


def assess_since(
    config: Config,
    environment: Environment,
    environ: Mapping[str, str],
    git_ref: str,
    *,
    cached: bool = False,
) -> Plan:
    """The plan for the revisions that the working tree adds since it left ``git_ref``, without any database."""
    from deployguard.revisions.since import since

    graph = graph_of(config, environ, cached=cached)
    upgrades = upgrade_target(environment.migrate.command)
    added = since(graph, config.directory, git_ref, target=upgrades)
    # What a database that has everything else is at: where the new revisions hang on.
    current = after((), [name for name in graph.ordered() if name not in added.added], graph)
    note = f"No database was asked: sizes and times are unknown. Pending is what was added since {git_ref}."
    basis = replace(
        without_database(config, environment, environ),
        current=current,
        only=added.added,
        notes=(note, *added.notes),
        cached=cached,
    )
    plan = plan_for(config, environment, environ, basis)
    return replace(plan, nothing=f"Nothing was added since {git_ref}.")


def history(
    config: Config, environment: Environment, environ: Mapping[str, str]
) -> tuple[str, tuple[Verdict, ...]]:
    """(dialect, what the whole history holds): each revision judged in its run and again by itself.

    In one run from nothing every table is new and empty; by itself, a revision meets tables in use.
    """
    from deployguard import rules

    basis = without_database(config, environment, environ)
    reading, facts = _read(config, environment, environ, basis)
    together = rules.judge(reading.revisions, facts)
    alone = [verdict for one in reading.revisions for verdict in rules.judge((one,), facts)]
    return basis.dialect, (*together, *alone)


def would_run(
    config: Config, environment: Environment, current: tuple[str, ...]
) -> dict[str, str] | None:
    """What an upgrade from ``current`` would run, with each file's digest: revisions, what they import, and env.py.

    None when the files alone do not tell, because env.py decides in which folders the revisions are.
    """
    from deployguard.revisions.graph import load
    from deployguard.revisions.imports import helpers

    graph = load(config.sources, config.project.alembic_ini, config.project.section)
    if graph.partial:
        return None
    pending = graph.pending(current, upgrade_target(environment.migrate.command))
    files = {name: graph.nodes[name].path for name in pending}
    files |= helpers(files.values(), config.sources, graph.locations.scripts)
    env = graph.locations.scripts / ENV
    if pending and env.is_file():
        files[ENV] = env
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def after(current: Iterable[str], names: Iterable[str], graph: "Graph") -> tuple[str, ...]:
    """What the version table holds after ``names`` ran: each takes the rows of what it needs."""
    rows = set(current)
    for name in names:
        if name in graph.nodes:  # else the project's own command knows it from elsewhere
            rows.difference_update(graph.above(name))
        rows.add(name)
    return tuple(sorted(rows))


def upgrade_target(command: tuple[str, ...]) -> str:
    """Where the configured command upgrades to: the word after ``upgrade``; "head" when it names none."""
    words = command[command.index("upgrade") + 1 :] if "upgrade" in command else ()
    return next((word for word in words if not word.startswith("-")), "head")


def without_database(config: Config, environment: Environment, environ: Mapping[str, str]) -> Basis:
    """What is known when nobody can be asked: the dialect of the URL, else of the project, else PostgreSQL."""
    try:
        url = resolve_url(environment, environ).dummy()
    except UsageError:  # in a pull request the URL is somebody else's secret
        dialect = config.project.dialect or "postgresql"
        url = DatabaseUrl(dialect, database=config.project.name).dummy()
    return Basis(dialect=url.dialect, url=url, facts=Facts(url.dialect))


def plan_for(
    config: Config, environment: Environment, environ: Mapping[str, str], basis: Basis
) -> Plan:
    """Read what is pending, judge it, and say what the policy demands."""
    from deployguard.deploy import judged
    from deployguard.revisions.connects import elsewhere, sentence

    store = store_of(config, environ, cached=basis.cached)
    graph = graph_of(config, environ, cached=basis.cached)
    reading, facts = _read(config, environment, environ, basis)
    revisions = tuple(
        one for one in reading.revisions if basis.shown is None or one.id in basis.shown
    )
    at = basis.current if basis.at is None else basis.at
    nothing = Facts(basis.dialect, settings=facts.settings)
    catalogue = reading.made() if basis.catalogue is None else basis.catalogue
    accepted = applied(
        config,
        judged.judge(revisions, facts, catalogue, store),
        against=Against(basis.dialect, datetime.now(UTC).date(), live=basis.catalogue is not None),
        bare=lambda: judged.judge(revisions, nothing, None, store),
        known=None if graph.partial or config.commit else graph.nodes,
    )
    verdicts = accepted.verdicts
    places = (basis.url, basis.real or basis.url)
    found = elsewhere(reading.connects, places, config.sources) if basis.real else ()
    other = sentence(found, basis.target, environment.database.url_env)
    return gate.make_plan(
        environment=environment.name,
        target=basis.target,
        identity=basis.identity,
        dialect=basis.dialect,
        current=at,
        heads=after(at, [one.id for one in revisions], graph),
        verdicts=verdicts,
        answers=judged.answers(verdicts, store),
        policy=environment.policy,
        notes=(*([other] if other else []), *basis.notes, *reading.notes, *accepted.notes),
        elsewhere=other,
        commit=config.commit,
    )


def _read(
    config: Config, environment: Environment, environ: Mapping[str, str], basis: Basis
) -> "tuple[Reading, Facts]":
    from deployguard.revisions.reader import ReadRequest, read

    request = ReadRequest(
        dialect=basis.dialect,
        url=basis.url.raw,
        url_env=environment.database.url_env,
        current=basis.current,
        target=upgrade_target(environment.migrate.command),
        catalogue=basis.catalogue,
        only=basis.only,
        version_table=config.project.version_table,
    )
    outer = {**config.alembic_environ(), **environ}
    store = store_of(config, environ, cached=basis.cached)
    found = read(project_source(config, environment), request, environ=outer, store=store)
    return found, replace(basis.facts, settings=found.settings)


def graph_of(config: Config, environ: Mapping[str, str], *, cached: bool) -> "Graph":
    """The project's revisions, from the files."""
    from deployguard.revisions.graph import load

    store = store_of(config, environ, cached=cached)
    return load(config.sources, config.project.alembic_ini, config.project.section, store=store)


def store_of(config: Config, environ: Mapping[str, str], *, cached: bool) -> "Store | None":
    """Where readings are kept from one check to the next."""
    from deployguard.revisions.store import open_store

    return open_store(config.state_directory / CACHE, environ) if cached else None


def project_source(config: Config, environment: Environment) -> "ProjectSource":
    """How this environment's revisions are read."""
    from deployguard.revisions.reader import ProjectSource

    return ProjectSource(
        directory=config.sources,
        alembic_ini=config.project.alembic_ini,
        section=config.project.section,
        command=environment.migrate.command,
        pass_environment=environment.read.pass_environment,
        launcher=_launcher(environment),
        timeout=environment.read.timeout,
    )


def _launcher(environment: Environment) -> "Launcher":
    from deployguard.revisions.launcher import Compose, Local

    read, migrate = environment.read, environment.migrate
    where = migrate.runner if read.where == "auto" else read.where
    if where == "local":
        return Local(read.python or (sys.executable,))
    from deployguard.containers import compose_argv

    compose = tuple(compose_argv(environment.target))
    python = read.python[0] if read.python else "python"
    return Compose(compose, migrate.service, migrate.profile, python)
