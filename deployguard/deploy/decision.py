"""Decide the way back, from the measured situation or as it was asked for, and say what that means for each step."""

from deployguard.deploy import names, rollback, running, situation, to_ref
from deployguard.deploy.change import has_target
from deployguard.deploy.rollback import AppPhase, Choice, WayBack
from deployguard.deploy.run import Run, listed, text
from deployguard.deploy.step import Evidence, PersonNeeded
from deployguard.errors import Refused, UsageError
from deployguard.model import BackupRecord
from deployguard.state import EventKind, Kind, Status


def decide(run: Run) -> Evidence:
    """Choose the way back after a failure, or stop for a person."""
    seen = situation.measure(run)
    choice = rollback.choose(seen)
    run.note(names.DECIDE, situation=situation.evidence(seen), reasons=listed(choice.reasons))
    if choice.way is WayBack.NEEDS_HUMAN:
        raise PersonNeeded(
            f"No way back is safe without a person: {'; '.join(choice.reasons)}.",
            state=where(seen),
            next_commands=ways_by_hand(run, seen),
        )
    run.world.reporter.note(f"Way back: {choice.way} ({'; '.join(choice.reasons)}).")
    return _decision(choice, seen)


def decide_rollback(run: Run) -> Evidence:
    """Choose the way back that was asked for, or the gentlest safe one."""
    subject = run.subject
    committed = subject.deploy.status is Status.DONE
    seen = to_ref.measured(run, situation.measure(subject, committed=committed, acting=False))
    choice, evidence = chosen(run, seen)
    run.note(names.DECIDE, situation=situation.evidence(seen), reasons=listed(choice.reasons))
    if choice.way is WayBack.NEEDS_HUMAN:
        raise Refused(
            f"No way back from deploy {subject.id} is safe by itself: {'; '.join(choice.reasons)}.",
            state=f"This command changed nothing. {where(seen)}",
            next_commands=to_ref.ways_by_hand(run, seen) or ways_by_hand(subject, seen),
        )
    run.world.reporter.note(f"Way back: {choice.way} ({'; '.join(choice.reasons)}).")
    return evidence


def chosen(run: Run, seen: rollback.Situation) -> tuple[Choice, Evidence]:
    """The way that was asked for, or the gentlest safe one, and what the journal keeps of it. Raises UsageError."""
    to = ""
    if run.rollback.restore or run.rollback.to:
        choice = _asked(run, seen)
        to = destination(run, seen) if choice.way is WayBack.DOWNGRADE else ""
        to_ref.refuse_other(run, seen, to)
    else:
        choice = to_ref.said(run, rollback.choose(seen), seen)
    return choice, _decision(choice, seen) | {"to": to}


def _asked(run: Run, seen: rollback.Situation) -> Choice:
    app_back = seen.app is not AppPhase.UNTOUCHED
    if seen.running != () or seen.survivors != 0 or (run.rollback.to and seen.now is None):
        return rollback.choose(seen)  # which refuses, and says why
    if run.rollback.restore:
        if own_backup(run.subject) is None:
            raise UsageError(
                f"Deploy {run.subject.id} took no backup that is still there.",
                next_commands=("deployguard backup list", "deployguard backup restore BACKUP"),
            )
        return Choice(WayBack.RESTORE, app_back, ("a restore was asked for with --restore",))
    why = "a downgrade was asked for with --to"
    return Choice(WayBack.DOWNGRADE, app_back, (why,))


def destination(run: Run, seen: rollback.Situation) -> str:
    """The full name of the revision that --to asks for, before anything is stopped for it.

    Raises UsageError unless a downgrade to it is sure to leave the database at exactly that revision.
    """
    asked, now = run.rollback.to, seen.now or ()
    graph = run.world.graph()
    strange = [name for name in now if name not in graph.nodes]
    if strange:
        raise UsageError(
            f"The database is at {', '.join(strange)}, which no revision file declares."
        )
    if asked == "base":
        return asked
    goal = graph.resolve(asked)
    applied = graph.ancestors(now)
    if goal not in applied:
        raise UsageError(
            f"A downgrade to {goal} is not possible: the database is at {', '.join(now) or 'no revision'}, "
            "which does not come after it.",
            next_commands=(f"deployguard show {run.subject.id}",),
        )
    left = {name for name in applied if name == goal or goal not in graph.ancestors([name])}
    beside = left - graph.ancestors([goal])
    if beside:
        raise UsageError(
            f"A downgrade to {goal} would leave {', '.join(sorted(beside))}, which lies on another branch, as it is. "
            "Deployguard takes back along one line only.",
            next_commands=(f"deployguard show {run.subject.id}",),
        )
    return goal


