"""Which way back: the pure choice between the ways, from what was measured. Unknown is never taken for "fine"."""

from dataclasses import dataclass
from enum import StrEnum


class WayBack(StrEnum):
    """What is done after a failure, or when a rollback is asked for."""

    NOTHING = "nothing to undo"
    APP_BACK = "put the application back, leave the schema"
    DOWNGRADE = "downgrade the schema"
    RESTORE = "restore the backup"
    NEEDS_HUMAN = "a person must decide"


class AppPhase(StrEnum):
    """How far the new application came."""

    UNTOUCHED = "untouched"  # the old one runs
    SWITCHED = "switched"  # the update began, the new one was never seen healthy
    SERVED = "served"  # the new one was healthy: it has taken requests, and its writes count


@dataclass(frozen=True, slots=True)
class Situation:
    """What is true of production, measured. ``None`` is "could not be measured"."""

    before: tuple[str, ...]  # the revision when the deploy armed
    planned: tuple[str, ...]
    now: tuple[str, ...] | None
    known: bool = True  # ``now`` lies on the way from ``before`` to ``planned``
    schema_changed: bool | None = False  # the catalogue differs from the one at arming
    running: tuple[str, ...] | None = ()  # programs of it or of a way back that still run
    survivors: int | None = 0  # server processes that still work for the migration
    claimed: bool = False  # the migration ended with exit code 0
    partial: str = ""  # why a part of a revision that is not in may have stayed; "" when it can't
    unseen: bool = False  # that part may be rows, which the catalogue does not show
    later: int | None = 0  # transactions since arming, the migration's own included; at most
    invalid: tuple[str, ...] = ()  # indexes that are invalid now and were not when the deploy armed
    app: AppPhase = AppPhase.UNTOUCHED
    stoppable: bool = True  # deployguard can stop the application, so that nobody writes meanwhile
    expand_only: bool = False  # E: the old application works on the present schema
    lossless: bool | None = None  # L: the downgrade loses nothing now
    lossless_why: str = ""
    straight: bool = True  # a downgrade to ``before`` leads exactly there: one head, one line
    writes: int | None = None  # W: others' writes since the backup, at most
    exact: bool = (
        False  # W was counted one by one, out of a replication slot that begins at the backup
    )
    wrote: str = ""  # W with its evidence, in words
    lost: tuple[str, ...] = ()  # what the slot holds, a line a table
    hidden: tuple[str, ...] = ()  # what may have changed besides, which no slot shows
    backup: str = ""  # id of the deploy's backup
    verified: bool = False  # V: it was read back completely
    locked: str = ""  # why it cannot be opened on this machine; "" when it can

    @property
    def moved(self) -> bool | None:
        """Whether any revision was committed; None is unknown."""
        return None if self.now is None else set(self.now) != set(self.before)


@dataclass(frozen=True, slots=True)
class Choice:
    """The way, whether the previous application is started again on it, and why, in sentences."""

    way: WayBack
    app_back: bool
    reasons: tuple[str, ...]


_CANNOT_STOP = (
    "deployguard cannot stop the application ([target] names no way to), "
    "and it may write while the data goes back"
)


def choose(seen: Situation) -> Choice:
    """The way back that deployguard may take by itself. Order matters: the gentlest way that is proven safe."""
    app_back = seen.app is not AppPhase.UNTOUCHED
    blind = _blind(seen)
    if blind:
        return Choice(WayBack.NEEDS_HUMAN, app_back=False, reasons=(blind,))
    if not seen.moved:
        if seen.schema_changed is False and not seen.invalid and not _hidden_rows(seen):
            return _nothing(app_back=app_back)
        return _leftovers(seen, app_back=app_back)
    whole = not seen.invalid and not seen.partial
    if seen.expand_only and app_back and whole:
        return Choice(
            WayBack.APP_BACK,
            app_back=True,
            reasons=(
                "every revision that ran only adds to the schema, so the previous application works on it",
                "the schema stays forward and no row is touched",
            ),
        )
    downgrade = seen.lossless and seen.straight and whole
    if downgrade and app_back and not seen.stoppable:
        # What it writes between the count and the downgrade would be lost.
        return Choice(WayBack.NEEDS_HUMAN, app_back=False, reasons=(_CANNOT_STOP,))
    if downgrade:
        return Choice(
            WayBack.DOWNGRADE, app_back, (f"the downgrade loses nothing: {seen.lossless_why}",)
        )
    if seen.app is AppPhase.SERVED:
        return Choice(
            WayBack.NEEDS_HUMAN,
            app_back=False,
            reasons=(
                _not_lossless(seen),
                "the new application has been in service, so its writes would be lost by a restore",
            ),
        )
    return _restore(seen, app_back=app_back, reasons=(_not_lossless(seen),))


