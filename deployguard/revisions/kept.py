"""A reading is made once, and again as soon as anything that it rests on has changed.

It is found again under all that was asked: project, command, environment, target, catalogue, and the graph of
revisions; and it is believed only while every file that the child looked at (env.py, settings, modules, libraries,
revisions) is what it was, and every folder on its path holds the same names. Never kept are readings that failed or
fell back, that ran in a container, that depend on the clock, chance, other programs or the network, and those made
while one of the files was being written. `deploy` does not use them.
"""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from deployguard.model import Evidence, Json, Opaque, Script
from deployguard.revisions import codec
from deployguard.revisions.chance import chancy, imported, words
from deployguard.revisions.graph import Graph
from deployguard.revisions.headers import FRESH, signature
from deployguard.revisions.heard import Recording
from deployguard.revisions.launcher import Local
from deployguard.revisions.store import Store, digest

if TYPE_CHECKING:
    from deployguard.revisions.reader import ProjectSource, Reading, ReadRequest

_PASSING: Final = (".pyc", "-journal", "-wal", "-shm")  # files that come and go and are no input
_UNSURE: Final = frozenset((Opaque.FAILED, Opaque.EXTERNAL_INPUT, Opaque.APPLICATION_HELPER))


@dataclass(frozen=True, slots=True)
class Keeper:
    """One reading that is about to be made: where it would be kept, and for what."""

    store: Store
    project: "ProjectSource"
    request: "ReadRequest"
    graph: Graph
    pending: tuple[str, ...]
    environment: Mapping[str, str]  # the child's
    argv: tuple[str, ...]
    started: float

    def find(self) -> "Reading | None":
        """The reading, when it was kept and nothing has changed since."""
        entry = self.store.get(self.key())
        if not isinstance(entry, dict) or not _unchanged(entry):
            return None
        return codec.reading(entry.get("reading"))

    def keep(self, reading: "Reading", recording: Recording) -> None:
        """Keep a reading that was just made, if it would be the same the next time."""
        if not _sure(reading, recording) or self._by_chance(recording):
            return
        files = {path: signature(path) for path in self._files(recording)}
        folders = {path: _names(path) for path in _strings(recording.used.get("folders"))}
        for folder in self.graph.locations.versions:
            folders.pop(str(folder), None)  # what is in there is in the key
        before = int((self.started - FRESH) * 1e9)
        if any(found and max(found[1:3]) >= before for found in files.values()):
            return
        missed = set(_strings(recording.used.get("missed")))
        used = (one for one in _strings(recording.used.get("files")) if one not in missed)
        gone = {str(Path(path).parent) for path in used if not files.get(path, (0,))}
        if any(_unsettled(folder, before, gone) for folder in folders):
            return
        inside = f"{self.project.directory.absolute()}{os.sep}"
        entry: dict[str, Json] = {
            "files": [
                [path, list(found or ()), _content(path) if path.startswith(inside) else ""]
                for path, found in files.items()
            ],
            "folders": [[path, names] for path, names in folders.items()],
            "reading": codec.encode(reading),
        }
        self.store.put(self.key(), entry)

    def key(self) -> str:
        """The name of everything that was asked for."""
        project, request = self.project, self.request
        asked = [request.dialect, request.url, request.url_env or "", request.target]
        return "reading-" + digest(
            {
                "ours": ours(),
                "project": [
                    str(project.directory.absolute()),
                    project.alembic_ini,
                    project.section,
                ],
                "command": [*project.command, *self.argv, str(project.timeout)],
                "environment": [
                    [name, self.environment[name]] for name in sorted(self.environment)
                ],
                "asked": [*asked, request.version_table],
                "current": list(request.current),
                "only": None if request.only is None else list[Json](sorted(request.only)),
                "catalogue": digest(request.catalogue),
                "pending": list(self.pending),
                "graph": _graph(self.graph),
            }
        )

    def _files(self, recording: Recording) -> set[str]:
        """Every file that the reading rests on, whether or not it exists."""
        history = {str(node.path.absolute()) for node in self.graph.nodes.values()}
        used = _strings(recording.used.get("files"))
        found = {path for path in used if path not in history}
        read = self.graph.nodes if recording.replayed else self.pending
        found |= {str(self.graph.nodes[name].path.absolute()) for name in read}
        directory = self.project.directory.absolute()
        found |= {str(directory / self.project.alembic_ini), str(directory / "pyproject.toml")}
        found |= {str(folder / ".env") for folder in (directory, *directory.parents)}
        found.add(str(self.graph.locations.scripts / "env.py"))
        program = shutil.which(self.argv[0], path=self.environment.get("PATH"))
        if program:
            here = Path(program).absolute()
            found |= {program, str(here.parent.parent / "pyvenv.cfg"), str(here.resolve())}
        return found

    def _by_chance(self, recording: Recording) -> bool:
        texts = [self.graph.nodes[name].path for name in self.pending]
        texts.append(self.graph.locations.scripts / "env.py")
        inside = f"{self.project.directory.absolute()}{os.sep}"
        used = (Path(path) for path in _strings(recording.used.get("files")))
        # What the application's own modules do when they are imported counts, and all of what a revision imports.
        modules = [one for one in used if str(one).startswith(inside) and one.suffix == ".py"]
        wanted = imported(texts)
        return any(chancy(path) for path in texts) or any(
            chancy(path, only_import=not wanted.intersection(words(path))) for path in modules
        )


