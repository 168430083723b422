"""How a migration ended, and why: the error as people read it, with what to type next. Pure."""

from dataclasses import dataclass, replace
from typing import Final

from deployguard.config import MigrateConfig
from deployguard.errors import DeployguardError
from deployguard.migrators.base import Cancelled, Job, cancelled_by, retryable

_CONFIGURED: Final = "[migrate] statement_timeout"
_SHOWN: Final = 8  # of them in the error
_BACKGROUND: Final = (
    "(Background on this error at"  # SQLAlchemy's link, the same for every error of a kind
)


class MigrationFailed(DeployguardError):
    """The migration ended, and not well. What production is in is decided by who catches this."""

    exit_code = 21


@dataclass(frozen=True, slots=True)
class Ended:
    """How the last attempt ended. ``code`` None: nobody saw how.

    ``cut``: why we cancelled its statement, as a sentence; ``waited``: that only waited itself, for somebody else.
    """

    code: int | None
    attempts: int
    tail: tuple[str, ...]
    log: str
    timed_out: bool = False
    cancelled: bool = False
    cut: str = ""
    waited: bool = False

    @property
    def ok(self) -> bool:
        return self.code == 0 and not self.timed_out and not self.cancelled


def failure(
    ended: Ended, job: Job, now: tuple[str, ...], settings: MigrateConfig, environment: str
) -> MigrationFailed:
    """The error for an attempt that ended badly, with the end of its own output."""
    how = f"ended with exit code {ended.code}"
    if ended.code is None:
        how = "ended, and nobody saw how"
    if ended.timed_out:
        how = "ran longer than [migrate] timeout and was stopped"
    if ended.cancelled:
        how = "was stopped on request"
    cut: str = ended.cut
    commands: tuple[str, ...] = ()
    if not (cut or ended.cancelled or ended.timed_out):
        cut, commands = _why(ended, job, settings, environment)
    why = f"{cut[0].upper()}{cut[1:]}.\n" if cut else ""
    # What a migration says that was asked to stop is not why it failed.
    told = () if ended.cancelled else gist(ended.tail)
    said = "\n".join(f"    {line}" for line in told)
    return MigrationFailed(
        f"The migration {how}; it had come to revision {', '.join(now) or 'none'}.\n{why}{said}".rstrip(),
        next_commands=(f"less {ended.log}", *commands),
    )


def _why(
    ended: Ended, job: Job, settings: MigrateConfig, environment: str
) -> tuple[str, tuple[str, ...]]:
    lock_timeout = settings.lock_timeout if job.lock_timeout is None else job.lock_timeout
    tried = replace(job, attempt=ended.attempts)
    return plainly("\n".join(ended.tail), tried, lock_timeout, environment)


def gist(tail: tuple[str, ...]) -> tuple[str, ...]:
    """Of the end of a log the lines that say what went wrong; pure.

    A traceback ends with its error on lines that are not indented; the stack above is in the log.
    """
    told = [line for line in tail if line.strip() and not line.startswith(_BACKGROUND)]
    if not any(line.startswith(("Traceback (most recent call last)", '  File "')) for line in told):
        return tuple(told[-_SHOWN:])
    above = [number for number, line in enumerate(told) if line[:1].isspace()]
    error = told[above[-1] + 1 :] if above else []
    return tuple(error[:_SHOWN] or told[-_SHOWN:])


def plainly(
    tail: str, job: Job, lock_timeout: int, environment: str
) -> tuple[str, tuple[str, ...]]:
    """A sentence, and what to type next; ("", ()) where the error speaks for itself.

    ``tail``: the end of the log. ``lock_timeout``: seconds that the run had for a lock, 0 is no limit.
    """
    by = cancelled_by(tail)
    if by is Cancelled.TIMEOUT or (by is Cancelled.SOMEBODY and job.statement_timeout):
        perhaps = "" if by is Cancelled.TIMEOUT else ", or somebody cancelled it"
        limit = f"{job.statement_timeout} s" if job.statement_timeout else "time"
        said = (
            f"A statement ran longer than the {limit} that {_CONFIGURED} gives it, and the server ended it{perhaps}"
            " (57014); nothing of its transaction stays"
        )
        return said, (
            f"deployguard check --env {environment}   # how long each lock is estimated to be held",
            f"$EDITOR deployguard.toml   # {_CONFIGURED}: more seconds for this level, or 0",
        )
    if by is not Cancelled.NOT:
        return "Somebody cancelled its statement (57014, pg_cancel_backend)", ()
    if retryable(tail) and lock_timeout:
        tries = "in 1 try" if job.attempt == 1 else f"in any of {job.attempt} tries"
        said = (
            f"Another session was in the way {tries}: no lock within {lock_timeout} s, or a deadlock; nothing of its"
            " transaction stays"
        )
        who = f"deployguard watch --once --env {environment}   # who holds locks, and since when"
        return said, (who,)
    return "", ()
