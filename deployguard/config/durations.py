"""Spans of time as restic writes them: ``1y5m7d2h``. Pure."""

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from deployguard.errors import UsageError

_TEXT: Final = re.compile(r"(?:(\d{1,4})y)?(?:(\d{1,4})m)?(?:(\d{1,5})d)?(?:(\d{1,6})h)?")


@dataclass(frozen=True, slots=True)
class Duration:
    """Years and months of the calendar, days and hours of the clock."""

    years: int = 0
    months: int = 0
    days: int = 0
    hours: int = 0

    def __bool__(self) -> bool:
        return any((self.years, self.months, self.days, self.hours))

    def before(self, moment: datetime) -> datetime:
        """The time that lies so long before ``moment``, which has a time zone; a month ends where the month does."""
        months = moment.year * 12 + moment.month - 1 - self.years * 12 - self.months
        year, month = divmod(months, 12)
        earliest = datetime.min.replace(tzinfo=UTC)
        if year < 1:
            return earliest
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        try:
            return moment.replace(year=year, month=month + 1, day=day) - self.clock()
        except OverflowError:
            return earliest

    def clock(self) -> timedelta:
        """The days and hours alone."""
        return timedelta(days=self.days, hours=self.hours)


def duration(text: str, where: str) -> Duration:
    """``text`` as a duration; "" is none. Raises UsageError, in which ``where`` names the key."""
    found = _TEXT.fullmatch(text)
    if found is None:
        raise UsageError(
            f'{where} is {text!r}; write years, months, days and hours in this order, as in "1y6m14d12h" or "30d".'
        )
    return Duration(*(int(part or 0) for part in found.groups()))
