"""Files and recording → what each pending revision does, up and down, and what of it could not be seen."""

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.model import Evidence, Json, Revision
from deployguard.revisions import kept, process_run
from deployguard.revisions.connects import Connects
from deployguard.revisions.elsewhere import relative, widened
from deployguard.revisions.graph import Graph, Node, load
from deployguard.revisions.heard import Recording
from deployguard.revisions.launcher import Launcher, Local
from deployguard.revisions.notes import told
from deployguard.revisions.recording import Finished, Order, asks, record, unreachable
from deployguard.revisions.store import Store

if TYPE_CHECKING:
    from deployguard.revisions.opacities import Lower


@dataclass(frozen=True, slots=True)
class ProjectSource:
    """Where a project's migrations are, and how they are run. `launcher` None: this interpreter, here."""

    directory: Path
    alembic_ini: str = "alembic.ini"
    section: str = "alembic"
    command: tuple[str, ...] = ("alembic", "upgrade", "head")
    pass_environment: tuple[str, ...] = ()
    launcher: Launcher | None = None
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What is pending, and against what.

    `url` is a dummy of the target's URL and `url_env` the variable that holds the real one.
    `catalogue` is the target's (None: the history is replayed to know the schema). `only` limits the revisions to
    these, whatever the database is at. `version_table` is where `current` was read ("": nowhere).
    """

    dialect: str
    url: str
    url_env: str | None = None
    current: tuple[str, ...] = ()
    target: str = "head"
    catalogue: Json = None
    only: frozenset[str] | None = None
    version_table: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """The pending revisions in the order in which they would run, and the heads after them."""

    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]
    notes: tuple[str, ...] = ()
    around: tuple[str, ...] = ()  # what env.py itself runs, outside of the revisions
    # what env.py sets before them, by name (SQLite's alone)
    settings: Mapping[str, str] = field(default_factory=dict)
    connects: tuple[Connects, ...] = ()  # where env.py's migrations would have gone
    schema: str = (
        ""  # what the replayed history made, as JSON (see recorder/believed.py); "" is unknown
    )

    def made(self) -> Json:
        """What the replayed history made, in the terms of a catalogue; None when that is unknown."""
        found: Json = json.loads(self.schema) if self.schema else None
        return found


def read(
    project: ProjectSource,
    request: ReadRequest,
    *,
    lower: "Lower | None" = None,
    run: Callable[..., Finished] | None = None,
    environ: Mapping[str, str] | None = None,
    store: Store | None = None,
) -> Reading:
    """Read every pending revision. One that cannot be read is in the result, with the reason.

    With a `store`, a reading that was kept there is used as long as nothing that it rests on has changed.

    Raises:
        UsageError: the graph has no unambiguous pending set (see `Graph.pending`).

    """
    graph = load(project.directory, project.alembic_ini, project.section, store=store)
    pending, heads = _pending(graph, request)
    if not pending and not graph.partial:
        return Reading((), heads, graph.notes)
    outer = os.environ if environ is None else environ
    child = _child(project, request, outer)
    keeper = kept.keeper(store, project, request, (graph, pending), child[2])
    found = keeper.find() if keeper is not None else None
    if found is not None:
        return found
    warming = _warm(request.dialect) if lower is None else None
    recording = _record(project, request, (graph, pending), run or process_run(), (outer, child))
    _agree(request, recording)
    if graph.partial and recording.evidence is not Evidence.RECORDED:
        graph, pending, heads = _guessed(graph, request, recording)
        recording = _record(
            project, request, (graph, pending), run or process_run(), (outer, child)
        )
    if warming is not None:
        warming.join()
    from deployguard.revisions.assembling import assembled, settings

    revisions = assembled(graph, pending, project, (request, recording), lower)
    if graph.partial:
        followed = {parent for one in revisions for parent in one.parents}
        heads = tuple(sorted({one.id for one in revisions} - followed)) or request.current
    reading = Reading(
        revisions,
        heads,
        (*graph.notes, *told(recording)),
        tuple(recording.around),
        settings(request, recording, lower),
        tuple(recording.connects),
        recording.schema,
    )
    if keeper is not None and not graph.guessed:
        keeper.keep(reading, recording)
    return reading


def _pending(graph: Graph, request: ReadRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what is pending, the heads after it), as far as the files tell."""
    if request.only is not None:
        return tuple(name for name in graph.ordered() if name in request.only), graph.heads
    try:
        pending = graph.pending(request.current, request.target)
        return pending, graph.targets(request.target)
    except UsageError:
        if (
            graph.partial
        ):  # the child knows where the others are, and Alembic refuses what is ambiguous
            return (), ()
        raise


