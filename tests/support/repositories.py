"""Real git repositories for tests, with nothing of the machine's own settings in them."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

WHO = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")


def environ() -> dict[str, str]:
    """Ours, without what a hook that runs the tests would hand on, and without the user's own settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    return kept | {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository in ``folder``."""

    folder: Path

    def git(self, *argv: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.folder), *WHO, *argv],
            env=environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"git {' '.join(argv)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def commit(self, message: str, *, tag: str = "", force: tuple[str, ...] = ()) -> str:
        """Commit all that is there, and what is ignored of ``force``; the commit's id."""
        self.git("add", "--all")
        if force:
            self.git("add", "--force", *force)
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        if tag:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD")

    def worktrees(self) -> list[str]:
        """The checkouts that git knows besides the working copy."""
        lines = self.git("worktree", "list", "--porcelain").splitlines()
        return [line.split(" ", 1)[1] for line in lines if line.startswith("worktree ")][1:]


def repository(folder: Path) -> Repository:
    """A new repository in ``folder``, on the branch main."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Repository(folder)
    made.git("init", "--quiet", "--initial-branch", "main")
    return made
