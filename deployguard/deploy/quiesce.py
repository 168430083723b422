"""Writers are held still around a risky migration, and whatever we stopped runs again, or we shout."""

from collections.abc import Iterable

from deployguard.deploy import names, running
from deployguard.deploy.before import release_evidence
from deployguard.deploy.change import pending
from deployguard.deploy.run import Run, listed, mapping, strings, text
from deployguard.deploy.step import Evidence, Unsettled
from deployguard.errors import DeployguardError, UsageError
from deployguard.model import Risk
from deployguard.state import EventKind
from deployguard.targets.quiesce import Quiescer

SHOUT = "THE APPLICATION IS HELD STILL"


def wanted(run: Run) -> bool:
    """Whether the level, or the person who deploys, asks for it; never without a migration."""
    if run.world.quiescer is None or not pending(run):
        return False
    level = run.world.environment.quiesce.level
    risk = text(run.of(names.PLAN), "risk")
    levels = {str(one): one for one in Risk}
    reached = level != "never" and risk in levels and levels[risk] >= levels[level]
    return run.options.quiesce or reached


def close(run: Run) -> Evidence:
    """Turn traffic away and stop the writers; what was found running is journaled before anything is stopped."""
    quiescer, noted = _quiescer(run), run.noted(names.QUIESCE)
    # A second call finds stopped what the first one stopped: the first list is the one to start again.
    again = "services" in noted and held(run) is not None
    services = strings(noted, "services") if again else quiescer.writers()
    # What a stopped service ran cannot be asked for later, and a way back must bring it back to that.
    before = mapping(noted, "release") if again else _release(run, services)
    run.note(names.QUIESCE, services=listed(services), opened=False, release=before)
    quiescer.close(services, run.id)
    return {"services": listed(services), "maintenance": quiescer.file is not None}


def _release(run: Run, services: tuple[str, ...]) -> Evidence:
    """What those of the services run that are the target's, too."""
    if not services:
        return {}
    document = release_evidence(run)
    return {
        kind: {name: one for name, one in mapping(document, kind).items() if name in services}
        for kind in document
    }


def held(subject: Run) -> tuple[str, ...] | None:
    """The services that a deploy, or a way back of it, holds stopped; None when nothing is held."""
    return _holding(running.family(subject))


def _holding(runs: Iterable[Run]) -> tuple[str, ...] | None:
    holding: tuple[str, ...] | None = None
    for one in runs:
        for event in one.events():
            if event.step == names.QUIESCE and event.kind is EventKind.NOTE:
                opened = event.evidence.get("opened") is True
                holding = None if opened else strings(event.evidence, "services")
            elif event.step == names.OPEN_UP and event.kind is EventKind.DONE:
                holding = None
    return holding


def holds(run: Run) -> bool:
    return held(run.subject) is not None


def open_up(run: Run) -> Evidence:
    """Start exactly what was stopped, and let traffic in. A failure never decides the way back: the data is well."""
    services = held(run.subject) or ()
    try:
        _quiescer(run).open(services, run.id)
    except DeployguardError as error:
        raise Unsettled(
            f"What was held still could not be let go: {error.message}",
            state=f"Everything else is done.{said(run)}",
            next_commands=(
                *error.next_commands,
                f"deployguard resume --env {run.deploy.environment}",
            ),
        ) from error
    return {"services": listed(services)}


def undo(run: Run) -> None:
    """The deploy stops before its first change: everything runs again. Raises DeployguardError, which shouts."""
    services = _holding((run,))  # the journal may be what failed
    if services is None:
        return
    try:
        _quiescer(run).open(services, run.id)
    except DeployguardError as error:
        raise DeployguardError(f"{error.message}{said(run)}") from error
    run.note(names.QUIESCE, services=[], opened=True)


def said(run: Run) -> str:
    """What is held still, and how a person lets it go; "" when nothing is. To follow other sentences."""
    services = held(run.subject)
    if services is None:
        return ""
    if run.world.quiescer is None:
        return f" {SHOUT}; stopped: {', '.join(services) or 'no service'}."
    by_hand = "; ".join(run.world.quiescer.by_hand(services))
    return f" {SHOUT}; to let it go by hand: {by_hand}."


def _quiescer(run: Run) -> Quiescer:
    if run.world.quiescer is None:
        services = ", ".join(held(run.subject) or ()) or "no service"
        raise UsageError(
            f"[quiesce] was taken out of the configuration while it held the application still ({services} stopped)."
        )
    return run.world.quiescer
