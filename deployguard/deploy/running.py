"""What of a deploy and of its rollbacks still works: programs that survived us, and their sessions in the server."""

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from deployguard.deploy import migration, names
from deployguard.deploy.run import Run, text
from deployguard.errors import DeployguardError
from deployguard.migrators.base import Absent, Exited, Job, Running
from deployguard.state import Kind

_PROGRAMS: Final[tuple[tuple[str, Literal["upgrade", "downgrade"]], ...]] = (
    (names.MIGRATE, "upgrade"),
    (names.DOWNGRADE, "downgrade"),
)


def family(subject: Run) -> tuple[Run, ...]:
    """A deploy and every rollback of it so far, oldest first."""
    rows = subject.world.journal.history(subject.deploy.environment, 1000)
    tries = [
        Run(subject.world, row)
        for row in reversed(rows)
        if row.kind is Kind.ROLLBACK and text(row.options, "deploy") == subject.id
    ]
    return (subject, *tries)


def programs(runs: Iterable[Run]) -> tuple[str, ...]:
    """The names of the programs that run now; nothing is touched. Raises what the runner raises."""
    return tuple(state.started.name for _, _, state in _found(runs) if isinstance(state, Running))


def end(runs: Iterable[Run]) -> None:
    """End every program that still runs and remove what is left of each; their logs are kept.

    For a run that is past its first change and on its way back. Raises what the runner raises.
    """
    for run, step, state in _found(runs):
        if isinstance(state, Running):
            run.world.reporter.note(
                f"{state.started.name} still runs although nobody watches it; it is stopped now."
            )
            run.world.migrator.cancel(state.started)
        ended = run.world.migrator.follow(state.started, lambda line: None)  # noqa: ARG005 - it is in the log
        if run.noted(step).get("exit") is None:
            run.note(step, exit="unknown" if ended.code is None else ended.code)
        migration.tidy(run, state.started)


def said_well(run: Run) -> bool:
    """Whether the last attempt to migrate ended with exit code 0, watched or not."""
    if run.noted(names.MIGRATE).get("exit") == 0:
        return True
    return any(
        isinstance(state, Exited) and state.code == 0
        for _, step, state in _found((run,))
        if step == names.MIGRATE
    )


def tidy(runs: Iterable[Run]) -> None:
    """Remove what is left of programs that ended while nobody watched; their logs are kept. Best effort."""
    for run in runs:
        try:
            end((run,))
        except (DeployguardError, OSError) as error:
            run.world.reporter.note(f"What is left of {run.id} could not be removed: {error}")


def sessions(runs: Iterable[Run]) -> int:
    """How many server processes still work for one of the runs, after those that are just ending; none is ended."""
    return sum(migration.late_survivors(run) for run in runs if _began(run))


def end_sessions(runs: Iterable[Run]) -> int:
    """End the server processes that still work for one of the runs; how many are left."""
    return sum(migration.end_sessions(run) for run in runs if _began(run))


def _began(run: Run) -> bool:
    return any(run.begun(step) for step, _ in _PROGRAMS)


def _found(runs: Iterable[Run]) -> Iterator[tuple[Run, str, Running | Exited]]:
    for run in runs:
        for step, direction in _PROGRAMS:
            if not run.begun(step):
                continue
            last = run.noted(step).get("attempt")
            for attempt in range(1, (last if isinstance(last, int) else 1) + 1):
                job = Job(run.id, direction, attempt=attempt)
                state = run.world.migrator.probe(job)
                if not isinstance(state, Absent):
                    yield run, step, state
