"""Facts of a database that outlive the connection: taken for a file, and used in the place of the database."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from deployguard.config import Config, Environment
from deployguard.database import Locked
from deployguard.database.facts_file import Snapshot
from deployguard.deploy.assess import (
    Basis,
    after,
    graph_of,
    plan_for,
    upgrade_target,
    without_database,
)
from deployguard.errors import UsageError
from deployguard.model import Facts, Json, Plan

if TYPE_CHECKING:
    from deployguard.database import Database
    from deployguard.revisions.graph import Graph
    from deployguard.revisions.store import Store

_SKEW: Final = timedelta(minutes=5)  # between the clock of who took the facts and ours
_NAMED: Final = 5


def take(config: Config, environment: Environment, database: "Database", now: datetime) -> Snapshot:
    """What the database says of itself now. Raises EnvironmentUnreachable; Locked, when its schema is locked."""
    table = config.project.version_table
    return Snapshot(
        made=now,
        environment=environment.name,
        database=database.name,
        version_table=table,
        current=database.current_revisions(table),
        facts=database.facts(),
        catalogue=database.catalogue(),
    )


def assess_facts(
    config: Config,
    environment: Environment,
    environ: Mapping[str, str],
    snapshot: Snapshot,
    *,
    name: str,
    now: datetime,
    start: str | None = None,
    since: str | None = None,
    cached: bool = False,
) -> Plan:
    """The plan as if the database of the snapshot were asked; ``name`` is the file's.

    ``start`` and ``since`` only choose which of the revisions that are pending there are judged.
    """
    unasked = without_database(config, environment, environ)
    _fits(config, unasked, snapshot, name)
    graph = graph_of(config, environ, cached=cached)
    shown, notes, nothing = _shown(config, environment, graph, snapshot, start=start, since=since)
    basis = replace(
        unasked,
        facts=snapshot.facts,
        current=snapshot.current,
        catalogue=snapshot.catalogue,
        shown=shown,
        at=None if shown is None else _at(graph, snapshot, shown),
        target=f"facts of {snapshot.environment} ({snapshot.database})",
        notes=(
            *_age(snapshot, name, environment.read.facts_days, now),
            *notes,
            *unmeasured(snapshot.facts),
        ),
        cached=cached,
    )
    return replace(plan_for(config, environment, environ, basis), nothing=nothing)


def schema_of(database: "Database", store: "Store | None" = None) -> tuple[Json, tuple[str, ...]]:
    """(the catalogue, notes); without it, which is never more lenient, where somebody has locked a table.

    With a ``store``, the one that was kept, when the database says that it has not changed since.
    """
    try:
        return _kept_schema(database, store) if store is not None else database.catalogue(), ()
    except Locked as error:
        return None, (f"{error.message} It was replayed from the history instead.",)


def _kept_schema(database: "Database", store: "Store") -> Json:
    from deployguard.revisions.kept import ours
    from deployguard.revisions.store import digest

    mark = database.schema_mark()
    key = f"schema-{digest([ours(), database.identity(), mark])}"
    found = store.get(key) if mark else None
    if isinstance(found, dict):
        return found
    catalogue = database.catalogue()
    if mark and database.schema_mark() == mark:
        store.put(key, catalogue)
    return catalogue


def unmeasured(facts: Facts) -> tuple[str, ...]:
    """A note on the tables whose size is not known."""
    names = [fact.table for fact in facts.tables or () if fact.bytes < 0]
    if not names:
        return ()
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    said = f"The size of {', '.join(names[:_NAMED])}{more} is not known: somebody has locked it, or it took too long."
    return (f"{said} Nothing is taken for small there.",)


def _fits(config: Config, unasked: Basis, snapshot: Snapshot, name: str) -> None:
    if snapshot.facts.dialect != unasked.dialect:
        raise UsageError(
            f"{name} holds facts of a {snapshot.facts.dialect} database, but this check is for"
            f" {unasked.dialect}.",
            next_commands=(f"deployguard check --facts {name} --dialect {snapshot.facts.dialect}",),
        )
    table = config.project.version_table
    if snapshot.version_table != table:
        raise UsageError(
            f"{name} says at which revision the table {snapshot.version_table} is, but [project] version_table"
            f" is {table}.",
            next_commands=(f"deployguard facts -o {name}",),
        )


def _shown(
    config: Config,
    environment: Environment,
    graph: "Graph",
    snapshot: Snapshot,
    *,
    start: str | None,
    since: str | None,
) -> tuple[frozenset[str] | None, tuple[str, ...], str]:
    """(the revisions to judge, None for all; notes; what it means when these are none)."""
    if not start and not since:
        there = ", ".join(snapshot.current) or "base"
        return None, (), f"Nothing is pending; the database of the facts was at {there}."
    target = upgrade_target(environment.migrate.command)
    pending = frozenset(graph.pending(snapshot.current, target))
    if since:
        from deployguard.revisions.since import since as added_since

        added = added_since(graph, config.directory, since)
        known = sorted(added.added - pending)
        said = (f"Already in the database of the facts: {', '.join(known)}.",) if known else ()
        note = f"Only what was added since {since} is judged."
        nothing = (
            f"Nothing that was added since {since} is pending{_others(pending - added.added)}."
        )
        return added.added & pending, (note, *said, *added.notes), nothing
    names = [] if start == "base" else (start or "").split(",")
    wanted = frozenset(graph.pending([graph.resolve(each.strip()) for each in names], target))
    if wanted - pending:
        raise UsageError(
            f"The facts are of a database that is at {', '.join(snapshot.current) or 'no revision'}, which is"
            f" past {start}: what is pending from there on is in it already.",
            next_commands=("deployguard check --facts FILE", f"deployguard check --from {start}"),
        )
    nothing = f"Nothing that follows {start} is pending{_others(pending - wanted)}."
    return wanted, (f"Only what follows {start} is judged.",), nothing


def _others(pending: frozenset[str]) -> str:
    if not pending:
        return ""
    return f"; {len(pending)} other {'revision is' if len(pending) == 1 else 'revisions are'}"


def _at(graph: "Graph", snapshot: Snapshot, shown: frozenset[str]) -> tuple[str, ...]:
    """Where the database will be when what is judged comes to run."""
    there = graph.ancestors(snapshot.current)
    between = graph.ancestors(shown) - there - shown
    return after(snapshot.current, [name for name in graph.ordered() if name in between], graph)


def _age(snapshot: Snapshot, name: str, days: int, now: datetime) -> tuple[str, ...]:
    when = f"{snapshot.made:%Y-%m-%d %H:%M} {snapshot.made.tzname() or 'UTC'}"
    source = f"{name}, the facts of {snapshot.environment} ({snapshot.database}) at {when}"
    first = f"No database was asked: its revision, schema and sizes are from {source}."
    if snapshot.made > now + _SKEW:
        return (first, f"{name} is dated in the future; is one of the two clocks wrong?")
    age = (now - snapshot.made).days
    if age >= max(days, 1):
        old = f"{name} is {age} days old: sizes, and what is pending, may be others by now."
        return (first, f"{old} `deployguard facts -o {name}` writes it anew.")
    return (first,)
