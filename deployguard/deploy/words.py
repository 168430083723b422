"""What a run's journal says, in words for people: its last step, what is stopped, how it ended."""

from typing import Final

from deployguard.deploy import names
from deployguard.deploy.decision import way
from deployguard.deploy.rollback import WayBack
from deployguard.deploy.run import Run, strings, text
from deployguard.deploy.step import PersonNeeded
from deployguard.errors import Busy, DeployguardError
from deployguard.state import Deploy, EventKind, Kind, StateError, Status

STOPPED: Final = "THE APPLICATION IS STOPPED"
CUT_OFF: Final = "the process that worked on it is gone; a migration that it began may still go on"


def stopped(run: Run) -> str:
    done = run.done(names.STOP_APP)
    down = done is not None and "skipped" not in done and run.done(names.APP_BACK) is None
    return f" {STOPPED}." if down or _is_down(run) else ""


def _is_down(run: Run) -> bool:
    """Whether nothing of the application runs, whoever stopped it; an engine that cannot be asked says nothing."""
    try:
        return run.world.target.stopped()
    except (DeployguardError, OSError):
        return False


def last_step(run: Run) -> str:
    events = [
        e for e in run.events() if e.kind in (EventKind.DONE, EventKind.INTENT, EventKind.FAILED)
    ]
    if not events:
        return "No step was begun."
    last = events[-1]
    words = {
        EventKind.DONE: "done",
        EventKind.INTENT: "begun, not finished",
        EventKind.FAILED: "failed",
    }
    return f"The last step is {last.step!r}: {words[last.kind]}."


def state_after(run: Run) -> str:
    """What production is in after a way back that was gone to its end, as a sentence."""
    said = undone(run)
    return f"{said[0].upper()}{said[1:]}."


def undone(run: Run) -> str:
    """What a way back has done and left, to follow other words."""
    done = [_UNDONE.get(way(run), str(way(run)))]
    if run.done(names.RESTORE):
        done.append(f"the failed database is kept as {text(run.of(names.RESTORE), 'kept_as')}")
    back = run.done(names.APP_BACK) is not None
    untouched = not run.subject.begun(names.UPDATE_APP)
    again = (
        f"{run.rollback.to_ref} runs"
        if run.rollback.to_ref
        else "the previous application runs again"
    )
    app = again if back else "the application was not touched"
    healthy = " and is healthy" if run.done(names.HEALTH_BACK) is not None else ""
    if _is_down(run):
        done.append(STOPPED)
    elif run.world.environment.target.kind != "none" and (back or untouched):
        done.append(f"{app}{healthy}")
    elif healthy:
        done.append("the application is healthy")
    if (at := _revision(run)) is not None:
        done.append(f"the database's revision is {', '.join(at) or 'none'}")
    return "; ".join(done)


_UNDONE = {
    WayBack.NOTHING: "there was nothing to undo in the database",
    WayBack.APP_BACK: "the schema was left as it is",
    WayBack.DOWNGRADE: "the schema was downgraded",
    WayBack.RESTORE: "the backup was restored",
}


def _revision(run: Run) -> tuple[str, ...] | None:
    """Where the database is after the way back; None when the run had nothing to do with it."""
    if (looked := run.done(names.SCHEMA_BACK)) is not None:
        return strings(looked, "revision")
    return strings(run.of(names.DECIDE), "now") if run.subject.begun(names.MIGRATE) else None


def summary(run: Run) -> str:
    plan = run.of(names.PLAN)
    listed = plan.get("revisions")
    count = len(listed) if isinstance(listed, list) else 0
    migrated = (
        f"{count} {'revision' if count == 1 else 'revisions'} migrated"
        if run.done(names.MIGRATE) is not None
        else "nothing to migrate"
    )
    updated = (
        "application updated"
        if run.done(names.UPDATE_APP) is not None
        else "no application to update"
    )
    healthy = ", healthy" if run.done(names.HEALTH) is not None else ""
    return f"{migrated}, {updated}{healthy}"


def unfinished(row: Deploy) -> Busy:
    """The error for a run that left work behind, for a process that holds the lock."""
    cut_off = row.status is Status.RUNNING  # else the lock would not be free
    said = CUT_OFF if cut_off else row.summary
    why = f": {said}" if said else ""
    return Busy(
        f"{row.kind.capitalize()} {row.id} of {row.environment!r} (by {row.by}, "
        f"{row.started:%Y-%m-%d %H:%M} UTC) is unfinished{'' if cut_off else f': {row.status}'}{why}.",
        state="This command changed nothing.",
        next_commands=(f"deployguard show {row.id}", *ways_on(row)),
    )


def unwritten(run: Run, error: StateError) -> PersonNeeded:
    """The error for a journal that failed past the point of first change."""
    status = f"deployguard status --env {run.deploy.environment}"
    look = status if run.world.lock.shared else f"df -h {run.world.state}"
    return PersonNeeded(
        error.message,
        state=f"Production was changed already. {last_step(run)}{stopped(run)} "
        "What was done after that is not in the journal.",
        next_commands=(look, *ways_on(run.deploy)),
    )


def ways_on(row: Deploy) -> tuple[str, ...]:
    """What can be typed to finish an unfinished run: forward, and back where there is a deploy to take back."""
    resume = f"deployguard resume --env {row.environment}"
    if row.kind is Kind.RESTORE:
        return (resume,)
    deploy = text(row.options, "deploy") or row.id
    return (resume, f"deployguard rollback {deploy} --env {row.environment}")


def first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
