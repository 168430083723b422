"""An application that configured commands update: `systemctl restart …`, a script, another orchestrator."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deployguard.config import TargetConfig
from deployguard.model import Foreseen, Release
from deployguard.process import Redactor, require, run
from deployguard.targets.base import UpdateFailed

VERSION: Final = "version"  # the key in Release.images


@dataclass(frozen=True, slots=True)
class CommandsTarget:
    """Runs argv lists in ``directory``.

    ``{deploy}`` in a command is the deploy's id, ``{version}`` in a rollback command the version to go back to; both
    are also in the environment as DEPLOYGUARD_DEPLOY and DEPLOYGUARD_VERSION.
    """

    config: TargetConfig
    directory: Path
    environ: Mapping[str, str]
    redact: Redactor
    on_line: Callable[[str], None]

    @property
    def can_stop(self) -> bool:
        return bool(self.config.stop)

    def preflight(self) -> None:
        version = (self.config.version,) if self.config.version else ()
        named = self.config
        for command in (*named.update, *named.rollback, *named.stop, *named.start, *version):
            program = command[0]
            if "/" in program:
                program = str(self.directory / program)
            require(program, path=self.environ.get("PATH"))

    def foresee(self) -> tuple[Foreseen, ...]:
        return ()

    def prepare(self) -> None:
        return

    def current(self) -> Release:
        if not self.config.version:
            return Release({})
        done = run(
            self.config.version,
            env=self.environ,
            cwd=self.directory,
            timeout=self.config.timeout,
            redact=self.redact,
        )
        if not done.ok:
            raise UpdateFailed(f"{self.config.version[0]} could not tell the version: {done.why()}")
        return Release({VERSION: done.stdout.strip().partition("\n")[0]})

    def update(self, deploy: str, former: Release) -> Release:
        del former  # the commands know
        self._run_all(self.config.update, deploy, "")
        return self.current()

    def put_back(self, release: Release, deploy: str) -> Release:
        version = release.images.get(VERSION, "")
        if not self.config.rollback:
            raise UpdateFailed(
                "[target] names no rollback commands, so the former version cannot be put back"
                f"{f' ({version})' if version else ''}."
            )
        self._run_all(self.config.rollback, deploy, version)
        now = self.current()
        if version and now.images.get(VERSION) != version:
            raise UpdateFailed(
                f"The rollback commands ran, but the version is {now.images.get(VERSION)!r} and not"
                f" {version!r}."
            )
        return now

    def stop(self) -> None:
        self._run_all(self.config.stop, "", "")

    def start(self) -> None:
        self._run_all(self.config.start, "", "")

    def running(self) -> bool:
        return True

    def stopped(self) -> bool:
        return False

    def _run_all(self, commands: tuple[tuple[str, ...], ...], deploy: str, version: str) -> None:
        environ = {
            **self.environ,
            "DEPLOYGUARD_DEPLOY": deploy,
            "DEPLOYGUARD_VERSION": version,
        }
        for command in commands:
            argv = [
                part.replace("{deploy}", deploy).replace("{version}", version) for part in command
            ]
            done = run(
                argv,
                env=environ,
                cwd=self.directory,
                timeout=self.config.timeout,
                on_line=self.on_line,
                redact=self.redact,
            )
            if not done.ok:
                raise UpdateFailed(f"The command {' '.join(argv)} failed: {done.why()}")
