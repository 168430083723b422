"""Which backups are kept and which may go, and why: restic's rules, by class. Pure: no clock, no disk.

Backups are looked at newest first. A bucket is a piece of the calendar (UTC) that contains a backup; a rule such as
"daily 7" keeps the newest one in each of the seven latest days that have any, and while it has not found seven, the
oldest backup of all. Days on which nothing was taken do not count, so a job that stopped removes nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from deployguard.config.durations import Duration, duration
from deployguard.config.retention import BUCKETS, Keep, RetentionConfig
from deployguard.errors import UsageError


class Read(StrEnum):
    """What reading a backup back has shown."""

    VERIFIED = "verified"
    UNREAD = "unread"  # nobody has read it back yet
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One backup, wherever it lies: here, off-site, or a snapshot of a provider.

    ``of`` says what it is a backup of (environment, database, store): only those of the same are compared. ``pinned``
    and ``needed`` say why it must stay; "" is that nothing demands it.
    """

    id: str
    reason: str  # the class
    of: str
    created: datetime
    read: Read
    pinned: str = ""
    needed: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What becomes of one backup, and each reason for it."""

    candidate: Candidate
    keep: bool
    reasons: tuple[str, ...]


_Bucket = Callable[[datetime], tuple[int, ...]]
_BUCKETS: Final[Mapping[str, _Bucket]] = MappingProxyType(
    {
        "hourly": lambda at: (at.year, at.month, at.day, at.hour),
        "daily": lambda at: (at.year, at.month, at.day),
        "weekly": lambda at: tuple(at.isocalendar()[:2]),
        "monthly": lambda at: (at.year, at.month),
        "yearly": lambda at: (at.year,),
    }
)
NEWEST: Final = "the newest verified backup"


def judge(
    candidates: Iterable[Candidate], policy: RetentionConfig, now: datetime
) -> tuple[Judged, ...]:
    """What becomes of each backup, newest first. Raises UsageError for a rule that would keep nothing."""
    ordered = sorted(candidates, key=lambda one: (one.created, one.id), reverse=True)
    reasons: dict[int, list[str]] = {place: [] for place in range(len(ordered))}
    groups: dict[tuple[str, str], list[int]] = {}
    newest: dict[str, int] = {}  # of each database, the newest verified one
    for place, one in enumerate(ordered):
        reasons[place] += _always(one, now)
        if one.created > now:
            continue  # it must not be the newest of anything: nobody knows when it was taken
        groups.setdefault((one.of, one.reason), []).append(place)
        if one.read is Read.VERIFIED and one.of not in newest:
            newest[one.of] = place
            reasons[place].append(NEWEST)
    for (of, reason), places in groups.items():
        rule = policy.rule(reason)
        for place in places if rule is None or rule.all else ():
            reasons[place].append(_for_ever(rule, reason))
        if rule is not None and not rule.all:
            _by_rule(rule, reason, places, (ordered, reasons, newest.get(of)), now)
    return tuple(
        _judged(one, reasons[place], policy, newest.get(one.of))
        for place, one in enumerate(ordered)
    )


def _always(one: Candidate, now: datetime) -> list[str]:
    said = []
    if one.pinned:
        said.append(f"pinned: {one.pinned}")
    if one.needed:
        said.append(f"needed by {one.needed}")
    if one.created > now:
        said.append("its time lies in the future, so its age is unknown: look at the clocks")
    return said


def _for_ever(rule: Keep | None, reason: str) -> str:
    if rule is None:
        return f"nothing is said about the class {reason!r}"
    return f"{reason}: until it is removed by hand"


_Table = tuple[Sequence[Candidate], dict[int, list[str]], int | None]


def _by_rule(rule: Keep, reason: str, places: list[int], table: _Table, now: datetime) -> None:
    """Add what the rule of a class keeps of it.

    Only verified ones fill the buckets. One that nobody has read back stays as long as it would if it were verified,
    and takes nobody's place. A damaged one stays while nothing newer is verified: it may be all that there is.
    """
    if rule.empty:
        raise UsageError(f"The rule for {reason} backups keeps nothing; nothing was removed.")
    ordered, reasons, newest = table
    verified = [place for place in places if ordered[place].read is Read.VERIFIED]
    readable = [place for place in places if ordered[place].read is not Read.DAMAGED]
    for place, why in _kept(rule, verified, ordered, now).items():
        reasons[place] += why
    for place, why in _kept(rule, readable, ordered, now).items():
        if ordered[place].read is Read.UNREAD:
            reasons[place] += [f"{text}, if it is whole (not read back yet)" for text in why]
    for place in places:
        alone = newest is None or newest > place  # places count from the newest
        if ordered[place].read is Read.DAMAGED and alone:
            reasons[place].append("damaged, but nothing newer is verified")


def _kept(
    rule: Keep, places: list[int], ordered: Sequence[Candidate], now: datetime
) -> dict[int, list[str]]:
    """Which of these the rule keeps, and for what; as if no others were there."""
    kept: dict[int, list[str]] = {}
    if not places:
        return kept

    def keep(place: int, why: str) -> None:
        kept.setdefault(place, []).append(why)

    for place in places[: rule.last]:
        keep(place, f"last {rule.last}")
    times = {place: ordered[place].created.astimezone(UTC) for place in places}
    for name in BUCKETS:
        for place, old in _filled(places, times, name, getattr(rule, name)):
            keep(place, f"{'oldest, for ' if old else ''}{name} {getattr(rule, name)}")
    newest = times[places[0]]
    if rule.within:
        since = duration(rule.within, "within").before(newest)
        for place in places:
            if times[place] > since:
                keep(place, f"within {rule.within} of the newest")
    for name in BUCKETS:
        text = getattr(rule, f"within_{name}")
        span: Duration = duration(text, f"within_{name}")
        near = [place for place in places if span and times[place] > span.before(newest)]
        oldest = near[-1:] == places[-1:]
        for place, old in _filled(near, times, name, len(near), oldest=oldest):
            keep(place, f"{'oldest, for ' if old else ''}{name} within {text} of the newest")
    if rule.age:
        since = duration(rule.age, "age").before(now)
        for place in places:
            if times[place] > since:
                keep(place, f"younger than {rule.age}")
    return kept


def _filled(
    places: list[int],
    times: Mapping[int, datetime],
    name: str,
    count: int,
    *,
    oldest: bool = True,
) -> list[tuple[int, bool]]:
    """The newest one of each bucket, up to ``count``; while there is room, the oldest of all (then True)."""
    filled: list[tuple[int, bool]] = []
    last: tuple[int, ...] | None = None
    for place in places:
        if len(filled) == count:
            break
        bucket = _BUCKETS[name](times[place])
        if bucket != last:
            filled.append((place, False))
        elif oldest and place == places[-1]:
            filled.append((place, True))
        last = bucket
    return filled


def _judged(
    one: Candidate, reasons: list[str], policy: RetentionConfig, newest: int | None
) -> Judged:
    if reasons:
        return Judged(one, keep=True, reasons=tuple(reasons))
    rule = policy.rule(one.reason)
    if one.read is Read.DAMAGED:
        return Judged(one, keep=False, reasons=("damaged, and a newer one is verified",))
    if newest is None:  # only unread ones: without one that surely can be restored, nothing goes
        return Judged(one, keep=True, reasons=("no backup is verified yet, so none is removed",))
    said = "" if rule is None else words(rule)
    return Judged(one, keep=False, reasons=(f"outside of what is kept of {one.reason}: {said}",))


def words(rule: Keep) -> str:
    """A rule as people read it: daily 7, weekly 4, monthly 12."""
    if rule.all:
        return "all, until removed by hand"
    counts = [(name, getattr(rule, name)) for name in ("last", *BUCKETS)]
    parts = [f"{name} {count}" for name, count in counts if count]
    parts += [f"{name.replace('_', ' ')} {text}" for name, text in rule.spans() if text]
    return ", ".join(parts)
