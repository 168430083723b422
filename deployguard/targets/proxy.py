"""Telling a proxy which containers serve: a file that it includes, and the command that makes it read that."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployguard.config import RollingConfig
from deployguard.containers import Compose
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.process import require, run
from deployguard.targets.base import UpdateFailed

DIGITS = "0123456789abcdef"


def share(number: int, count: int) -> str:
    """A regular expression for the last digits of a hexadecimal number: it matches every ``count``-th of them.

    The shares of all numbers from 0 to ``count`` - 1 match each number exactly once.
    """
    width = 1 if count <= len(DIGITS) else 2
    every = range(number, len(DIGITS) ** width, count)
    return "(" + "|".join(format(one, f"0{width}x") for one in every) + ")$"


def upstream(line: str, names: Sequence[str]) -> str:
    """The text of the file: one line a replica."""
    shares = [share(number, len(names)) for number in range(len(names))]
    told = [
        line.replace("{name}", name).replace("{share}", part)
        for name, part in zip(names, shares, strict=True)
    ]
    return "".join(f"{one}\n" for one in told)


@dataclass(frozen=True, slots=True)
class Proxy:
    """The proxy before one service. Its file counts from the configuration's folder, its commands run there."""

    config: RollingConfig
    compose: Compose
    timeout: float
    on_line: Callable[[str], None]

    @property
    def file(self) -> Path | None:
        name = self.config.upstream_file
        return self.compose.directory / name if name else None

    def preflight(self) -> None:
        """Raises UsageError or EnvironmentUnreachable when telling it could not work."""
        if self.file is not None and not self.file.parent.is_dir():
            raise UsageError(
                f"[target] rolling, upstream_file: there is no folder {self.file.parent}.",
                next_commands=(f"mkdir {self.file.parent}",),
            )
        for command in self.config.switch:
            program = command[0]
            require(
                str(self.compose.directory / program) if "/" in program else program,
                path=self.compose.environ.get("PATH"),
            )

    def tell(self, names: Sequence[str], leaving: Sequence[str], deploy: str) -> bool:
        """Let it send requests to ``names`` only. Whether its file said another thing. Raises UpdateFailed."""
        changed = self._write(upstream(self.config.upstream_line, names))
        environ = {
            **self.compose.environ,
            "DEPLOYGUARD_DEPLOY": deploy,
            "DEPLOYGUARD_SERVICE": self.config.service,
            "DEPLOYGUARD_CONTAINERS": " ".join(names),
            "DEPLOYGUARD_LEAVING": " ".join(leaving),
        }
        for command in self.config.switch:
            self._run(command, environ)
        return changed

    def _write(self, content: str) -> bool:
        if self.file is None:
            return False
        try:
            if self.file.exists() and self.file.read_text() == content:
                return False
            made = self.file.with_name(f".{self.file.name}.new")
            with made.open("w") as out:
                out.write(content)
                out.flush()
                os.fsync(out.fileno())
            made.chmod(0o644)  # for the proxy's user; nothing secret is in it
            made.replace(self.file)  # whoever reads it reads all of one or all of the other
        except OSError as error:
            raise UpdateFailed(
                f"The file {self.file} cannot be written: {error.strerror}."
            ) from error
        return True

    def _run(self, command: tuple[str, ...], environ: dict[str, str]) -> None:
        shown = self.compose.redact(" ".join(command))
        try:
            done = run(
                command,
                env=environ,
                cwd=self.compose.directory,
                timeout=self.timeout,
                on_line=self.on_line,
                redact=self.compose.redact,
            )
        except EnvironmentUnreachable as error:
            raise UpdateFailed(f"The command {shown} cannot be run: {error.message}") from error
        if not done.ok:
            raise UpdateFailed(f"The command {shown} failed: {done.why()}")