def _guessed(
    graph: Graph, request: ReadRequest, recording: Recording
) -> tuple[Graph, tuple[str, ...], tuple[str, ...]]:
    """All revisions that are there, when env.py cannot say which count. That nothing is pending is not guessed."""
    wide = widened(graph, request.dialect)
    with suppress(UsageError):
        pending, heads = _pending(wide, request) if wide is not None else ((), ())
        if wide is not None and pending:
            folders = ", ".join(sorted({path.name for path in wide.locations.versions}))
            note = f"env.py decides in which folders the revisions are; without it, all in {folders} were taken."
            return replace(wide, notes=(*wide.notes, note)), pending, heads
    raise UsageError(
        "env.py decides in which folders the revisions are, and it could not run here: "
        f"{recording.unreached[0] if recording.unreached else 'no reason given'}. "
        "Name the folders in version_locations of alembic.ini.",
        next_commands=(f"grep -n version_locations {graph.locations.scripts / 'env.py'}",),
    )


def _agree(request: ReadRequest, recording: Recording) -> None:
    """What is pending was decided by one version table; env.py must mean the same one."""
    told, used = request.version_table, recording.version_tables
    if recording.evidence is not Evidence.RECORDED or not used:
        return
    if len(used) > 1:
        tables = f"env.py keeps revisions in {', '.join(used)}"
        recording.notes.append(f"{tables}; what is pending was decided by one of them alone.")
    if request.catalogue is not None and told and told not in used:
        raise UsageError(
            f"env.py keeps the revision in the table {used[0]}, but it was read from {told}: "
            f'set version_table = "{used[0]}" in [project] of deployguard.toml.',
            next_commands=("deployguard check",),
        )


def _child(
    project: ProjectSource, request: ReadRequest, environ: Mapping[str, str]
) -> tuple[Launcher, dict[str, str], dict[str, str]]:
    """(what starts the child, the variables that it is given, the whole environment it is started in)."""
    launcher = project.launcher or Local((sys.executable,))
    passed = {name: environ[name] for name in project.pass_environment if name in environ}
    # One hash seed: Alembic goes through sets, and the same revision must read the same each time.
    environment = {**passed, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    if request.url_env:
        environment[request.url_env] = request.url
    return launcher, environment, launcher.environment(environment, environ)


def _record(
    project: ProjectSource,
    request: ReadRequest,
    known: tuple[Graph, tuple[str, ...]],
    run: Callable[..., Finished],
    around: tuple[Mapping[str, str], tuple[Launcher, dict[str, str], dict[str, str]]],
) -> Recording:
    graph, pending = known
    outer, (launcher, environment, _) = around
    order = Order(
        command=project.command,
        ini=project.alembic_ini,
        section=project.section,
        dialect=request.dialect,
        url=request.url,
        url_env=request.url_env or "",
        current=request.current,
        target=request.target,
        pending=pending,
        partial=graph.partial,
        only=request.only is not None,
        catalogue=request.catalogue,
        keep=project.pass_environment,
        timeout=project.timeout,
        known=_known(graph, pending) if isinstance(launcher, Local) else {},
        locations=relative(graph, project.directory),
        asks=any(asks(graph.nodes[name].path.read_bytes()) for name in pending),
    )
    try:
        return record(
            order,
            launcher,
            directory=project.directory,
            environment=environment,
            outer=outer,
            run=run,
        )
    except EnvironmentUnreachable as error:
        return unreachable(error)


def _known(graph: Graph, pending: tuple[str, ...]) -> dict[str, Json]:
    """The headers of what is not pending, as Alembic asks for the files: by real path."""
    folders: dict[Path, str] = {}
    known: dict[str, Json] = {}
    wanted = frozenset(pending)
    for node in graph.nodes.values():
        folder = node.path.parent
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        if node.id not in wanted:
            names: list[Json] = [list(node.parents), list(node.labels), list(node.depends_on)]
            known[f"{folders[folder]}{os.sep}{node.path.name}"] = [node.id, *names]
    return known


def _warm(dialect: str) -> threading.Thread:
    """Load what makes statements of the recording while the child runs; that takes as long as a small reading."""

    def load_parsers() -> None:
        second = ("sql.postgres",) if dialect == "postgresql" else ()
        for name in ("sql.glot", *second, "revisions.assembling", "rules"):
            import_module(f"deployguard.{name}")

    thread = threading.Thread(target=load_parsers, daemon=True)
    thread.start()
    return thread


__all__ = ["Node", "ProjectSource", "ReadRequest", "Reading", "read"]
