"""What ``backup schedule`` is told and finds out, and where its files go."""

import getpass
import os
import shutil
import sys
from pathlib import Path

import click

from deployguard.backups import schedule
from deployguard.cli.app import App
from deployguard.cli.terminal import people
from deployguard.errors import UsageError

_USUAL = ("/usr/local/bin", "/usr/bin", "/bin")
_PROGRAMS = ("pg_dump", "docker")  # what a backup may have to start


def job(
    context: click.Context, env: str | None, env_file: str, networks: tuple[str, ...]
) -> schedule.Job:
    """The schedule of an environment on this machine."""
    app: App = context.obj
    config, environment = app.config(), app.environment(env)
    database = environment.database
    needs = bool(env_file) or not database.url
    file = (Path.cwd() / env_file) if env_file else config.directory / "deployguard.env"
    return schedule.Job(
        python=sys.executable,
        config=config.path,
        state=config.state_directory,
        project=config.project.name,
        environment=environment.name,
        every=environment.retention.every,
        at=environment.retention.at,
        path=_path(),
        env_file=str(file) if needs else "",
        user=getpass.getuser(),
        owner=(os.getuid(), os.getgid()),
        networks=networks,
        variable=database.url_env,
        offsite=bool(environment.offsite.url),
    )


def _path() -> str:
    """Where the programs are that a backup needs: cron and systemd know little of the shell's PATH."""
    found = (shutil.which(program) for program in _PROGRAMS)
    folders = [str(Path(program).parent) for program in found if program]
    return ":".join(dict.fromkeys((*(f for f in folders if f not in _USUAL), *_USUAL)))


def written(kind: str, made: schedule.Job, output: Path | None) -> str:
    """The files as one text, or "" when they were written to ``output``. Raises UsageError."""
    files = schedule.files(kind, made)
    if output is None:
        several = len(files) > 1
        return "\n".join(f"# {name}\n{text}" if several else text for name, text in files.items())
    for name, text in files.items():
        try:
            (output / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"Cannot write {output / name}: {error.strerror}.") from error
        people().write(f"Wrote {output / name}.")
    return ""
