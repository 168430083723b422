"""A program of the user's own that ends with 0 when the application works."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployguard.errors import EnvironmentUnreachable
from deployguard.health.base import Answer
from deployguard.process import Redactor, run

SHOWN: Final = 120  # characters of its last line that are shown


@dataclass(frozen=True, slots=True)
class CommandCheck:
    """Run in ``cwd`` with ``environ`` and no shell; ``timeout`` in seconds.

    One that cannot be started says nothing.
    """

    argv: tuple[str, ...]
    cwd: Path
    environ: Mapping[str, str]
    redact: Redactor
    timeout: float

    def ask(self) -> Answer:
        shown = self.redact(" ".join(self.argv))[:SHOWN]
        try:
            done = run(
                self.argv, cwd=self.cwd, env=self.environ, redact=self.redact, timeout=self.timeout
            )
        except EnvironmentUnreachable as error:
            return Answer(None, f"{shown!r} could not be run: {error.message}")
        if done.timed_out:
            return Answer(False, f"{shown!r} did not end within {self.timeout:g} s")
        if done.ok:
            return Answer(True, f"{shown!r} ended with 0")
        lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
        said = f": {lines[-1][:SHOWN]}" if lines else ""
        return Answer(False, f"{shown!r} ended with {done.code}{said}")
