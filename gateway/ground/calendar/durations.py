"""ISO 8601 durations, as far as terms use them: years, months, weeks, days. `P13M` counts calendar months."""

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

_FORM = re.compile(r"P(?=[0-9])(?:([0-9]{1,3})Y)?(?:([0-9]{1,4})M)?(?:([0-9]{1,4})W)?(?:([0-9]{1,5})D)?")
_MONTH_DAYS = 365.2425 / 12


@dataclass(frozen=True, slots=True)
class Duration:
    months: int
    days: int

    @property
    def length(self) -> float:
        """Length in days, with months of average length. Only for comparing two durations."""
        return self.months * _MONTH_DAYS + self.days

    def after(self, at: datetime) -> datetime:
        return _months(at, self.months) + timedelta(days=self.days)

    def before(self, at: datetime) -> datetime:
        return _months(at, -self.months) - timedelta(days=self.days)


@lru_cache(maxsize=1024)
def parse(text: str) -> Duration:
    """Raises ValueError for a text of another form, and for a duration of zero or above 100 years."""
    found = _FORM.fullmatch(text)
    if not found:
        raise ValueError(f"not a duration of years, months, weeks or days: {text[:20]!r}")
    years, months, weeks, days = (int(part or 0) for part in found.groups())
    duration = Duration(12 * years + months, 7 * weeks + days)
    if not 0 < duration.length <= 36525:
        raise ValueError("a duration lies above zero and at most at 100 years")
    return duration


def _months(at: datetime, count: int) -> datetime:
    """The same day, `count` months later or earlier; the month's last day if it has no such day."""
    month = at.month - 1 + count
    year, month = at.year + month // 12, month % 12 + 1
    return at.replace(year=year, month=month, day=min(at.day, monthrange(year, month)[1]))