def keeper(
    store: Store | None,
    project: "ProjectSource",
    request: "ReadRequest",
    known: tuple[Graph, tuple[str, ...]],
    environment: Mapping[str, str],
) -> Keeper | None:
    """What would keep this reading; None where nobody could tell what it rests on."""
    launcher = project.launcher or Local((sys.executable,))
    graph, pending = known
    if store is None or graph.partial or not isinstance(launcher, Local):
        return None
    if any(name not in graph.nodes for name in pending):
        return None
    return Keeper(
        store, project, request, graph, pending, environment, launcher.python, time.time()
    )


def _sure(reading: "Reading", recording: Recording) -> bool:
    """Whether it was read in the best way, to the end, and nothing in it may be otherwise the next time."""
    scripts: list[Script] = [
        script for revision in reading.revisions for script in (revision.up, revision.down)
    ]
    return (
        recording.complete
        and recording.ended
        and recording.evidence is Evidence.RECORDED
        and not recording.unreached
        and bool(recording.used)
        and not recording.used.get("reasons")
        and all(revision.evidence is Evidence.RECORDED for revision in reading.revisions)
        and not any(one.code in _UNSURE for script in scripts for one in script.opacities)
    )


def _unchanged(entry: Mapping[str, Json]) -> bool:
    files, folders = entry.get("files"), entry.get("folders")
    if not isinstance(files, list) or not isinstance(folders, list):
        return False
    return all(map(_same_file, files)) and all(map(_same_names, folders))


def _same_file(row: Json) -> bool:
    if not isinstance(row, list) or len(row) != 3 or not isinstance(row[0], str):
        return False
    found = signature(row[0])
    if list(found or ()) == row[1]:
        return True
    # A checkout that goes away and comes back has other times and the same text.
    return bool(row[2]) and found is not None and _content(row[0]) == row[2]


def _same_names(row: Json) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 2
        and isinstance(row[0], str)
        and _names(row[0]) == row[1]
    )


def _unsettled(folder: str, before: int, gone: set[str]) -> bool:
    """Whether a name may have come or gone while the folder was looked at. Our own do not count."""
    found = signature(folder)
    if found is None or found[1] < before:
        return False
    entries = (signature(f"{folder}{os.sep}{name}") for name in _wanted(folder))
    return folder in gone or any(one and one[2] >= before for one in entries)


def _content(path: str) -> str:
    try:
        return hashlib.blake2b(Path(path).read_bytes(), digest_size=20).hexdigest()
    except OSError:
        return ""


def _names(folder: str) -> str:
    """What a folder holds, by name: a new module there may take another's place."""
    names = "\0".join(_wanted(folder))
    return hashlib.blake2b(names.encode(errors="replace"), digest_size=20).hexdigest()


def _wanted(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are all that is wanted
    except (OSError, ValueError):
        return []
    ours = {"__pycache__", ".deployguard"}
    return [name for name in names if name not in ours and not name.endswith(_PASSING)]


def _graph(graph: Graph) -> Json:
    nodes: list[Json] = [
        [node.id, *node.parents, "/", *node.depends_on, "/", *node.labels, str(node.path)]
        for node in graph.nodes.values()
    ]
    return [nodes, [str(path) for path in graph.locations.versions], list(graph.notes)]


def _strings(value: object) -> Iterator[str]:
    return (str(one) for one in value) if isinstance(value, list) else iter(())


@cache
def ours() -> str:
    """What reads, lowers and judges: this program, its parsers, and the interpreter that runs them."""
    files = [
        f"{folder}{os.sep}{name}"
        for folder, _, names in os.walk(Path(__file__).parent.parent)
        for name in names
        if name.endswith(".py")
    ]
    parsers = (find_spec(name) for name in ("sqlglot", "postgast", "sqlalchemy"))
    origins = [spec.origin for spec in parsers if spec and spec.origin]
    known = [[path, *(signature(path) or ())] for path in (*sorted(files), *origins)]
    return digest([sys.version, [list(map(str, one)) for one in known]])
