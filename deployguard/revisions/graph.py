"""The revision graph read from the files: no Alembic, no import of the project, no broken revision in the way."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from deployguard.errors import UsageError
from deployguard.revisions.headers import Signature, headers, revision_files, signature
from deployguard.revisions.location import Locations, locate
from deployguard.revisions.recorder.static import Header, read_header
from deployguard.revisions.store import Store

# Several rooms ask for the graph, one after the other: what it was read from last (files and their state), and it.
_last: list[tuple[tuple[Locations, tuple[Path, ...], tuple[Signature | None, ...]], "Graph"]] = []


@dataclass(frozen=True, slots=True)
class Node:
    """One revision file."""

    id: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...]
    labels: tuple[str, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class Graph:
    """All revisions of a project, by identifier, in the order of their file names."""

    nodes: Mapping[str, Node]
    locations: Locations
    notes: tuple[str, ...] = ()
    partial: bool = False  # env.py decides where the files are; there may be more than these
    guessed: bool = False  # env.py could not be asked where they are
    _above: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def heads(self) -> tuple[str, ...]:
        """The revisions that no other one follows, sorted."""
        followed = {parent for node in self.nodes.values() for parent in node.parents}
        return tuple(sorted(set(self.nodes) - followed))

    def resolve(self, name: str) -> str:
        """The full identifier that `name` (an identifier, its beginning, or a branch label) stands for.

        Raises:
            UsageError: nothing, or more than one revision, has that name.

        """
        label, at, rest = name.partition("@")
        if at:
            return self._branch_head(label) if rest in {"head", "heads", ""} else self.resolve(rest)
        if name in self.nodes:
            return name
        labelled = [node.id for node in self.nodes.values() if name in node.labels]
        if labelled:
            return labelled[0]
        begins = [node for node in self.nodes if node.startswith(name)] if name else []
        if len(begins) == 1:
            return begins[0]
        if begins:
            raise UsageError(
                f"Revision {name!r} is ambiguous: {', '.join(sorted(begins))} begin with it."
            )
        raise _unknown(name, self.locations)

    def above(self, name: str) -> tuple[str, ...]:
        """What must be applied before a revision: its parents, and what it depends on."""
        return self._above[name]

    def ancestors(self, names: Iterable[str]) -> set[str]:
        """The revisions themselves and everything that must be applied before them."""
        seen: set[str] = set()
        todo = list(names)
        while todo:
            name = todo.pop()
            if name not in seen:
                seen.add(name)
                todo.extend(self._above[name])
        return seen

    def pending(self, current: Iterable[str], target: str = "head") -> tuple[str, ...]:
        """The revisions that an upgrade to `target` would run, in an order that respects every dependency.

        `current` is what the version table holds. `target` is "head", "heads", an identifier or its beginning,
        a branch label, or "+N".

        Raises:
            UsageError: `current` is not in the graph, `target` is not, or "head" when there are several.

        """
        applied = self.ancestors(self._current(name) for name in current)
        wanted = self.ancestors(self.targets(target, applied))
        return tuple(name for name in self.ordered() if name in wanted and name not in applied)

    def targets(
        self, target: str, applied: set[str] | frozenset[str] = frozenset()
    ) -> tuple[str, ...]:
        """The revisions that `target` names."""
        if target == "base" or not self.nodes:
            return ()
        if target == "heads":
            return self.heads
        if target == "head":
            if len(self.heads) > 1:
                raise _several(self.heads)
            return self.heads
        if re.fullmatch(r"\+\d+", target):
            ahead = [name for name in self.ordered() if name not in applied]
            return tuple(ahead[: int(target)][-1:])
        return (self.resolve(target),)

    def ordered(self) -> tuple[str, ...]:
        """Every revision, each after all that it needs."""
        done: dict[str, None] = {}
        for name in self.nodes:
            stack = [name]
            while stack:
                last = stack[-1]
                missing = [other for other in self._above[last] if other not in done]
                if last in done:
                    stack.pop()
                elif missing:
                    stack.extend(reversed(missing))
                else:
                    done[last] = None
                    stack.pop()
        return tuple(done)

    def _current(self, name: str) -> str:
        try:
            return self.resolve(name)
        except UsageError as error:
            raise _not_here(name, self.locations) from error

    def _branch_head(self, label: str) -> str:
        """The one head of the branch that begins at `label`: what a revision depends on is another branch."""
        branch = {self.resolve(label)}
        for name in self.ordered():
            if any(self.resolve(parent) in branch for parent in self.nodes[name].parents):
                branch.add(name)
        heads = tuple(head for head in self.heads if head in branch)
        if len(heads) != 1:
            raise _several(heads)
        return heads[0]


def load(
    directory: Path,
    alembic_ini: str = "alembic.ini",
    section: str = "alembic",
    *,
    store: Store | None = None,
) -> Graph:
    """Read the graph of the project in `directory`. What a `store` knows of unchanged files is believed.

    Raises:
        UsageError: no configuration, two files with one identifier, a missing parent, or a cycle.

    """
    locations = locate(directory, alembic_ini, section)
    files = tuple(revision_files(locations))
    state = tuple(map(signature, (*files, locations.scripts / "env.py")))
    if _last and _last[0][0] == (locations, files, state):
        return _last[0][1]
    graph = _built(locations, headers(files, store))
    graph = replace(graph, partial=True) if _decided_elsewhere(graph) else graph
    if graph.nodes:  # else other folders have a say
        _last[:] = [((locations, files, state), graph)]
    return graph


def _decided_elsewhere(graph: Graph) -> bool:
    """Whether env.py names folders of its own: it says so, or the revision files lie where Alembic would not look."""
    env = graph.locations.scripts / "env.py"
    if env.is_file() and b"version_locations" in env.read_bytes():
        return True
    if graph.nodes:
        return False
    deeper = replace(graph.locations, versions=(graph.locations.scripts,), recursive=True)
    return any(
        read_header(path.read_text(encoding="utf-8", errors="replace"))
        for path in revision_files(deeper)
    )


def build(locations: Locations, files: Iterable[tuple[Path, bytes]]) -> Graph:
    """The graph of the given files (path, content)."""
    texts = ((path, content.decode("utf-8", errors="replace")) for path, content in files)
    return _built(locations, ((path, read_header(text)) for path, text in texts))


def _built(locations: Locations, files: Iterable[tuple[Path, Header | None]]) -> Graph:
    nodes: dict[str, Node] = {}
    notes: list[str] = []
    for path, header in files:
        if header is None:
            notes.append(
                f"{path.name} declares no revision identifier that can be read; it is left out."
            )
            continue
        if "revision" in header.unknown or "down_revision" in header.unknown:
            raise _computed(path, header)
        if header.revision in nodes:
            raise UsageError(
                f"Two files declare the revision {header.revision}: "
                f"{nodes[header.revision].path.name} and {path.name}.",
                next_commands=(f"grep -rn {header.revision} {path.parent}",),
            )
        nodes[header.revision] = _node(header, path)
        if "depends_on" in header.unknown:
            notes.append(f"{path.name} computes its depends_on, which is left out.")
    graph = Graph(nodes, locations, tuple(notes))
    above = {node.id: _needs(graph, node) for node in nodes.values()}
    _refuse_cycles(above)
    return Graph(nodes, locations, tuple(notes), _above=above)


def _node(header: Header, path: Path) -> Node:
    return Node(header.revision, header.parents, header.depends_on, header.labels, path)


def _needs(graph: Graph, node: Node) -> tuple[str, ...]:
    needs: list[str] = []
    for name in (*node.parents, *node.depends_on):
        try:
            needs.append(graph.resolve(name))
        except UsageError as error:
            raise UsageError(
                f"Revision {node.id} ({node.path.name}) comes after {name!r}, which no file declares.",
                next_commands=("git status", f"git log --all --oneline -- {node.path.parent}"),
            ) from error
    return tuple(dict.fromkeys(needs))


def _refuse_cycles(above: Mapping[str, tuple[str, ...]]) -> None:
    waiting = {name: set(needs) for name, needs in above.items()}
    below: dict[str, list[str]] = {}
    for name, needs in above.items():
        for need in needs:
            below.setdefault(need, []).append(name)
    ready = [name for name, needs in waiting.items() if not needs]
    while ready:
        name = ready.pop()
        del waiting[name]
        for child in below.get(name, ()):
            waiting[child].discard(name)
            if not waiting[child]:
                ready.append(child)
    if waiting:
        raise UsageError(
            f"The revisions {', '.join(sorted(waiting))} follow each other in a circle."
        )


def _several(heads: tuple[str, ...]) -> UsageError:
    return UsageError(
        f"The history has several heads: {', '.join(heads)}. `upgrade head` cannot choose between them. "
        'Merge them, or set migrate.command = ["alembic", "upgrade", "heads"] in deployguard.toml.',
        next_commands=(f'alembic merge -m "merge heads" {" ".join(heads)}',),
    )


def _computed(path: Path, header: Header) -> UsageError:
    which = "revision" if "revision" in header.unknown else "down_revision"
    return UsageError(
        f"{path.name} computes its {which}, so its place in the history cannot be read from the file. "
        f"Write {which} as a plain string.",
        next_commands=(f"grep -n {which} {path}",),
    )


def _unknown(name: str, locations: Locations) -> UsageError:
    where = ", ".join(str(path) for path in locations.versions)
    return UsageError(
        f"No revision file in {where} is called {name!r}.", next_commands=("alembic history",)
    )


def _not_here(name: str, locations: Locations) -> UsageError:
    where = ", ".join(str(path) for path in locations.versions)
    return UsageError(
        f"The database says that it is at revision {name!r}, but no file in {where} has it. Either the database is "
        "ahead of this code (a newer release ran here), or this is another branch, or the file was deleted.",
        next_commands=(
            "alembic history",
            "git fetch --all",
            f"git log --all --oneline -S {name} -- {locations.versions[0]}",
        ),
    )
