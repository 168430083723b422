"""What every runner of migrations offers, and the pure parts that they share."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from deployguard.config import MigrateConfig


@dataclass(frozen=True, slots=True)
class Job:
    """One migration to run. ``timeout`` in seconds (0 is none).

    ``revision`` is where a downgrade goes ("base" for an empty database); an upgrade's command says it itself.
    ``lock_timeout`` None is the configured one, 0 is none: a CREATE INDEX CONCURRENTLY must not be cut off by one.
    ``statement_timeout`` likewise in seconds, 0 is none. ``client_check``: seconds between the server's own looks
    whether its client is still there; 0 leaves that to the server.
    ``attempt`` counts retries from 1, so that each has its own name and log.
    """

    deploy: str
    direction: Literal["upgrade", "downgrade"]
    revision: str = ""
    timeout: float = 3600
    lock_timeout: int | None = None
    attempt: int = 1
    statement_timeout: int = 0
    client_check: int = 0

    @property
    def name(self) -> str:
        """Unique to this attempt: file names and container names are made from it."""
        again = f"-{self.attempt}" if self.attempt > 1 else ""
        return f"{self.deploy}-{self.direction}{again}"

    @property
    def application_name(self) -> str:
        """How PostgreSQL's pg_stat_activity shows the sessions of this migration."""
        return f"deployguard:{self.deploy}"


@dataclass(frozen=True, slots=True)
class Started:
    """A migration that was started. Plain text all through: the journal keeps it, a later process goes on with it."""

    kind: str  # "local" or "compose"
    name: str  # of the run folder or of the container
    evidence: Mapping[str, str]  # holds at least "log" and "timeout"

    @property
    def log_path(self) -> Path:
        return Path(self.evidence["log"])

    @property
    def timeout(self) -> float:
        return float(self.evidence["timeout"])


@dataclass(frozen=True, slots=True)
class Running:
    """It runs; ``follow(started)`` goes on watching it."""

    started: Started


@dataclass(frozen=True, slots=True)
class Exited:
    """It has ended; ``follow(started)`` gives its log. ``code`` None: nobody saw how it ended."""

    started: Started
    code: int | None


@dataclass(frozen=True, slots=True)
class Absent:
    """It never began and will not begin any more."""


Probe: TypeAlias = Running | Exited | Absent


@dataclass(frozen=True, slots=True)
class Exit:
    """How it ended. ``code`` None: nobody saw how. ``log_path``: all that it wrote, redacted, 0600."""

    code: int | None
    log_path: Path
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out


class Migrator(Protocol):
    """Runs a migration so that it survives our death, and finds out how it went."""

    def preflight(self) -> None:
        """Raises EnvironmentUnreachable or UsageError when a migration could not be started."""
        ...

    def image(self) -> str:
        """The id of the image that a migration would run in now; "" when it runs in none."""
        ...

    def start(self, job: Job) -> Started:
        """Start it detached. One that runs under this name already is taken over, one that has ended is replaced."""
        ...

    def follow(self, started: Started, on_line: Callable[[str], None]) -> Exit:
        """Hand on every redacted line from its beginning until it has ended; also after it has ended."""
        ...

    def probe(self, job: Job) -> Probe:
        """What has become of it, also when another process of ours started it and died."""
        ...

    def cancel(self, started: Started) -> None:
        """Stop it and wait until it has ended. Its database session may live on: look for ``application_name``."""
        ...

    def tidy(self, started: Started) -> None:
        """Remove the container or run folder of one that has ended; the log stays."""
        ...


def job_argv(config: MigrateConfig, job: Job) -> tuple[str, ...]:
    """The configured command of the job's direction, ``{revision}`` filled in."""
    command = config.command if job.direction == "upgrade" else config.downgrade_command
    return tuple(part.replace("{revision}", job.revision) for part in command)


# PostgreSQL's names and codes for "try again": 55P03, 40P01 and 40001 (manual, appendix A), as each driver prints
# them. The drivers' class names do not depend on the server's language; its messages do.
_RETRYABLE = re.compile(
    r"""\berrors\.(LockNotAvailable|DeadlockDetected|SerializationFailure)\b   # psycopg2, psycopg
      | \b(LockNotAvailable|DeadlockDetected|Serialization)Error\b             # asyncpg
      | ['"]C['"]:\s*['"](55P03|40P01|40001)['"]                               # pg8000
      | \bcanceling\ statement\ due\ to\ lock\ timeout\b
      | \bdeadlock\ detected\b
      | \bcould\ not\ serialize\ access\b
      | \bcould\ not\ obtain\ lock\ on\b""",
    re.VERBOSE,
)


def retryable(log_tail: str) -> bool:
    """Whether the error that a log ends with only says "another session was in the way": 55P03, 40P01, 40001.

    Only the last traceback counts. Never for a concurrent build or drop of an index: it is not one transaction, and
    what was left of it must be looked at first.
    """
    return not concurrent(log_tail) and _RETRYABLE.search(_last_error(log_tail)) is not None


class Cancelled(Enum):
    """Who cancelled the statement that a log ends with (57014); SOMEBODY also where the log does not tell who."""

    NOT = "not"
    TIMEOUT = "statement_timeout"
    SOMEBODY = "somebody"


_CANCELLED = re.compile(
    r"""\berrors\.QueryCanceled\b | \bQueryCanceledError\b | ['"]C['"]:\s*['"]57014['"]
      | \bcanceling\ statement\ due\ to\ (statement\ timeout|user\ request)\b""",
    re.VERBOSE,
)


def cancelled_by(log_tail: str) -> Cancelled:
    """Whether, and by whom, the statement was cancelled that a log ends with; a lock timeout is another error."""
    error = _last_error(log_tail)
    if _CANCELLED.search(error) is None:
        return Cancelled.NOT
    by_timeout = "canceling statement due to statement timeout" in error
    return Cancelled.TIMEOUT if by_timeout else Cancelled.SOMEBODY


def concurrent(log_tail: str) -> bool:
    """Whether the error that a log ends with is that of a concurrent build or drop of an index."""
    return re.search("concurrently", _last_error(log_tail), re.IGNORECASE) is not None


def _last_error(log_tail: str) -> str:
    return log_tail[max(0, log_tail.rfind("Traceback (most recent call last)")) :]
