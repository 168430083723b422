"""Holds writers still around a migration: a maintenance page, stopped services, or configured commands."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployguard.config import QuiesceConfig
from deployguard.containers import Compose, Engine
from deployguard.errors import EnvironmentUnreachable, UsageError
from deployguard.process import Redactor, require, run
from deployguard.targets.base import UpdateFailed
from deployguard.targets.replacing import Replacing


@dataclass(frozen=True, slots=True)
class Quiescer:
    """Closes and opens again; both may be repeated. ``timeout`` in seconds for one command."""

    config: QuiesceConfig
    compose: Compose
    engine: Engine
    directory: Path
    environ: Mapping[str, str]
    redact: Redactor
    timeout: int
    on_line: Callable[[str], None]
    sleep: Callable[[float], None] = time.sleep

    @property
    def file(self) -> Path | None:
        """The maintenance file's place; None where none is configured."""
        name = self.config.maintenance_file
        return self.directory / name if name else None

    def preflight(self) -> None:
        """Raises UsageError or EnvironmentUnreachable when closing or opening could not work."""
        if self.file is not None and not self.file.parent.is_dir():
            raise UsageError(
                f"[quiesce] maintenance_file: there is no folder {self.file.parent}.",
                next_commands=(f"mkdir {self.file.parent}",),
            )
        for command in (*self.config.on, *self.config.off):
            program = command[0]
            require(
                str(self.directory / program) if "/" in program else program,
                path=self.environ.get("PATH"),
            )
        if self.config.services:
            known = self.compose.project().services
            missing = [name for name in self.config.services if name not in known]
            if missing:
                raise UsageError(
                    f"The compose project has no service {missing[0]!r} ([quiesce] services); it has:"
                    f" {', '.join(sorted(known))}."
                )

    def writers(self) -> tuple[str, ...]:
        """Those of the configured services that run now: exactly these are started again."""
        if not self.config.services:
            return ()
        project = self.compose.project().name
        return tuple(
            service
            for service in self.config.services
            if any(one.running for one in self.engine.service_containers(project, service))
        )

    def close(self, services: tuple[str, ...], deploy: str) -> None:
        """Turn traffic away, let what is under way end, stop ``services``. Raises UpdateFailed."""
        if self.file is not None:
            try:
                self.file.write_text(f"deployguard {deploy}\n")
                self.file.chmod(0o644)  # for the proxy's user; nothing secret is in it
            except OSError as error:
                raise UpdateFailed(
                    f"The maintenance file {self.file} cannot be written: {error.strerror}."
                ) from error
        self._commands(self.config.on, deploy)
        if self.config.drain and (self.file is not None or self.config.on):
            self.on_line(f"letting requests end for {self.config.drain} s")
            self.sleep(self.config.drain)
        if services:
            self._compose("stop", services)

    def open(self, services: tuple[str, ...], deploy: str) -> None:
        """Start ``services``, see that they run, tell their proxies, let traffic in again. Raises UpdateFailed."""
        if services:
            self._compose("start", services)
            silent = sorted({*services} - {*self.writers()})
            if silent:
                raise UpdateFailed(
                    f"{', '.join(silent)} was started again and does not run.",
                    (" ".join(self.compose.argv("logs", "--tail", "50", *silent)),),
                )
            self._tell_proxies(services, deploy)
        self._commands(self.config.off, deploy)
        if self.file is not None:
            try:
                self.file.unlink(missing_ok=True)
            except OSError as error:
                raise UpdateFailed(
                    f"The maintenance file {self.file} cannot be removed: {error.strerror}."
                ) from error

    def by_hand(self, services: tuple[str, ...]) -> tuple[str, ...]:
        """What a person types to open again."""
        commands = [" ".join(self.compose.argv("start", *services))] if services else []
        commands += [" ".join(command) for command in self.config.off]
        commands += [f"rm -f {self.file}"] if self.file is not None else []
        return tuple(commands)

    def _tell_proxies(self, services: tuple[str, ...], deploy: str) -> None:
        if self.compose.target.rolling:  # what was started may have got other addresses
            replacing = Replacing(self.compose, self.engine, self.compose.project(), self.on_line)
            replacing.tell_proxies(services, deploy)

    def _compose(self, what: str, services: tuple[str, ...]) -> None:
        done = self.compose.run(what, *services, timeout=self.timeout, on_line=self.on_line)
        if not done.ok:
            raise UpdateFailed(
                f"`docker compose {what} {' '.join(services)}` failed: {done.why()}",
                (" ".join(self.compose.argv("ps", "-a")),),
            )

    def _commands(self, commands: tuple[tuple[str, ...], ...], deploy: str) -> None:
        environ = {**self.environ, "DEPLOYGUARD_DEPLOY": deploy}
        for command in commands:
            shown = self.redact(" ".join(command))
            try:
                done = run(
                    command,
                    env=environ,
                    cwd=self.directory,
                    timeout=self.timeout,
                    on_line=self.on_line,
                    redact=self.redact,
                )
            except EnvironmentUnreachable as error:
                raise UpdateFailed(f"The command {shown} cannot be run: {error.message}") from error
            if not done.ok:
                raise UpdateFailed(f"The command {shown} failed: {done.why()}")
