"""Walk a table of steps, journaling ``intent → done`` around each; it knows no step by name."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from deployguard.deploy import telling
from deployguard.deploy.run import Run
from deployguard.deploy.step import Broken, PersonNeeded, Repeat, Settled, Step, Unsettled
from deployguard.errors import DeployguardError
from deployguard.state import EventKind, StateError, Status


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended well."""

    deploy: str
    status: Status
    summary: str


class StepBroken(DeployguardError):
    """A probe found that a step was done and went wrong."""

    exit_code = 21


def perform(run: Run, table: Sequence[Step]) -> None:
    """Bring every step of the table to its done, in order. Whatever a step raises is journaled and raised.

    A step that is done is not run again, unless it says so. One that was begun by a process that died is never
    assumed either way: its probe asks the world.
    """
    for step in table:
        if not step.applies(run):
            continue
        state = run.state(step.name)
        if state is EventKind.DONE and not step.again(run):
            continue
        if state is EventKind.INTENT and not step.again(run) and _settled(run, step):
            continue
        _execute(run, step)


def armed(run: Run, table: Sequence[Step]) -> bool:
    """Whether the run is past its point of first change."""
    return any(step.arms and run.done(step.name) is not None for step in table)


def tidy(run: Run, table: Sequence[Step]) -> str:
    """Undo, last first, what the steps before the first change left behind; says what could not be undone."""
    left = []
    for step in reversed(table):
        if step.undo is None or not run.begun(step.name):
            continue
        try:
            step.undo(run)
        except (DeployguardError, OSError) as error:
            with suppress(StateError):  # what is left to tidy must not wait for the journal
                run.note(step.name, tidy=f"not tidied: {error}")
            left.append(f"Could not tidy up after {step.name!r}: {error}")
            run.world.reporter.note(left[-1])
    return " ".join(left)


def _settled(run: Run, step: Step) -> bool:
    """Ask the world about a step that was begun; True when its effect is there."""
    answer = step.probe(run)
    reason = "the effect is there" if isinstance(answer, Settled) else answer.reason
    run.record(
        step.name, EventKind.PROBE, {"answer": type(answer).__name__.lower(), "reason": reason}
    )
    run.world.reporter.note(f"{step.title}: begun before, {reason}.")
    if isinstance(answer, Settled):
        run.record(step.name, EventKind.DONE, answer.evidence | {"probed": True})
        return True
    if isinstance(answer, Repeat):
        return False
    if isinstance(answer, Broken):
        run.record(step.name, EventKind.FAILED, {"error": answer.reason})
        raise StepBroken(f"{step.title} went wrong: {answer.reason}.")
    raise PersonNeeded(
        f"What became of {step.title!r} is unclear: {answer.reason}.",
        state="Deployguard does not know what production is in; it changed nothing more.",
        next_commands=(
            f"deployguard show {run.id}",
            f"deployguard resume --env {run.deploy.environment}",
        ),
    )


def _execute(run: Run, step: Step) -> None:
    reporter, clock = run.world.reporter, run.world.clock
    reporter.step_started(step.name, step.title)
    run.record(step.name, EventKind.INTENT)
    started = clock()
    try:
        evidence = step.run(run)
    # The intent stays open, so that a resume asks the world; without its journal a step is neither done nor failed.
    except (Unsettled, StateError) as error:
        seconds = (clock() - started).total_seconds()
        reporter.step_failed(step.name, step.title, seconds, str(error))
        raise
    except Exception as error:
        run.record(step.name, EventKind.FAILED, {"error": str(error), "type": type(error).__name__})
        seconds = (clock() - started).total_seconds()
        reporter.step_failed(step.name, step.title, seconds, str(error))
        raise
    run.record(step.name, EventKind.DONE, evidence)
    telling.step_done(run, step.name)
    reporter.step_done(step.name, step.title, (clock() - started).total_seconds(), evidence)
