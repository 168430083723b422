"""Scheduled backups as cron, systemd, Compose and Celery Beat want them. Pure: settings → the texts of files.

Each of them takes a backup of the class "scheduled", reads it back, and prunes when that went well.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

_DAY: Final = 24
_SUNDAY: Final = 3  # days after the first of January 1970, which was a Thursday
_ODD: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Job:
    """One environment's schedule. ``every`` is an interval of [retention], ``at`` a time of day of one of its runs.

    ``env_file`` holds the variables that the configuration names, "" is none. ``path`` is the PATH that the programs
    are found on; ``owner`` is (user id, group id), whose the files are.
    """

    python: str
    config: PurePath
    state: PurePath
    project: str
    environment: str
    every: str
    at: str
    path: str
    env_file: str = ""
    user: str = ""
    owner: tuple[int, int] = (0, 0)
    networks: tuple[str, ...] = ()
    variable: str = ""  # the one that env_file must hold
    offsite: bool = False  # copies are kept in another place

    @property
    def name(self) -> str:
        """deployguard-backup-PROJECT-ENVIRONMENT, in letters that every one of them takes."""
        return "-".join(
            ("deployguard-backup", *(_ODD.sub("-", w) for w in (self.project, self.environment)))
        )

    @property
    def weekly(self) -> bool:
        return self.every == "7d"

    @property
    def minute(self) -> int:
        return int(self.at[3:])

    @property
    def hours(self) -> tuple[int, ...]:
        """The hours of the day at which it runs."""
        first, step = int(self.at[:2]), min(self._hours, _DAY)
        return tuple(sorted((first + hour) % _DAY for hour in range(0, _DAY, step)))

    @property
    def seconds(self) -> tuple[int, int]:
        """(interval, the first run after the beginning of 1970)."""
        interval = self._hours * 3600
        start = int(self.at[:2]) * 3600 + self.minute * 60 + (_SUNDAY * 86400 if self.weekly else 0)
        return interval, start % interval

    @property
    def _hours(self) -> int:
        number = int(self.every[:-1])
        return number * (_DAY if self.every.endswith("d") else 1)

    def commands(self, program: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
        """Take a backup, prune, prune the copies: argument lists, each to run when the former one went well."""
        start = (*program, "--config", str(self.config), "backup")
        where = ("--env", self.environment)
        prune = (*start, "prune", "--yes", *where)
        copies = ((*prune, "--offsite"),) if self.offsite else ()
        return (*start, "create", "--class", "scheduled", *where), prune, *copies


def cron(job: Job) -> dict[str, str]:
    """One line of a crontab: silent when it went well (cron mails what is said), the log in the state folder."""
    work = _shell(job.commands((job.python, "-m", "deployguard")))
    state, log = (shlex.quote(str(path)) for path in (job.state, job.state / "backup.log"))
    secret = f"set -a; . {shlex.quote(job.env_file)}; set +a; " if job.env_file else ""
    # In a subshell: a file of secrets that is missing would end the shell before it could say so.
    failed = shlex.quote(f"deployguard: the scheduled backup of {job.environment} needs a look at")
    command = (
        f"umask 077; mkdir -p {state}; cd {shlex.quote(str(job.config.parent))} && ( {secret}"
        f"PATH={shlex.quote(job.path)}; export PATH; {work} ) >>{log} 2>&1"
        f" || echo {failed} {log}"
    )
    hours = "*" if len(job.hours) == _DAY else ",".join(map(str, job.hours))
    when = f"{job.minute} {hours} * * {'0' if job.weekly else '*'}"
    # a % would begin the command's input
    return {f"{job.name}.cron": f"{when} {command.replace('%', chr(92) + '%')}\n"}


def _shell(commands: tuple[tuple[str, ...], ...]) -> str:
    return " && ".join(shlex.join(argv) for argv in commands)


def systemd(job: Job) -> dict[str, str]:
    """A service and its timer; a run that was missed while the machine was off is made up for."""
    runs = "\n".join(
        f"ExecStart={' '.join(_unit(word, dollar=True) for word in argv)}"
        for argv in job.commands((job.python, "-m", "deployguard"))
    )
    secret = f"EnvironmentFile={_escaped(job.env_file)}\n" if job.env_file else ""
    user = f"User={job.user}\n" if job.user else ""
    hours = ",".join(f"{hour:02}" for hour in job.hours)
    when = f"{'Sun ' if job.weekly else ''}*-*-* {hours}:{job.minute:02}:00"
    service = f"""\