def _blind(seen: Situation) -> str:
    """What makes every automatic way unsafe; "" when there is nothing."""
    if seen.now is None:
        return "the revision that the database is at could not be read"
    if seen.running is None:
        return "whether the migration still runs could not be found out"
    if seen.running:
        return f"{', '.join(seen.running)} still runs, and what it does will be committed"
    if seen.survivors is None:
        return "whether a statement of the migration still runs could not be found out"
    if seen.survivors:
        return f"{seen.survivors} server process(es) still work for the migration; what they do may yet commit"
    if not seen.known:
        return (
            f"the database is at {', '.join(seen.now) or 'no revision'}, which is not on the way from "
            f"{', '.join(seen.before) or 'no revision'} to {', '.join(seen.planned) or 'no revision'}: "
            "somebody else changed it"
        )
    if seen.claimed and not seen.moved and set(seen.before) != set(seen.planned):
        return (
            "the migration reported success, and this database did not move: it migrated something else, "
            "another database perhaps"
        )
    return ""


def _hidden_rows(seen: Situation) -> bool:
    """Whether rows may have been changed by what was not in one transaction with the revision that failed."""
    return seen.unseen and seen.later != 0


def _nothing(*, app_back: bool) -> Choice:
    unchanged = "the revision and the schema are as they were before the deploy"
    if app_back:
        return Choice(WayBack.APP_BACK, app_back=True, reasons=(unchanged,))
    return Choice(WayBack.NOTHING, app_back=False, reasons=(unchanged,))


def _leftovers(seen: Situation, *, app_back: bool) -> Choice:
    """No revision was committed, and yet something may have stayed behind: no downgrade knows of it."""
    if seen.invalid:
        left = (
            f"no revision was committed, but invalid indexes were left: {', '.join(seen.invalid)}"
        )
    elif seen.schema_changed is False:
        count = "an unknown number of" if seen.later is None else f"up to {seen.later}"
        left = (
            f"no revision was committed, but rows may have been changed ({seen.partial}), "
            f"for {count} transaction(s) wrote since"
        )
    elif seen.schema_changed is None:
        left = "no revision was committed, but whether the schema changed could not be found out"
    else:
        left = "no revision was committed, but a part of one stayed in the schema"
    return _restore(seen, app_back=app_back, reasons=(left,))


def _restore(seen: Situation, *, app_back: bool, reasons: tuple[str, ...]) -> Choice:
    if seen.app is AppPhase.SERVED:
        return Choice(WayBack.NEEDS_HUMAN, app_back=False, reasons=reasons)
    if seen.locked:
        return Choice(WayBack.NEEDS_HUMAN, app_back=False, reasons=(*reasons, seen.locked))
    if seen.verified and seen.writes == 0 and seen.stoppable:
        return Choice(
            WayBack.RESTORE,
            app_back,
            (*reasons, "nobody else has written since the backup, which was read back completely"),
        )
    if seen.verified and seen.writes == 0:
        why = _CANNOT_STOP
    elif not seen.verified:
        why = (
            f"backup {seen.backup} is not verified" if seen.backup else "this deploy took no backup"
        )
    elif seen.exact:
        why = f"others have written since the backup, and a restore would lose it ({seen.wrote})"
    elif seen.writes is None:
        why = "how much was written since the backup is unknown, and a restore would lose it"
    else:
        why = (
            f"up to {seen.writes} transaction(s) wrote since the backup, the migration's own among them; a restore "
            "would lose those of others"
        )
    return Choice(WayBack.NEEDS_HUMAN, app_back=False, reasons=(*reasons, why))


def _not_lossless(seen: Situation) -> str:
    if seen.invalid:
        return f"invalid indexes were left: {', '.join(seen.invalid)}"
    if seen.partial:
        return f"a part of a revision may have stayed that no downgrade knows of ({seen.partial})"
    if not seen.straight:
        return (
            "a downgrade goes to one revision, and the database was at "
            f"{', '.join(seen.before) or 'no revision'}, on more than one branch"
        )
    if seen.lossless is None:
        return f"whether the downgrade loses data is unknown: {seen.lossless_why or 'not measured'}"
    return f"the downgrade would lose data: {seen.lossless_why}"
