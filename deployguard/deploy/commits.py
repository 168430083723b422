"""Other commits of the project: named, checked out for one run, and built; the door of the saga to git."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Protocol

from deployguard.config import Checkout, Config, Environment
from deployguard.errors import DeployguardError, UsageError

if TYPE_CHECKING:
    from deployguard.revisions.graph import Graph
    from deployguard.targets.built import Builder
    from deployguard.targets.git import Git


@dataclass(frozen=True, slots=True)
class Named:
    """A commit that was asked for: by which name, its full id, and where in the repository the project lies."""

    ref: str
    commit: str
    inside: str = ""


class Commits(Protocol):
    """The repository, to the saga. ``run`` is the id of the run that a checkout is for."""

    def name(self, ref: str, *, strict: bool) -> Named:
        """The commit that a name leads to now. ``strict``: the working copy must have no changes of its own.

        Raises UsageError and EnvironmentUnreachable where it could not be built; nothing is made.
        """
        ...

    def check_out(self, run: str, named: Named) -> tuple[str, ...]:
        """Check it out anew; sentences for people. Raises UsageError and EnvironmentUnreachable."""
        ...

    def present(self, run: str, named: Named) -> bool:
        """Whether that checkout is there and as it was made."""
        ...

    def build(self, run: str, named: Named, tag: str = "") -> Mapping[str, tuple[str, str]]:
        """Build the images: service → (image id, name). With ``tag`` by other names, which nothing uses."""
        ...

    def images(self) -> Mapping[str, tuple[str, str]]:
        """Where the names lead now that a build without ``tag`` moves: service → (image id or "", name)."""
        ...

    def lead(self, names: Mapping[str, str], only: Collection[str] = ()) -> None:
        """Let each name lead to that image, "" to none; with ``only`` just those that lead to one of these now."""
        ...

    def graph(self, run: str, named: Named) -> "Graph":
        """The revisions that the checkout has."""
        ...

    def keep(self, tag: str) -> Mapping[str, str]:
        """Give the images that run another name with ``tag`` in it: service → name. May be repeated."""
        ...

    def head(self) -> str | None:
        """The commit that the working copy is at, if there is a repository."""
        ...

    def clean(self) -> bool:
        """Whether the working copy has no changes of its own. Raises EnvironmentUnreachable."""
        ...

    def tag(self, name: str, commit: str) -> None:
        """Let a tag lead to a commit. Raises EnvironmentUnreachable."""
        ...

    def remove(self, run: str) -> None:
        """Remove one checkout. Raises nothing."""
        ...

    def sweep(self, keep: Collection[str], *, used: bool) -> None:
        """Remove the checkouts of all runs of the environment but these. Raises nothing.

        ``used``: there were runs of a commit, so git is asked too.
        """
        ...


@dataclass(frozen=True, slots=True)
class GitCommits:
    """Commits of the repository around deployguard.toml. ``builder`` is None where no application is built."""

    config: Config
    environment: Environment
    git: "Git"
    builder: "Builder | None"
    note: Callable[[str], None] = field(repr=False)

    def name(self, ref: str, *, strict: bool) -> Named:
        kind = self.environment.target.kind
        if kind == "commands":
            raise UsageError(
                'A commit can be built where [target] kind is "compose"; the commands of kind "commands" know'
                " themselves what they start.",
                next_commands=(f"git checkout {quote(ref)} && deployguard deploy",),
            )
        commit = self.git.resolve(ref)
        if strict:
            self.git.refuse_changes()
        self.git.refuse_unfit(ref, commit)
        return Named(ref, commit, self.git.inside())

    def check_out(self, run: str, named: Named) -> tuple[str, ...]:
        self.git.check_out(run, named.commit)
        place = self._place(run, named)
        if not (place / self.config.project.alembic_ini).is_file():
            raise UsageError(
                f"{named.ref} has no {self.config.project.alembic_ini} in {named.inside or 'its root'}.",
                next_commands=(f"git ls-tree {named.commit[:12]}",),
            )
        self._refuse_outside(run, self.graph(run, named), named)
        return tuple(self._mounts())

    def present(self, run: str, named: Named) -> bool:
        return self.git.present(run, named.commit)

    def build(self, run: str, named: Named, tag: str = "") -> Mapping[str, tuple[str, str]]:
        from deployguard.targets.built import Moved

        if self.builder is None:
            return {}
        moved = Moved(self.git.top(), self.git.tree(run), named.ref)
        return self.builder.build(run, moved, tag=tag)

    def images(self) -> Mapping[str, tuple[str, str]]:
        return self.builder.images() if self.builder else {}

    def lead(self, names: Mapping[str, str], only: Collection[str] = ()) -> None:
        if self.builder is not None:
            self.builder.lead(names, only)

    def graph(self, run: str, named: Named) -> "Graph":
        from deployguard.revisions.graph import load

        project = self.config.project
        return load(self._place(run, named), project.alembic_ini, project.section)

    def keep(self, tag: str) -> Mapping[str, str]:
        return self.builder.keep(tag) if self.builder else {}

    def head(self) -> str | None:
        return self.git.head()

    def clean(self) -> bool:
        try:
            self.git.refuse_changes()
        except UsageError:
            return False
        return True

    def tag(self, name: str, commit: str) -> None:
        self.git.tag(name, commit)

    def remove(self, run: str) -> None:
        try:
            self.git.remove(run)
        except (DeployguardError, OSError) as error:
            self.note(f"The checkout {self.git.tree(run)} could not be removed: {error}")

    def sweep(self, keep: Collection[str], *, used: bool) -> None:
        try:
            self.git.sweep(keep, listed=used)
        except (DeployguardError, OSError) as error:
            self.note(f"Checkouts in {self.git.folder} could not be removed: {error}")

    def configured(self, run: str, named: Named) -> Config:
        """The configuration that reads the revisions of the checkout."""
        checkout = Checkout(named.ref, named.commit, self._place(run, named))
        return replace(self.config, checkout=checkout)

    def _place(self, run: str, named: Named) -> Path:
        return self.git.tree(run) / named.inside

    def _refuse_outside(self, run: str, graph: "Graph", named: Named) -> None:
        """Raises UsageError when Alembic would take the revisions from elsewhere than the checkout."""
        tree = self.git.tree(run).resolve()
        places = (graph.locations.scripts, *graph.locations.versions)
        outside = [str(path) for path in places if not path.resolve().is_relative_to(tree)]
        if outside:
            raise UsageError(
                f"{self.config.project.alembic_ini} of {named.ref} leads to {', '.join(outside)}, which is not a part"
                " of the commit; so no commit says what would run.",
                next_commands=(f"git show {named.commit[:12]}:{self.config.project.alembic_ini}",),
            )

    def _mounts(self) -> list[str]:
        """What the services mount of the working copy instead of the commit. Raises UsageError for revisions."""
        if self.builder is None:
            return []
        found = [(s, path) for s, path in self.builder.mounted() if self.git.tracks(Path(path))]
        directory, project = self.config.directory, self.config.project
        scripts = (directory / project.alembic_ini).resolve()
        migration = self.builder.migration[1] if self.builder.migration else ""
        for service, path in found:
            mounted = Path(path).resolve()
            if service == migration and (scripts.is_relative_to(mounted) or _revisions(mounted)):
                raise UsageError(
                    f"The service {service} mounts {path} from the working copy, so it would run the revisions that"
                    " lie there and not those of the commit.",
                    next_commands=("docker compose config   # shows what is mounted",),
                )
        return [
            f"{service} mounts {path} of the working copy, as it is." for service, path in found
        ]


def _revisions(folder: Path) -> bool:
    """Whether a folder looks like one of Alembic's, or like the versions in it."""
    return (
        (folder / "env.py").exists() or (folder / "versions").exists() or folder.name == "versions"
    )
