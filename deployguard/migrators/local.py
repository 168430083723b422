"""Migrations as a process of this machine, detached so that it survives us."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deployguard import process
from deployguard.config import MigrateConfig
from deployguard.migrators.base import Absent, Exit, Exited, Job, Probe, Running, Started, job_argv
from deployguard.migrators.log import KeptLog
from deployguard.migrators.settings import HOOK, session_environment
from deployguard.process import Redactor, Spawned, require


@dataclass(frozen=True, slots=True)
class LocalMigrator:
    """Runs the configured command in ``directory``.

    ``state`` is the state folder: run folders and logs go below it. ``environ`` is the command's whole environment.
    ``python`` is the project's interpreter, empty for none in particular; programs beside it are found first.
    """

    config: MigrateConfig
    directory: Path
    state: Path
    environ: Mapping[str, str]
    redact: Redactor
    python: str = ""

    def preflight(self) -> None:
        for command in (self.config.command, self.config.downgrade_command):
            require(command[0], path=self._path())

    def image(self) -> str:
        return ""

    def start(self, job: Job) -> Started:
        started, folder = self._started(job), self._folder(job)
        if isinstance(process.look(folder, settle=0), process.Running):
            return started
        process.forget(folder)
        environment = {**self.environ, "PATH": self._path()}
        environment |= session_environment(self.config, job, environment, hook=str(HOOK))
        process.spawn(
            job_argv(self.config, job),
            folder.folder,
            env=environment,
            cwd=self.directory,
            timeout=job.timeout,
        )
        return started

    def follow(self, started: Started, on_line: Callable[[str], None]) -> Exit:
        with KeptLog(started.log_path, self.redact, on_line) as log:
            ended = process.follow(_spawned(started), log.line)
        if isinstance(ended, process.Absent):
            return Exit(None, started.log_path)
        return Exit(ended.code, started.log_path, ended.timed_out)

    def probe(self, job: Job) -> Probe:
        match process.look(self._folder(job)):
            case process.Running():
                return Running(self._started(job))
            case process.Ended(code):
                return Exited(self._started(job), code)
            case process.Absent():
                return Absent()

    def cancel(self, started: Started) -> None:
        process.stop(_spawned(started))

    def tidy(self, started: Started) -> None:
        process.forget(_spawned(started))

    def _folder(self, job: Job) -> Spawned:
        return Spawned(self.state / "runs" / job.name)

    def _started(self, job: Job) -> Started:
        evidence = {
            "folder": str(self._folder(job).folder),
            "log": str(self.state / "logs" / f"{job.name}.log"),
            "timeout": str(job.timeout),
            "application_name": job.application_name,
        }
        return Started("local", job.name, evidence)

    def _path(self) -> str:
        """PATH with the project's programs first and, last, those that were installed with deployguard itself."""
        theirs = [str((self.directory / self.python).parent)] if "/" in self.python else []
        own = str(Path(sys.executable).parent)
        return ":".join([*theirs, *filter(None, [self.environ.get("PATH", "")]), own])


def _spawned(started: Started) -> Spawned:
    return Spawned(Path(started.evidence["folder"]))
