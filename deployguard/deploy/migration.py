"""Run one migration to an end that is known: start or attach, follow, retry on lock timeouts, cancel on Ctrl-C."""

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from deployguard.deploy import causes, guard, limits, strides
from deployguard.deploy.causes import Ended, MigrationFailed
from deployguard.deploy.run import Run, listed
from deployguard.deploy.step import (
    Broken,
    Evidence,
    Probed,
    Repeat,
    Settled,
    StillRunning,
    Unclear,
)
from deployguard.deploy.strides import Strides
from deployguard.deploy.watch import Watch, cut_off
from deployguard.errors import DeployguardError
from deployguard.migrators.base import (
    Absent,
    Exit,
    Exited,
    Job,
    Running,
    Started,
    concurrent,
    retryable,
)

TAIL: Final = 60  # lines of the log that are kept for the error and for the retry decision
_LAST_ONES: Final = 4  # half seconds that a session may take to notice that its client is gone
_FIRST_PAUSE: Final = 1.0  # seconds before the first retry; doubled each time
_LONGEST_PAUSE: Final = 30.0
_DOING: Final = {"upgrade": "Migrating", "downgrade": "Downgrading the schema"}


def drive(run: Run, step: str, job: Job, repeatable: Callable[[], str]) -> Ended:
    """Bring ``job`` to its end. An attempt that is already there, running or ended, is taken over, not repeated.

    ``repeatable`` says, after an attempt, why running the command again might do something twice; "" when it can't.
    """
    limit = run.world.environment.migrate.retries
    number = max(1, _number(run.noted(step).get("attempt")))
    while True:
        ended = _attempt(run, step, replace(job, attempt=number))
        if ended.ok or number > limit or not _again(run, ended, repeatable):
            return ended
        pause = _pause(number)
        why = "It blocked others for too long" if ended.cut else "A lock was not free in time"
        run.world.reporter.note(
            f"{why}; trying again in {pause:.0f} s (retry {number} of {limit})."
        )
        number += 1
        run.note(step, attempt=number, exit=None, started=None)
        run.world.sleep(pause)


def _again(run: Run, ended: Ended, repeatable: Callable[[], str]) -> bool:
    if not _in_the_way(ended) or end_sessions(run):
        return False
    why = repeatable()  # after the sessions: what they did is committed or undone by now
    if why:
        run.world.reporter.note(f"A lock was not free in time, and it is not tried again: {why}.")
    return not why


def _in_the_way(ended: Ended) -> bool:
    """Whether it failed because others held what it needed, so that a second try may find the way free.

    One that we cut off at its own work under a lock would only block everybody once more.
    """
    tail = "\n".join(ended.tail)
    if ended.timed_out or ended.cancelled:
        return False
    return ended.waited and not concurrent(tail) if ended.cut else retryable(tail)


def _attempt(run: Run, step: str, job: Job) -> Ended:
    migrator = run.world.migrator
    state = migrator.probe(job)
    if isinstance(state, Absent):
        guard.ready(run, step)
        run.note(step, attempt=job.attempt, exit=None)
        started = migrator.start(_checked(run, job))
    else:
        started = state.started
    run.note(step, started=job.attempt, name=started.name, evidence=dict(started.evidence))
    lines: list[str] = []
    going = Strides(run, step, job, _DOING[job.direction])

    def on_line(line: str) -> None:
        clean = run.world.redact(line)
        if going.line(clean):
            return
        lines.append(clean)
        del lines[:-TAIL]
        run.world.reporter.log_line(clean)

    try:
        with Watch(run, step, job, lambda: going.title):
            end, cancelled = _watched(run, step, started, on_line)
    except Exception as error:
        if not _may_run(run, job):
            raise
        raise StillRunning(
            f"The migration {started.name} could not be watched any longer: {str(error).rstrip('.')}.",
            state="It still runs, or may, and what it does will be committed. Nothing was taken back.",
            next_commands=(
                f"deployguard resume --env {run.deploy.environment}   # watches it again",
                f"deployguard show {run.id}",
            ),
        ) from error
    run.note(step, exit="unknown" if end.code is None else end.code, cancelled=cancelled)
    tidy(run, started)
    cut, waited = cut_off(run, step, job.attempt)
    return Ended(
        end.code,
        job.attempt,
        tuple(lines),
        str(end.log_path),
        end.timed_out,
        cancelled,
        cut,
        waited,
    )


