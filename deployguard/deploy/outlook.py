"""``rollback --plan``: what a rollback would do and why, without doing or journaling any of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployguard.deploy import (
    asking,
    decision,
    engine,
    foreseen,
    names,
    situation,
    source_back,
    to_ref,
)
from deployguard.deploy import subject as subject_of
from deployguard.deploy.back import ROLLBACK
from deployguard.deploy.rollback import Choice, Situation, WayBack
from deployguard.deploy.run import RollbackOptions, Run, options_document
from deployguard.deploy.steps import STEPS
from deployguard.deploy.world import World
from deployguard.model import Json
from deployguard.state import Deploy, Event, EventKind, Kind, Status

_UNSEEN = frozenset({names.DECIDE, names.ARM, names.CLOSE})  # rows of the table that change nothing


@dataclass(frozen=True, slots=True)
class Outlook:
    """What ``deployguard rollback`` would do about ``deploy`` now.

    ``steps`` are the titles of its steps in order, () where no way is safe by itself. ``warning`` says what would
    have to be confirmed, "" when nothing. ``backup`` is the id of the deploy's own backup where it is still there.
    ``updates`` says of each service how the former version comes back.
    """

    deploy: str
    choice: Choice
    seen: Situation
    where: str
    steps: tuple[str, ...] = ()
    warning: str = ""
    backup: str = ""
    next_commands: tuple[str, ...] = ()
    updates: tuple[str, ...] = ()


class _Imagined(Run):
    """A rollback that is not in the journal, and never will be."""

    def record(
        self, step: str, kind: EventKind, evidence: Mapping[str, Json] | None = None
    ) -> None:
        """Remember an event; nothing is written."""
        self._events.append(Event(0, self.id, self.world.clock(), step, kind, dict(evidence or {})))


def look(world: World, options: RollbackOptions) -> Outlook:
    """Measure, choose and foresee. Raises UsageError as ``rollback`` would, and changes nothing."""
    subject = subject_of.find(world, options.deploy)
    former = Run(world, subject)
    subject_of.refuse_later(world, subject, options)
    subject_of.refuse_again(former, options)
    options = to_ref.asked(world, subject, options)
    run = _imagined(world, subject, options)
    seen = situation.measure(former, committed=subject.status is Status.DONE, acting=False)
    if not engine.armed(former, STEPS):
        unchanged = Choice(WayBack.NOTHING, app_back=False, reasons=("it had changed nothing",))
        return Outlook(subject.id, unchanged, seen, decision.where(seen))
    with source_back.looking(world, run), to_ref.looking(run):
        seen = to_ref.measured(run, seen)
        choice, evidence = decision.chosen(run, seen)
    own = decision.own_backup(former)
    backup = own.id if own else ""
    if choice.way is WayBack.NEEDS_HUMAN:
        by_hand = to_ref.ways_by_hand(run, seen) or decision.ways_by_hand(former, seen)
        return Outlook(
            subject.id, choice, seen, decision.where(seen), backup=backup, next_commands=by_hand
        )
    run.record(names.DECIDE, EventKind.DONE, evidence)
    warning = ""
    if asking.needs_confirmation(run):
        warning = asking.warning(run)
        run.record(names.CONFIRM, EventKind.DONE, {"way": str(choice.way)})
    rows = [s for s in ROLLBACK if s.name not in _UNSEEN and s.applies(run)]
    return Outlook(
        subject.id,
        choice,
        seen,
        decision.where(seen),
        tuple(s.title for s in rows),
        warning,
        backup,
        (_command(subject, options),),
        _updates(world, {s.name for s in rows}),
    )


def _updates(world: World, steps: set[str]) -> tuple[str, ...]:
    if names.APP_BACK not in steps:
        return ()
    if names.STOP_APP in steps and world.target.can_stop:
        return ("all services are stopped while the data goes back: nobody is served meanwhile",)
    return foreseen.told_if_known(world)


def _imagined(world: World, subject: Deploy, options: RollbackOptions) -> Run:
    asked = options_document(options) | {"deploy": subject.id}
    now = world.clock()
    row = Deploy(
        "", subject.environment, Kind.ROLLBACK, now, world.by, Status.RUNNING, options=asked
    )
    return _Imagined(world, row)


def _command(subject: Deploy, options: RollbackOptions) -> str:
    to = f" --to {options.to}" if options.to else ""
    to += to_ref.flag(options.to_ref)
    return f"deployguard rollback {subject.id}{to}{' --restore' if options.restore else ''}"
