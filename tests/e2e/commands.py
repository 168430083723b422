"""Command lines of deployguard that run, and how they ended."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

_DIGEST = re.compile(r"\b[0-9a-f]{64}\b")


@dataclass(frozen=True, slots=True)
class Result:
    """How one command line ended."""

    code: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def both(self) -> str:
        return self.stdout + self.stderr

    @property
    def words(self) -> str:
        """Everything that was said, in one line: sentences may be wrapped anywhere."""
        return " ".join(self.both.split())

    @property
    def digest(self) -> str:
        """The plan's digest as it was shown."""
        found = set(_DIGEST.findall(self.both))
        assert len(found) == 1, self.both
        return found.pop()

    @property
    def document(self) -> dict[str, object]:
        """What --format json wrote."""
        found = json.loads(self.stdout)
        assert isinstance(found, dict)
        return found


@dataclass(slots=True)
class Command:
    """A command line that runs. Like a shell's job it has a process group of its own."""

    process: subprocess.Popen[str]
    folder: Path
    began: float = field(default_factory=time.monotonic)

    def said(self) -> str:
        return (self.folder / "stdout").read_text() + (self.folder / "stderr").read_text()

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        """SIGKILL to deployguard alone: what it started goes on or not, as in real life."""
        self.process.kill()
        self.process.wait(10)

    def result(self, timeout: float = 300) -> Result:
        code = self.process.wait(timeout)
        texts = [(self.folder / name).read_text() for name in ("stdout", "stderr")]
        return Result(code, *texts, time.monotonic() - self.began)