def _checked(run: Run, job: Job) -> Job:
    """A statement whose client is killed must not go on and be committed: the server is told to look."""
    with run.world.database() as database:
        checks = database.can_check_clients()
    return replace(job, client_check=limits.CLIENT_CHECK) if checks else job


def _watched(
    run: Run, step: str, started: Started, on_line: Callable[[str], None]
) -> tuple[Exit, bool]:
    """How it ended, and whether that was because we asked it to."""
    try:
        return run.world.migrator.follow(started, on_line), False
    except KeyboardInterrupt:
        return _cancel(run, step, started, on_line), True


def _may_run(run: Run, job: Job) -> bool:
    try:
        return isinstance(run.world.migrator.probe(job), Running)
    except (DeployguardError, OSError):  # who can't be asked has not said no
        return True


def tidy(run: Run, started: Started) -> None:
    """Remove the program's folder or container. How it ended is known: a hiccup here does not change that."""
    try:
        run.world.migrator.tidy(started)
    except (DeployguardError, OSError) as error:
        run.world.reporter.note(f"Could not remove what is left of {started.name}: {error}")


def _cancel(run: Run, step: str, started: Started, on_line: Callable[[str], None]) -> Exit:
    """The first Ctrl-C: ask the migration to stop and wait for its end. A second one leaves it to ``resume``."""
    run.world.reporter.note(
        "Stopping the migration and waiting for its end. Ctrl-C again leaves it for `deployguard resume`."
    )
    run.note(step, cancel=True)
    run.world.migrator.cancel(started)
    return run.world.migrator.follow(started, on_line)


def probe(run: Run, step: str, job: Job, *, before: frozenset[str], goal: frozenset[str]) -> Probed:
    """What became of a migration that a process of ours began before it died."""
    noted = run.noted(step)
    attempt = max(1, _number(noted.get("attempt")))
    state = run.world.migrator.probe(replace(job, attempt=attempt))
    if isinstance(state, Running):
        return Repeat("it still runs, and this process goes on watching it")
    if isinstance(state, Exited):
        return Repeat("it ended while nobody watched, and its end is read now")
    if end_sessions(run):
        return Unclear("its process is gone, but its session in the database server still works")
    with run.world.database() as database:
        now = frozenset(run.world.revisions(database))
    if now == goal and noted.get("exit") in (None, 0, "unknown"):
        return Settled({"to": listed(sorted(now)), "seen": "by the version table"})
    if now == before and noted.get("started") != attempt:
        return Repeat("it was never started")
    code = noted.get("exit")
    how = "it is gone" if code is None else f"it had ended with exit code {code}"
    return Broken(f"{how}, and the database is at {', '.join(sorted(now)) or 'no revision'}")


def failed(run: Run, job: Job, ended: Ended, now: tuple[str, ...]) -> MigrationFailed:
    """The error for an attempt that ended badly; the database is at ``now``."""
    settings = run.world.environment.migrate
    return causes.failure(ended, job, now, settings, run.deploy.environment)


def evidence(run: Run, step: str, ended: Ended, now: tuple[str, ...]) -> Evidence:
    """What the journal keeps of a migration that went well."""
    return {
        "exit": ended.code,
        "attempts": ended.attempts,
        "log": ended.log,
        "to": listed(now),
        "revisions": strides.gone_through(run, step),
    }


def end_sessions(run: Run) -> int:
    """Server processes that still work for the migration, whose own process has ended.

    Nobody reads their answer any more, and what they do may yet commit: after a short wait for those that are just
    ending, they are terminated. What is left after that is the answer.
    """
    if not late_survivors(run):
        return 0
    with run.world.database() as database:
        ended = database.terminate(_application(run))
    if ended:
        run.world.reporter.note(
            f"{ended} server process(es) still worked for the ended migration and were terminated."
        )
    return survivors(run)


def late_survivors(run: Run) -> int:
    """Server processes that still work for the run after a short wait for those that are just ending."""
    for _ in range(_LAST_ONES):
        if not survivors(run):
            return 0
        run.world.sleep(0.5)
    return survivors(run)


def survivors(run: Run) -> int:
    """Server processes that work for a client of this run's name."""
    with run.world.database() as database:
        return len(database.surviving_backends(_application(run)))


def _application(run: Run) -> str:
    return Job(run.id, "upgrade").application_name


def _pause(attempt: int) -> float:
    longest = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, protects nothing


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
