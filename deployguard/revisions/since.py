"""Which revision files a branch adds, from git: the pending set of a pull request, without a database."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from deployguard.errors import UsageError
from deployguard.revisions import process_run
from deployguard.revisions.graph import Graph
from deployguard.revisions.recording import Finished


@dataclass(frozen=True, slots=True)
class Since:
    """The revisions that the working tree adds since it left `base`, and what is odd about its history."""

    base: str
    added: frozenset[str]
    edited: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def since(
    graph: Graph,
    directory: Path,
    git_ref: str,
    *,
    target: str = "heads",
    run: Callable[..., Finished] | None = None,
) -> Since:
    """Compare the revision files with the merge base of HEAD and `git_ref`; uncommitted files count.

    `target` is what the upgrade will be told to reach: where that is "head", there must be one.

    Raises:
        UsageError: no git repository, no such ref, or several heads.

    """
    git = _Git(directory, run or process_run())
    if target == "head" and not graph.partial:  # else env.py decides which revisions count
        graph.targets(target)
    base = git(
        "merge-base", git_ref, "HEAD", why=f"git knows no common ancestor of {git_ref!r} and HEAD"
    ).strip()
    root = Path(git("rev-parse", "--show-toplevel", why="this is not a git repository").strip())
    folders = [str(folder) for folder in graph.locations.versions]
    changed = _pairs(git("diff", "--name-status", "--no-renames", "-z", base, "--", *folders))
    new = git(
        "ls-files", "--others", "--exclude-standard", "--full-name", "-z", "--", *folders
    ).split("\0")
    by_path = {str(node.path.resolve()): node.id for node in graph.nodes.values()}
    added = {
        *_ids(by_path, root, (path for status, path in changed if status == "A")),
        *_ids(by_path, root, new),
    }
    removed = [path for status, path in changed if status == "D"]
    former = {_identifier(git, base, path) for path in removed}
    edited = sorted(_ids(by_path, root, (path for status, path in changed if status == "M")))
    # A renamed file is the same revision.
    moved = added & former
    notes = [
        f"Revision {name} is part of the history and was edited: databases that have it will not run it again."
        for name in edited
    ]
    notes += [
        f"The revision file {path} of the history was deleted: databases that are at it cannot be migrated."
        for path in removed
        if _identifier(git, base, path) not in graph.nodes
    ]
    return Since(base, frozenset(added - moved), tuple(edited), tuple(notes))


class _Git:
    """Git in one directory."""

    def __init__(self, directory: Path, run: Callable[..., Finished]) -> None:
        self.directory = directory
        self.run = run

    def __call__(self, *arguments: str, why: str = "") -> str:
        finished = self.run(["git", "-C", str(self.directory), *arguments], timeout=60)
        if finished.code != 0:
            detail = finished.stderr.strip().splitlines()[-1:] or ["no message"]
            raise UsageError(
                f"{why or 'git failed'}: {detail[0]}",
                next_commands=(*self._deeper(), "git branch --all"),
            )
        return finished.stdout

    def _deeper(self) -> tuple[str, ...]:
        """What fetches the missing history; git refuses it in a clone that has all of it."""
        asked = ["git", "-C", str(self.directory), "rev-parse", "--is-shallow-repository"]
        shallow = self.run(asked, timeout=60).stdout.strip() == "true"
        return ("git fetch --unshallow",) if shallow else ("git fetch --all",)


def _pairs(output: str) -> list[tuple[str, str]]:
    fields = output.split("\0")
    return [(fields[index][:1], fields[index + 1]) for index in range(0, len(fields) - 1, 2)]


def _ids(by_path: dict[str, str], root: Path, paths: Iterable[str]) -> set[str]:
    found = (by_path.get(str((root / path).resolve())) for path in paths if path)
    return {name for name in found if name}


def _identifier(git: _Git, base: str, path: str) -> str:
    from deployguard.revisions.recorder.static import read_header

    header = read_header(git("show", f"{base}:{path}"))
    return header.revision if header else ""
