"""Gathers what ``status`` shows; each part that does not answer becomes a note, not an error."""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import click

from deployguard.cli.session import entries, world
from deployguard.cli.views import deploy_view
from deployguard.deploy import quiesce, slots, words
from deployguard.deploy.run import Run
from deployguard.deploy.world import World
from deployguard.errors import DeployguardError
from deployguard.formats import DeployView, StatusReport
from deployguard.formats.words import moment
from deployguard.model import Release
from deployguard.revisions.graph import Graph, load
from deployguard.state import Deploy, EventKind, Holder, Status

_T = TypeVar("_T")


def standing(context: click.Context, env: str | None) -> StatusReport:
    """Ask everything once. Raises UsageError only for the configuration itself."""
    notes: list[str] = []
    with world(context, env) as here:

        def answer(question: Callable[[], _T], otherwise: _T) -> _T:
            try:
                return question()
            except DeployguardError as error:
                notes.append(error.message)
                return otherwise

        name = here.environment.name
        current = answer(lambda: _current(here), None)
        graph = answer(lambda: _graph(here), None)
        backups, problems = entries(context, env)
        open_run = here.journal.unfinished(name)
        nothing: tuple[tuple[str, str], ...] = ()
        release = answer(lambda: _running(here.target.current()), nothing)
        lock = here.lock.holder()
        if open_run and (still := quiesce.said(Run(here, open_run)).strip()):
            notes.append(still)
        notes += answer(lambda: _slots(here), [])
        report = StatusReport(
            environment=name,
            target=context.obj.url(here.environment).display(),
            current=current,
            heads=graph.heads if graph else (),
            pending=answer(lambda: _pending(here, graph, current), None),
            last=next((_view(here, row) for row in here.journal.history(name, 1)), None),
            unfinished=_unfinished(here, open_run, lock) if open_run else None,
            lock=_held(here, lock),
            server_lock=answer(lambda: _server_lock(here), ""),
            backup=backups[0] if backups else None,
            release=release,
            next_commands=_next(open_run, lock, name),
        )
    return replace(report, notes=tuple(dict.fromkeys((*notes, *problems))))


def _slots(here: World) -> list[str]:
    with here.database() as database:
        return [str(left) for left in slots.found(here, database)]


def _current(here: World) -> tuple[str, ...]:
    with here.database() as database:
        return here.revisions(database)


def _graph(here: World) -> Graph:
    project = here.project
    return load(here.config_path.parent, project.alembic_ini, project.section)


def _pending(
    here: World, graph: Graph | None, current: tuple[str, ...] | None
) -> tuple[str, ...] | None:
    if graph is None or current is None:
        return None
    target = "heads" if "heads" in here.environment.migrate.command else "head"
    return graph.pending(current, target)


def _unfinished(here: World, row: Deploy, lock: Holder | None) -> DeployView:
    """A run that is said to be running while nobody holds the lock was cut off."""
    view = _view(here, row)
    cut_off = row.status is Status.RUNNING and lock is None
    return replace(view, detail=words.CUT_OFF) if cut_off else view


def _view(here: World, row: Deploy) -> DeployView:
    return deploy_view(row, here.journal.events(row.id))


def _running(release: Release) -> tuple[tuple[str, str], ...]:
    """What each service runs: the name that its image was started by, and enough of its id to compare."""

    def shown(service: str, image: str) -> str:
        name = release.references.get(service, "")
        ids = ", ".join(one.removeprefix("sha256:")[:12] for one in image.split(","))
        return f"{name} ({ids})" if name else image

    return tuple((service, shown(service, image)) for service, image in release.images.items())


def _held(here: World, lock: Holder | None) -> str:
    """Who works, since when, on which host, on what, and at which step."""
    if lock is None:
        return ""
    who = f"{lock.by} (process {lock.pid} on {lock.host}) since {lock.since}, to {lock.why}"
    if not lock.deploy:
        return who
    begun = [e for e in here.journal.events(lock.deploy) if e.kind is EventKind.INTENT]
    step = f", at step {begun[-1].step} since {moment(begun[-1].at)}" if begun else ""
    return f"{who} {lock.deploy}{step}"


def _server_lock(here: World) -> str:
    """The session that holds the lock in the database server, whichever host it belongs to."""
    with here.database() as database:
        who = database.lock_holder(database.identity())
    return str(who) if who else ""


def _next(open_run: Deploy | None, lock: Holder | None, name: str) -> tuple[str, ...]:
    if open_run is None:
        return (f"deployguard check --env {name}",)
    if lock is not None:
        return (f"deployguard show {open_run.id}",)  # it is being worked on
    return (f"deployguard show {open_run.id}", *words.ways_on(open_run))
