"""The repository that the project lies in: commits by name, each checked out beside the working copy, and tags.

The working copy and its index are never touched. No hook of the repository runs, nobody is asked for a password, and
git is given only what it needs of our environment.
"""

import re
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Final

from deployguard.errors import DeployguardError, EnvironmentUnreachable, UsageError
from deployguard.process import Completed, require, run

# What git needs to run at all. GIT_DIR and its like, which a hook hands on, would lead to another repository.
KEPT: Final = ("PATH", "HOME", "XDG_CONFIG_HOME", "USER", "LOGNAME", "TMPDIR", "LD_LIBRARY_PATH")
GIVEN: Final = {
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
SETTINGS: Final = (
    *("-c", "core.hooksPath=/dev/null"),  # no hook of the repository runs
    *("-c", "core.fsmonitor=false"),  # which would name a program
    *("-c", "core.sparseCheckout=false"),  # all of a commit
    *("-c", "advice.detachedHead=false"),
)
_FULL: Final = re.compile("[0-9a-f]{40,64}")
PATIENCE: Final = 60.0  # seconds for a question
CHECKOUT: Final = 900.0  # seconds that a checkout may take


def git_argv(directory: Path, *command: str) -> tuple[str, ...]:
    """``git -C DIRECTORY … COMMAND``, with the settings that keep programs of the repository from running."""
    return ("git", "-C", str(directory), *SETTINGS, *command)


def git_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The whole environment of git: nothing of ours but what it needs."""
    return {name: environ[name] for name in KEPT if name in environ} | GIVEN


@dataclass(frozen=True, slots=True)
class Git:
    """The repository around ``directory``, the project's folder. Checkouts are made below ``folder``."""

    directory: Path
    folder: Path
    environ: Mapping[str, str]

    # --- questions

    def resolve(self, ref: str) -> str:
        """The full id of the commit that a branch, a tag or an id names now.

        Raises UsageError; EnvironmentUnreachable where there is no git.
        """
        require("git", path=self.environ.get("PATH"))
        self.top()
        if not ref or ref.startswith("-") or any(c.isspace() for c in ref):
            raise UsageError(f"{ref!r} is no name of a commit.", next_commands=self._listing())
        kinds = [kind for kind in ("tags", "heads") if self._named(f"refs/{kind}/{ref}")]
        if len(kinds) > 1:
            raise UsageError(
                f"{ref!r} names a tag and a branch; say which.",
                next_commands=tuple(f"… --ref {quote(f'{kind}/{ref}')}" for kind in kinds),
            )
        found = self._named(ref)
        if _FULL.fullmatch(found):  # "^main" is answered with a commit to leave out
            return found
        if self._says("rev-parse", "--is-shallow-repository") == "true":
            deeper = " This clone is shallow: it may lie before what was fetched."
            fetch = (f"git -C {self.directory} fetch --unshallow --tags",)
        else:
            deeper, fetch = "", (f"git -C {self.directory} fetch --all --tags",)
        raise UsageError(
            f"git knows no commit {ref!r} here.{deeper}", next_commands=(*fetch, *self._listing())
        )

    def refuse_changes(self) -> None:
        """Raises UsageError when the working copy has changes of tracked files that are not committed."""
        changed = self._must("status", "--porcelain", "--untracked-files=no").stdout.splitlines()
        if changed:
            names = ", ".join(line[3:] for line in changed[:5])
            raise UsageError(
                f"The working copy has changes that are not committed ({names}{', …' if changed[5:] else ''});"
                " they would not be in what is built from a commit.",
                next_commands=(
                    f"git -C {self.directory} status",
                    f"git -C {self.directory} stash   # or commit them",
                ),
            )

    def head(self) -> str | None:
        """The commit that the working copy is at; None where there is none."""
        return self._named("HEAD") or None

    def top(self) -> Path:
        """The root of the working copy. Raises UsageError where there is no repository."""
        done = self._run("rev-parse", "--show-toplevel")
        if not done.ok:
            raise UsageError(
                f"{self.directory} lies in no git repository that can be used: {done.why()}",
                next_commands=(f"git -C {self.directory} status",),
            )
        return Path(done.stdout.strip())

    def tracks(self, path: Path) -> bool:
        """Whether a path of the working copy is, or holds, what git tracks."""
        try:
            inside = path.resolve().relative_to(self.top().resolve())
        except ValueError:
            return False
        return bool(self._says("ls-files", "--", f":(top,literal){inside.as_posix()}"))

    def refuse_unfit(self, ref: str, commit: str) -> None:
        """Raises UsageError when a checkout of the commit would not be the whole of it: submodules, filters (LFS)."""
        tree = self._must("ls-tree", "-r", "-z", commit, at=self.top()).stdout.split("\0")
        modules = [line.partition("\t")[2] for line in tree if line.startswith("160000 ")]
        if modules:
            raise UsageError(
                f"{ref} has submodules ({', '.join(modules[:3])}), which deployguard does not check out."
                " Build the images yourself, and deploy without --ref.",
            )
        where = (":(top,glob)**/.gitattributes",)
        asked = self._run("grep", "-h", "-E", r"(^|\s)filter=", commit, "--", *where)
        if asked.ok:
            line = asked.stdout.strip().splitlines()[0].strip()
            raise UsageError(
                f"{ref} has files that a filter writes ({line!r} in .gitattributes), as Git LFS does; a checkout by"
                " deployguard would hold pointers to them. Build the images yourself, and deploy without --ref.",
            )
        if asked.code != 1:  # 1: nothing was found
            raise _failed("grep", asked)

    # --- checkouts

    def inside(self) -> str:
        """Where the project's folder lies in the repository: "" for its root, else a relative path."""
        return self._must("rev-parse", "--show-prefix").stdout.strip().rstrip("/")

    def tree(self, name: str) -> Path:
        """Where the checkout of that name is, or would be."""
        return self.folder.resolve() / name

    def check_out(self, name: str, commit: str) -> Path:
        """Check the commit out anew below ``folder``, detached; its root. What a former one left is removed first."""
        self.remove(name)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        add = ("worktree", "add", "--quiet", "--detach", "--force", str(self.tree(name)), commit)
        done = self._run(*add, timeout=CHECKOUT)
        if not done.ok:
            self.remove(name)
            raise EnvironmentUnreachable(
                f"git could not check {commit[:12]} out: {done.why()}",
                next_commands=(f"git -C {self.directory} fsck", f"df -h {self.folder}"),
            )
        if not self.present(name, commit):
            raise EnvironmentUnreachable(
                f"git checked {commit[:12]} out, but what is there differs from it.",
                next_commands=(f"git -C {self.tree(name)} status",),
            )
        return self.tree(name)

    def present(self, name: str, commit: str) -> bool:
        """Whether the checkout is there, at that commit, and nobody has changed it."""
        tree = self.tree(name)
        if not (tree / ".git").is_file():
            return False
        at = self._run("rev-parse", "HEAD", at=tree)
        changed = self._run("status", "--porcelain", "--untracked-files=no", at=tree)
        return at.stdout.strip() == commit and changed.ok and not changed.stdout.strip()

    def names(self, *, listed: bool = True) -> tuple[str, ...]:
        """The checkouts that are there, whole or not; with ``listed`` also those that only git still knows of."""
        there = self.folder.iterdir() if self.folder.is_dir() else ()
        found = {path.name for path in there if path.is_dir()}
        if listed:
            lines = self._says("worktree", "list", "--porcelain").splitlines()
            paths = [
                Path(line.removeprefix("worktree "))
                for line in lines
                if line.startswith("worktree ")
            ]
            found.update(path.name for path in paths if path.parent == self.folder.resolve())
        return tuple(sorted(found))

    def remove(self, name: str) -> None:
        """Remove a checkout and what the repository knows of it; nothing happens when there is none."""
        tree = self.tree(name)
        shutil.rmtree(tree, ignore_errors=True)
        # Not `prune`, which also forgets checkouts of others that are on no disk just now. Twice: even a locked one.
        self._run("worktree", "remove", "--force", "--force", str(tree))

    def sweep(self, keep: Collection[str], *, listed: bool = True) -> tuple[str, ...]:
        """Remove every checkout but those that are named, and our files beside them; what was removed."""
        gone = tuple(name for name in self.names(listed=listed) if name not in keep)
        for file in self.folder.glob("*.json"):
            if file.name.partition(".")[0] not in keep:
                file.unlink(missing_ok=True)
        for name in gone:
            self.remove(name)
        return gone

    # --- tags

    def tag(self, name: str, commit: str) -> None:
        """Let the tag ``name`` lead to the commit. May be repeated. Raises EnvironmentUnreachable."""
        done = self._run("tag", "--no-sign", "--force", name, commit)
        if not done.ok or self._named(f"refs/tags/{name}") != commit:
            raise EnvironmentUnreachable(
                f"git could not make the tag {name}: {done.why()}",
                next_commands=(f"git -C {self.directory} tag --force {name} {commit}",),
            )

    # --- git

    def _listing(self) -> tuple[str, ...]:
        return (f"git -C {self.directory} branch --all", f"git -C {self.directory} tag --list")

    def _named(self, name: str) -> str:
        return self._says(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
        )

    def _says(self, *command: str) -> str:
        done = self._run(*command)
        return done.stdout.strip() if done.ok else ""

    def _must(self, *command: str, at: Path | None = None) -> Completed:
        done = self._run(*command, at=at)
        if not done.ok:
            raise _failed(command[0], done)
        return done

    def _run(self, *command: str, at: Path | None = None, timeout: float = PATIENCE) -> Completed:
        argv = git_argv(at or self.directory, *command)
        return run(argv, env=git_environment(self.environ), timeout=timeout)


def _failed(command: str, done: Completed) -> DeployguardError:
    return EnvironmentUnreachable(
        f"`git {command}` failed: {done.why()}", next_commands=("git status",)
    )
