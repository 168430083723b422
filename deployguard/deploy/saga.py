"""Deploy, resume, roll back: one run under the lock, from its first step to exactly one of the legal ends."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from deployguard.deploy import (
    decision,
    engine,
    host,
    names,
    quiesce,
    restoring,
    slots,
    source,
    to_ref,
    words,
)
from deployguard.deploy import subject as subject_of
from deployguard.deploy.back import RECOVERY, ROLLBACK
from deployguard.deploy.causes import MigrationFailed
from deployguard.deploy.engine import Outcome
from deployguard.deploy.run import DeployOptions, RollbackOptions, Run, options_document, text
from deployguard.deploy.signals import orderly
from deployguard.deploy.step import PersonNeeded
from deployguard.deploy.steps import STEPS
from deployguard.deploy.telling import telling
from deployguard.deploy.world import World
from deployguard.errors import (
    ApprovalMissing,
    Busy,
    DeployguardError,
    Interrupted,
    RolledBack,
    UsageError,
)
from deployguard.model import Json
from deployguard.state import Deploy, EventKind, Kind, StateError, Status


def deploy(world: World, options: DeployOptions) -> Outcome:
    """Run the whole road. Raises the errors of ``errors.py``; each says what state production is in."""
    with telling(world, Kind.DEPLOY) as told, _locked(world, "deploy") as journal_free:
        journal_free()
        asked = options_document(source.asked(world, options))
        row = world.journal.begin(world.environment.name, Kind.DEPLOY, world.by, asked)
        return told.ended(_work(world, told.begun(row), _forward))


def resume(world: World, *, forward: bool = False, confirm: str = "") -> Outcome:
    """Go on with the unfinished run: forward, or back if it was on its way back.

    ``forward`` tries the step that failed again instead of deciding the way back: for when a person has put right
    what was wrong. ``confirm`` answers what is asked anew, where nobody can be asked: the id that is to be typed.
    """
    with telling(world, Kind.ROLLBACK) as told, _locked(world, "resume"):
        row = world.journal.unfinished(world.environment.name)
        if row is None:
            raise UsageError(
                f"Nothing is unfinished in {world.environment.name!r}.",
                next_commands=(f"deployguard status --env {world.environment.name}",),
            )
        if forward:
            subject_of.refuse_forward(Run(world, row))
        host.refuse_elsewhere(Run(world, row))
        world.journal.set_status(row.id, Status.RUNNING, "resumed")
        host.moved(Run(world, row))
        way = _resumed_forward if forward else _resumed
        return told.ended(_work(world, told.begun(row, again=True), way, typed=confirm))


def rollback(world: World, options: RollbackOptions) -> Outcome:
    """Take a deploy back: the named one, else the unfinished one, else the last one that is in service."""
    with telling(world, Kind.ROLLBACK) as told, _locked(world, "rollback"):
        subject = subject_of.find(world, options.deploy)
        former = Run(world, subject)
        subject_of.refuse_later(world, subject, options)
        subject_of.refuse_again(former, options)
        if not engine.armed(former, STEPS):
            return _forget(former)
        host.refuse_elsewhere(former)
        options = to_ref.asked(world, subject, options)
        asked = options_document(options) | {"deploy": subject.id}
        row = world.journal.begin(world.environment.name, Kind.ROLLBACK, world.by, asked)
        return told.ended(_work(world, told.begun(row), _roll_back))


def restore(world: World, backup: str, confirm: str = "", *, emergency: bool = True) -> Outcome:
    """Put any backup in the place of the database; ``confirm`` is its id, where nobody can be asked to type it.

    ``emergency``: take a backup of the present first.
    """
    with telling(world, Kind.RESTORE) as told, _locked(world, "restore") as journal_free:
        journal_free()
        asked: dict[str, Json] = {"backup": backup, "confirm": confirm, "emergency": emergency}
        row = world.journal.begin(world.environment.name, Kind.RESTORE, world.by, asked)
        return told.ended(_work(world, told.begun(row), _roll_back))


def close(world: World, reason: str) -> Outcome:
    """A person has put production right by hand: close the unfinished run without touching anything."""
    with _locked(world, "close"):
        summary = f"closed by hand by {world.by}: {reason}"
        last = ""
        # A rollback that got stuck leaves its deploy unfinished too.
        while (row := world.journal.unfinished(world.environment.name)) is not None:
            run = Run(world, row)
            run.note(names.CLOSE, reason=reason, by=world.by)
            slots.drop(run, "the deploy was closed by hand")
            if still := quiesce.said(run):
                world.reporter.note(still.strip())
            world.journal.set_status(row.id, Status.ROLLED_BACK, summary)
            last = last or row.id
        if not last:
            raise UsageError(f"Nothing is unfinished in {world.environment.name!r}.")
        return Outcome(last, Status.ROLLED_BACK, summary)


@contextmanager
def _locked(world: World, why: str) -> Iterator[Callable[[], None]]:
    """Hold the deploy lock of this host. A free lock is not a clean world: the yielded function looks for that."""

    def refuse_unfinished() -> None:
        row = world.journal.unfinished(world.environment.name)
        if row is not None:
            raise words.unfinished(row)

    with orderly(), world.lock.hold(why, world.by):
        try:
            yield refuse_unfinished
        finally:
            source.sweep(world)


def _work(world: World, row: Deploy, way: Callable[[Run], Outcome], *, typed: str = "") -> Outcome:
    run = Run(world, row, typed=typed)
    world.lock.name(row.id, row.kind, world.by)
    world.reporter.run_started(row.id, row.kind, row.environment)
    with run.working():
        try:
            outcome = way(run)
            world.journal.set_status(row.id, outcome.status, outcome.summary)
        except KeyboardInterrupt:
            raise _interrupted(run) from None
        except PersonNeeded as error:
            still = quiesce.said(run)
            error.state += "" if quiesce.SHOUT in error.state else still
            _mark(run, Status.NEEDS_HUMAN, f"{error.message}{still}")
            raise
        except Busy as error:  # another host works on the database: ours stays as it is
            if engine.armed(run, _TABLES[run.deploy.kind]):
                _mark(run, Status.INTERRUPTED, error.message)
            raise
        except StateError as error:
            if not engine.armed(run, _TABLES[run.deploy.kind]):
                raise
            raise words.unwritten(run, error) from error
    return outcome


def _mark(run: Run, status: Status, summary: str) -> None:
    """Write how the run stands. A journal that cannot be written must not hide what there is to say."""
    try:
        run.world.journal.set_status(run.id, status, summary)
    except StateError as error:
        run.world.reporter.note(f"The journal does not know that: {error.message}")


# Neither says that the step went wrong, so neither decides the way back: a resume goes on.
_STOPS: Final = (Busy, StateError)


def _forward(run: Run) -> Outcome:
    try:
        engine.perform(run, STEPS)
    except (PersonNeeded, KeyboardInterrupt):
        raise
    except Exception as error:
        if not engine.armed(run, STEPS):
            _fail(run, error)
            raise
        if isinstance(error, _STOPS):
            raise
        _recover(run, error)
    return Outcome(run.id, Status.DONE, words.summary(run))


def _resumed(run: Run) -> Outcome:
    if run.deploy.kind is not Kind.DEPLOY:
        return _roll_back(run)
    # What was before a person sent the run forward is settled.
    since = run.since(names.FORWARD)
    failed = [e for e in since if e.kind is EventKind.FAILED and e.step not in _NAMES_BACK]
    back = any(e.step == names.DECIDE and e.kind is EventKind.INTENT for e in since)
    if back or (failed and engine.armed(run, STEPS)):
        said = text(failed[-1].evidence, "error") if failed else "it failed"
        _recover(run, DeployguardError(said))
    return _forward(run)


def _resumed_forward(run: Run) -> Outcome:
    if run.deploy.kind is not Kind.DEPLOY:
        return _roll_back(run)
    run.note(names.FORWARD, by=run.world.by)
    return _forward(run)


_TABLES: Final = {
    Kind.DEPLOY: STEPS,
    Kind.ROLLBACK: ROLLBACK,
    Kind.RESTORE: restoring.RESTORING,
}
_NAMES_BACK = frozenset(step.name for step in RECOVERY)


def _recover(run: Run, error: Exception) -> None:
    """A failure past the point of first change: find the way back, go it, and say so. Always raises."""
    try:
        engine.perform(run, RECOVERY)
    except (PersonNeeded, KeyboardInterrupt, *_STOPS):
        raise
    except Exception as second:
        raise _stuck(run, error, second) from second
    source.taken_back(run)
    way = decision.way(run)
    summary = f"failed and taken back ({way}): {words.first_line(error)}"
    run.world.journal.set_status(run.id, Status.ROLLED_BACK, summary)
    log = error.next_commands if isinstance(error, MigrationFailed) else ()
    raise RolledBack(
        f"{error}",
        state=words.state_after(run),
        next_commands=(*log, f"deployguard show {run.id}"),
    ) from error


def _roll_back(run: Run) -> Outcome:
    table = _TABLES[run.deploy.kind]
    try:
        engine.perform(run, table)
    except (PersonNeeded, KeyboardInterrupt):
        raise
    except Exception as error:
        if not engine.armed(run, table):
            _fail(run, error)
            raise
        if isinstance(error, _STOPS):
            raise
        raise _stuck(run, error, error) from error
    if run.deploy.kind is Kind.RESTORE:
        return Outcome(run.id, Status.DONE, restoring.ended(run))
    return Outcome(
        run.id, Status.DONE, f"deploy {run.subject.id} was taken back: {words.undone(run)}"
    )


def _fail(run: Run, error: Exception) -> None:
    """Before the first change: tidy up, and the run is finished."""
    table = _TABLES[run.deploy.kind]
    left = engine.tidy(run, table)
    _mark(run, Status.FAILED, " ".join(filter(None, (words.first_line(error), left))))
    if left and isinstance(error, DeployguardError):
        error.state = f"{error.state} {left}"


def _forget(former: Run) -> Outcome:
    """A deploy that stopped before its first change has nothing to take back."""
    if not former.deploy.unfinished:
        return Outcome(
            former.id, former.deploy.status, "nothing to take back: it had changed nothing"
        )
    left = engine.tidy(former, STEPS)
    summary = f"stopped before its first change; {left or 'nothing had to be taken back'}"
    former.world.journal.set_status(former.id, Status.FAILED, summary)
    return Outcome(former.id, Status.FAILED, summary)


def _interrupted(run: Run) -> Interrupted:
    table = _TABLES[run.deploy.kind]
    if not engine.armed(run, table):
        left = engine.tidy(run, table)
        _mark(run, Status.FAILED, f"stopped by the operator; {left or 'nothing changed'}")
        return Interrupted("Stopped before anything was changed.", state=left or "Nothing changed.")
    _mark(run, Status.INTERRUPTED, "stopped by the operator")
    return Interrupted(
        f"Stopped in the middle of {run.deploy.kind} {run.id}.",
        state=f"{words.last_step(run)} A migration that was running goes on by itself.",
        next_commands=words.ways_on(run.deploy),
    )


def _stuck(run: Run, error: Exception, second: Exception) -> PersonNeeded:
    """The way back itself failed."""
    cause = "" if second is error else f"It was going back because: {words.first_line(error)}"
    said = str(second) if "\n" in str(second) else f"{str(second).rstrip('.')}."
    own = second.next_commands if isinstance(second, ApprovalMissing) else ()  # how to say yes
    return PersonNeeded(
        f"The way back failed: {said}\n{cause}".rstrip(),
        state=f"{words.last_step(run)}{words.stopped(run)} The lock, the backup and the previous release are kept.",
        next_commands=tuple(dict.fromkeys((*own, *decision.ways_by_hand(run.subject)))),
    )
