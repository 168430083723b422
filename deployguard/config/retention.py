"""``[retention]``: which backups are kept, by class, and how often one is expected."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Final

from deployguard.config.durations import duration
from deployguard.errors import UsageError

EVERY: Final = ("1h", "2h", "3h", "4h", "6h", "8h", "12h", "1d", "7d")
BUCKETS: Final = ("hourly", "daily", "weekly", "monthly", "yearly")


@dataclass(frozen=True, slots=True)
class Keep:
    """What of a class is kept, with restic's meanings; 0 and "" keep nothing, ``all`` keeps everything.

    ``within`` and its sisters count from the newest of the class, ``age`` from now.
    """

    all: bool = False
    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: str = ""
    within_hourly: str = ""
    within_daily: str = ""
    within_weekly: str = ""
    within_monthly: str = ""
    within_yearly: str = ""
    age: str = ""

    @property
    def empty(self) -> bool:
        """Whether it would keep nothing at all."""
        spans = [duration(text, name) for name, text in self.spans()]
        counts = (self.last, *(getattr(self, name) for name in BUCKETS))
        return not (self.all or any(counts) or any(spans))

    def spans(self) -> tuple[tuple[str, str], ...]:
        """The keys that hold a duration."""
        names = ("within", *(f"within_{name}" for name in BUCKETS), "age")
        return tuple((name, getattr(self, name)) for name in names)


@dataclass(frozen=True, slots=True)
class RetentionConfig:
    """``[retention]``; phase backups and pinned ones are kept for ever, whatever stands here."""

    scheduled: Keep = Keep(daily=7, weekly=4, monthly=12)
    manual: Keep = Keep(all=True)
    pre_deploy: Keep = Keep(all=True)
    emergency: Keep = Keep(age="30d")
    every: str = "1d"
    at: str = "02:30"
    max_age: str = ""

    def rule(self, reason: str) -> Keep | None:
        """What is kept of a class; None for a class that is not known here."""
        known = {"phase": Keep(all=True)} | {
            name.replace("_", "-"): getattr(self, name) for name in CLASSES
        }
        return known.get(reason)

    @property
    def hours_allowed(self) -> int:
        """How old, in hours, the newest verified backup may become: by default an interval and two hours."""
        if self.max_age:
            given = duration(self.max_age, "max_age")
            return ((given.years * 365 + given.months * 30) + given.days) * 24 + given.hours
        return self.hours_between + 2

    @property
    def hours_between(self) -> int:
        """How many hours lie between two scheduled backups."""
        usual = duration(self.every, "every")
        return usual.days * 24 + usual.hours


MEANINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "scheduled": (
            "Of each class: all = true, or last, hourly, daily, weekly, monthly, yearly (how many), "
            "within (of the newest), age (from now)."
        ),
        "manual": "What `backup create` took; phase backups and pinned ones are always kept.",
        "pre_deploy": "What deploys took.",
        "emergency": "What restores and rollbacks took of the present before they changed it.",
        "every": f"How often a scheduled backup is due: {', '.join(EVERY)} …",
        "at": "… and the time of day of one of them, for `backup schedule`.",
        "max_age": '`backup status` fails when the newest verified one is older; "" is `every` and two hours.',
    }
)
CLASSES: Final = ("scheduled", "manual", "pre_deploy", "emergency")


def check(config: RetentionConfig, where: str) -> RetentionConfig:
    """The configuration, looked through. Raises UsageError for a rule that keeps nothing or cannot be read."""
    for name in CLASSES:
        keep: Keep = getattr(config, name)
        for key, text in keep.spans():
            duration(text, f"{where} {name}.{key}")
        if keep.empty:
            raise UsageError(
                f"{where} {name} keeps nothing: every backup of that class would be removed. Say what is kept, as in"
                f" {name} = {{ last = 3 }}, or {name} = {{ all = true }}."
            )
        if keep.all and any(
            getattr(keep, spec.name) != spec.default for spec in fields(keep) if spec.name != "all"
        ):
            raise UsageError(f"{where} {name}: with all = true nothing else can be said.")
    if config.every not in EVERY:
        raise UsageError(f"{where} every is {config.every!r}; use one of: {', '.join(EVERY)}.")
    hour, colon, minute = config.at.partition(":")
    if not (colon and _number(hour, 23) and _number(minute, 59)):
        raise UsageError(f'{where} at is {config.at!r}; write a time of day, as in "02:30".')
    duration(config.max_age, f"{where} max_age")
    return config


def _number(text: str, most: int) -> bool:
    return len(text) == 2 and text.isascii() and text.isdigit() and int(text) <= most
