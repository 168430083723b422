"""What the child told, and the files' own text → the pending revisions with their statements and opacities."""

import hashlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from deployguard.model import Evidence, Revision, Script
from deployguard.operations import SetSetting
from deployguard.revisions.features import Features, read_features
from deployguard.revisions.graph import Graph
from deployguard.revisions.heard import Recording
from deployguard.revisions.opacities import Lower, Seen
from deployguard.revisions.recorder.static import docstring
from deployguard.revisions.script import build_script

if TYPE_CHECKING:
    from deployguard.revisions.reader import ProjectSource, ReadRequest

# What a revision may import without depending on the application.
_STANDARD = frozenset(sys.stdlib_module_names) | {"alembic", "sqlalchemy", "__future__"}


def assembled(
    graph: Graph,
    pending: tuple[str, ...],
    project: "ProjectSource",
    told: tuple["ReadRequest", Recording],
    lower: Lower | None,
) -> tuple[Revision, ...]:
    """Every revision that would run, in the order in which it would. ``lower`` None: this package's own."""
    request, recording = told
    seen = Seen(
        lower=lower or _lower(),
        dialect=request.dialect,
        transactional=recording.transactional,
        target_catalogue=request.catalogue is not None,
        own_transaction=recording.each or not recording.transactional,
        missing=recording.unreached[-1]
        if recording.evidence is Evidence.SOURCE and recording.unreached
        else "",
    )
    return tuple(
        _revision(name, graph, project, recording, seen)
        for name in _order(graph, pending, recording, request)
    )


def _order(
    graph: Graph, pending: tuple[str, ...], recording: Recording, request: "ReadRequest"
) -> tuple[str, ...]:
    """Alembic's own order; first what it knows and we do not, last what it did not come to."""
    run = [name for name, _, _ in recording.steps]
    wanted = [
        name
        for name in run
        if name in pending or (name not in graph.nodes and request.only is None)
    ]
    return (*wanted, *(name for name in pending if name not in wanted))


def _revision(
    name: str, graph: Graph, project: "ProjectSource", recording: Recording, seen: Seen
) -> Revision:
    node = graph.nodes.get(name)
    step = next(
        ((path, parents) for known, path, parents in recording.steps if known == name), None
    )
    path = node.path if node else Path(step[0] if step else name)
    content = path.read_bytes() if path.is_file() else b""
    text = content.decode("utf-8", errors="replace")
    features = read_features(text, _STANDARD, seen.dialect)
    ran = step is not None
    events = recording.scripts.get((name, "upgrade"), [])
    unread = bool(features.error) or any(event.get("kind") == "import" for event in events)
    return Revision(
        id=name,
        parents=node.parents if node else (step[1] if step else ()),
        path=_relative(path, project.directory),
        message=docstring(text),
        digest=hashlib.sha256(content).hexdigest(),
        up=_script(name, "upgrade", features, recording, seen, ran=ran),
        down=_script(name, "downgrade", features, recording, seen, ran=ran),
        evidence=Evidence.SOURCE if unread else recording.evidence,
        depends_on=node.depends_on if node else (),
        labels=node.labels if node else (),
    )


def _script(
    name: str, direction: str, features: Features, recording: Recording, seen: Seen, *, ran: bool
) -> Script:
    function = features.upgrade if direction == "upgrade" else features.downgrade
    events = recording.scripts.get((name, direction))
    if events is None and ran and direction == "upgrade" and not seen.missing:
        events = [
            {
                "e": "fail",
                "kind": "limit",
                "line": 0,
                "what": "the reading ended before it came to this one",
            }
        ]
    return build_script(direction, features, function, events, seen)


def _relative(path: Path, directory: Path) -> str:
    try:
        return path.absolute().relative_to(directory.absolute()).as_posix()
    except ValueError:
        return path.as_posix()


def settings(request: "ReadRequest", recording: Recording, lower: Lower | None) -> dict[str, str]:
    """What env.py, or what listens to its connections, sets before the first revision runs; SQLite's alone."""
    if request.dialect != "sqlite":
        return {}
    lowered = lower or _lower()
    return {
        operation.name.lower(): operation.value.strip().strip("'\"")
        for text in recording.before
        for _, operations in lowered(text, request.dialect)
        for operation in operations
        if isinstance(operation, SetSetting)
    }


def _lower() -> Lower:
    from deployguard.sql import lower

    return lower