def _decision(choice: Choice, seen: rollback.Situation) -> Evidence:
    return {
        "way": str(choice.way),
        "app_back": choice.app_back,
        "app": str(seen.app),
        "reasons": listed(choice.reasons),
        "writes": seen.writes,
        "wrote": seen.wrote,
        "lost": listed(seen.lost),
        "exact": seen.exact,
        "lossless": seen.lossless,
        "lossless_why": seen.lossless_why,
        "before": listed(seen.before),
        "now": listed(seen.now or ()),
    }


def where(seen: rollback.Situation) -> str:
    now = "unknown" if seen.now is None else ", ".join(seen.now) or "none"
    app = {
        AppPhase.UNTOUCHED: "the previous application was not touched",
        AppPhase.SWITCHED: "the new application was started and was not seen healthy",
        AppPhase.SERVED: "the new application is in service",
    }[seen.app]
    was = ", ".join(seen.before) or "none"
    return f"The database's revision is {now} (before the deploy: {was}); {app}."


def ways_by_hand(run: Run, seen: rollback.Situation | None = None) -> tuple[str, ...]:
    """What a person may type next, gentlest first."""
    commands = [f"deployguard show {run.id}", f"deployguard status --env {run.deploy.environment}"]
    if seen is not None and (seen.running != () or seen.survivors != 0):
        # Nothing can be taken back while it works: a resume watches it, and can stop it.
        return (*commands, f"deployguard resume --env {run.deploy.environment}")
    if seen is not None and len(seen.before) == 1 and seen.moved:
        commands.append(f"deployguard rollback {run.id} --to {seen.before[0]}")
    if seen is not None and seen.invalid:
        drops = " ".join(f"DROP INDEX CONCURRENTLY {name};" for name in seen.invalid)
        commands.append(f"psql -c '{drops}'   # then resume: the way back is decided anew")
    if text(run.of(names.BACKUP), "id"):
        commands.append(f"deployguard rollback {run.id} --restore")
    if run.deploy.unfinished:
        commands.append(f"deployguard resume --env {run.deploy.environment}")
        if not run.begun(names.RESTORE) and run.deploy.kind is Kind.RESTORE:
            commands.append(f"deployguard close --env {run.deploy.environment} --reason TEXT")
    return tuple(commands)


def way(run: Run) -> WayBack:
    return WayBack(text(run.of(names.DECIDE), "way") or WayBack.NOTHING)


def restores(run: Run) -> bool:
    return way(run) is WayBack.RESTORE


def downgrades(run: Run) -> bool:
    return way(run) is WayBack.DOWNGRADE


def changes_schema(run: Run) -> bool:
    return restores(run) or downgrades(run)


def is_automatic(run: Run) -> bool:
    """Whether the way rests on "nothing is lost" instead of on a person who has typed that it may be."""
    return changes_schema(run) and text(run.of(names.CONFIRM), "way") != way(run)


def stops_app(run: Run) -> bool:
    """A schema is never changed under an application that was made for another one."""
    switched = text(run.of(names.DECIDE), "app") != AppPhase.UNTOUCHED
    return has_target(run) and (restores(run) or (downgrades(run) and switched))


def puts_app_back(run: Run) -> bool:
    wanted = run.of(names.DECIDE).get("app_back") is True
    return has_target(run) and (wanted or stops_app(run) or was_left_stopped(run))


def was_left_stopped(run: Run) -> bool:
    """Whether this way back, or an earlier one of the same deploy, stopped the application and did not start it."""
    down = False
    for one in running.family(run.subject):
        for event in one.events():
            if event.kind is EventKind.DONE and event.step == names.STOP_APP:
                down = "skipped" not in event.evidence
            # Our own start does not change what this way back has to do.
            elif event.kind is EventKind.DONE and event.step == names.APP_BACK and one.id != run.id:
                down = False
    return down


def checks_health(run: Run) -> bool:
    """Whether "healthy again" can be said at all."""
    asked = run.subject.options.health_check or run.rollback.health_check
    return run.world.environment.health.asks and (asked or puts_app_back(run))


def concerns_database(run: Run) -> bool:
    subject = run.subject
    asked = run.rollback
    return subject.begun(names.MIGRATE) or asked.restore or bool(asked.to or asked.to_ref)


def own_backup(subject: Run) -> BackupRecord | None:
    """The sealed backup that a deploy took before its migration, if it is still there."""
    return subject.world.find_backup("pre-deploy", subject.id)