[Unit]
Description=Scheduled backup of {_escaped(job.project)} {_escaped(job.environment)} by deployguard
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
{user}WorkingDirectory={_escaped(str(job.config.parent))}
Environment={_unit(f"PATH={job.path}")}
{secret}{runs}
"""
    timer = f"""\
[Unit]
Description=When the backup of {_escaped(job.project)} {_escaped(job.environment)} is taken

[Timer]
OnCalendar={when}
Persistent=true

[Install]
WantedBy=timers.target
"""
    return {f"{job.name}.service": service, f"{job.name}.timer": timer}


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def _unit(word: str, *, dollar: bool = False) -> str:
    """A word of a unit file; ``dollar``: where variables are put in."""
    text = _escaped(word).replace("\\", "\\\\").replace('"', '\\"')
    text = text.replace("$", "$$") if dollar else text
    return text if re.fullmatch(r"[\w./:=@%+,-]+", text) else f'"{text}"'


_LOOP: Final = """\
trap 'exit 0' TERM INT
while :; do
  sleep $(( {interval} - ($(date +%s) - {start}) % {interval} )) & wait $!
  {work}
done
"""


def compose(job: Job) -> dict[str, str]:
    """A service that sleeps until the next run, and is unhealthy while `backup status` finds something wrong."""
    folder = str(job.config.parent)
    interval, start = job.seconds
    loop = _LOOP.format(interval=interval, start=start, work=_shell(job.commands(("deployguard",))))
    status = ("deployguard", "--config", str(job.config), "backup", "status")
    lines = [
        "# docker compose -f YOUR-FILE.yml -f THIS-FILE up -d --no-deps " + job.name,
        "# The image has deployguard and the pg_dump of your server in it. Times are UTC.",
        "services:",
        f"  {job.name}:",
        "    image: ${DEPLOYGUARD_IMAGE:-deployguard}",
        f'    user: "{job.owner[0]}:{job.owner[1]}"',
        "    init: true",
        f"    working_dir: {_yaml(folder)}",
        "    volumes:",
        "      - type: bind",
        f"        source: {_yaml(folder)}",
        f"        target: {_yaml(folder)}",
        *(("    env_file:", f"      - {_yaml(job.env_file)}") if job.env_file else ()),
        *(_networks(job.networks)),
        "    entrypoint: [sh, -c]",
        "    command:",
        "      - |",
        *(f"        {line}" for line in loop.replace("$", "$$").splitlines()),
        "    healthcheck:",
        "      test:",
        *(f"        - {_yaml(word)}" for word in ("CMD", *status, "--env", job.environment)),
        "      interval: 10m",
        "      timeout: 1m",
        "      retries: 1",
        "    restart: unless-stopped",
    ]
    return {f"docker-compose.{job.name}.yml": "\n".join(lines) + "\n"}


def _networks(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        return (
            "    # networks: [backend]   # the one that the database is in, if it is not the default",
        )
    return ("    networks:", *(f"      - {_yaml(name)}" for name in names))


def _yaml(text: str) -> str:
    """A string for YAML that Compose does not interpolate."""
    return "'" + text.replace("'", "''").replace("$", "$$") + "'"


def celery(job: Job) -> dict[str, str]:
    """A module with the task and its entry; the worker has the variables that the configuration names."""
    name = job.name.replace("-", "_")
    day = ', day_of_week="sunday"' if job.weekly else ""
    hours = ",".join(map(str, job.hours))
    text = f'''\
"""Scheduled backups by Celery Beat: app.conf.beat_schedule |= {name}.BEAT_SCHEDULE."""

from celery import shared_task
from celery.schedules import crontab

from deployguard.scheduled import back_up

CONFIG = {str(job.config)!r}
ENVIRONMENT = {job.environment!r}


@shared_task(name={job.name!r}, ignore_result=True)
def take_backup() -> str:
    return back_up(CONFIG, ENVIRONMENT).record.id


BEAT_SCHEDULE = {{
    {job.name!r}: {{
        "task": {job.name!r},
        "schedule": crontab(minute="{job.minute}", hour="{hours}"{day}),
    }},
}}
'''
    return {f"{name}.py": text}


KINDS: Final[Mapping[str, str]] = {
    "cron": "a line of a crontab",
    "systemd": "a service and its timer",
    "compose": "a Compose service",
    "celery": "a Celery Beat entry",
}


def files(kind: str, job: Job) -> dict[str, str]:
    """The files of one kind: name → text."""
    make = {"cron": cron, "systemd": systemd, "compose": compose, "celery": celery}[kind]
    return make(job)
