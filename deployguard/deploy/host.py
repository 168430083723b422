"""What a run has left on the host that worked on it: it is gone on with only where that can be seen."""

from deployguard.deploy import names, running
from deployguard.deploy.run import Run, text
from deployguard.errors import Busy
from deployguard.state import EventKind

_PROGRAMS = (names.MIGRATE, names.DOWNGRADE)


def worked_on(run: Run) -> str:
    """The host that worked on the run last; "" where nobody has kept that."""
    moved = [text(e.evidence, "host") for e in run.events() if e.step == names.MOVED]
    return moved[-1] if moved else run.deploy.host


def refuse_elsewhere(run: Run) -> None:
    """Refuse what only the former host can go on with. Raises Busy; the world is not asked for anything else.

    A program that was begun there is a process or a container of that host: seen from here it is gone, and would be
    run a second time beside the first.
    """
    world, here = run.world, run.world.journal.host
    if not world.lock.shared:
        return
    for one in running.family(run.subject):
        there = worked_on(one)
        begun = [step for step in _PROGRAMS if one.state(step) is EventKind.INTENT]
        if begun and there not in ("", here):
            raise _refused(run, there, f"its step {begun[0]!r} was begun there and may still run")
    there, backup = worked_on(run.subject), text(run.subject.of(names.BACKUP), "id")
    needed = backup and run.subject.done(names.ARM) is not None
    if needed and there not in ("", here) and not _found(run.subject):
        raise _refused(run, there, f"its backup {backup} lies there")


def moved(run: Run) -> None:
    """Keep that the run goes on here, where that is another host than before."""
    here = run.world.journal.host
    if worked_on(run) != here:
        run.note(names.MOVED, host=here, by=run.world.by)


def _found(subject: Run) -> bool:
    return subject.world.find_backup("pre-deploy", subject.id) is not None


def _refused(run: Run, there: str, why: str) -> Busy:
    environment = run.deploy.environment
    return Busy(
        f"{run.deploy.kind.capitalize()} {run.id} must be gone on with on {there}: {why}.",
        state="This command changed nothing.",
        next_commands=(
            f"deployguard resume --env {environment}   # on {there}",
            f"deployguard close --env {environment} --reason TEXT   # {there} is gone; put right by hand",
        ),
    )
