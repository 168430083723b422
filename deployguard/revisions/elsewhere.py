"""Where revision files are that only env.py knows of, when env.py cannot run: all below the script folder."""

import os
from dataclasses import replace
from pathlib import Path

from deployguard.errors import UsageError
from deployguard.revisions.graph import Graph, build
from deployguard.revisions.headers import revision_files
from deployguard.revisions.recorder.static import read_header

# Folders that are named for a dialect hold revisions for that one only.
_DIALECTS = {
    "postgresql": {"postgresql", "postgres", "pg", "psql"},
    "sqlite": {"sqlite", "sqlite3"},
    "mysql": {"mysql", "mariadb"},
    "oracle": {"oracle"},
    "mssql": {"mssql", "sqlserver"},
}


def widened(graph: Graph, dialect: str) -> Graph | None:
    """The graph of every revision file below the script folder that may be meant for the dialect.

    None: there are none, or they do not make one graph.
    """
    scripts = graph.locations.scripts
    deeper = replace(graph.locations, versions=(scripts,), recursive=True)
    others = {name for key, names in _DIALECTS.items() if key != dialect for name in names}
    found = {
        path: path.read_bytes()
        for path in revision_files(deeper)
        if others.isdisjoint(part.lower() for part in path.relative_to(scripts).parent.parts)
    }
    revisions = {
        path: content
        for path, content in found.items()
        if read_header(content.decode("utf-8", errors="replace")) is not None
    }
    if not revisions:
        return None
    folders = tuple(dict.fromkeys(path.parent for path in revisions))
    locations = replace(graph.locations, versions=folders, recursive=False)
    try:
        return replace(build(locations, revisions.items()), guessed=True)
    except UsageError:
        return None


def relative(graph: Graph, directory: Path) -> tuple[str, ...]:
    """Its folders as they are named in the project's folder, which may lie elsewhere where the child runs."""
    if not graph.guessed:
        return ()
    return tuple(os.path.relpath(folder, directory) for folder in graph.locations.versions)
