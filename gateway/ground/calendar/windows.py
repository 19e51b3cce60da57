"""Calendar windows, in which uses are counted: the hour, day, week, month or year of an instant in a time zone.

A day of 23 or 25 hours is one window. The hour that clocks show twice is one window too.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

PERIODS = ("hour", "day", "week", "month", "year", "ever")


@dataclass(frozen=True, slots=True)
class CalendarWindow:
    start: int  # epoch seconds; identifies the window in the counters
    end: int  # epoch seconds; the start of the next window

    def holds(self, epoch: float) -> bool:
        return self.start <= epoch < self.end


EVER = CalendarWindow(0, 2**53)


def window(per: str, zone: str, now: datetime) -> CalendarWindow:
    """The window that contains `now` (aware). Raises ValueError for an unknown `per`."""
    if per == "ever":
        return EVER
    local = now.astimezone(ZoneInfo(zone)).replace(minute=0, second=0, microsecond=0)
    day = local.replace(hour=0, fold=0)
    match per:
        case "hour":
            start = local.replace(fold=0)
            end = start.replace(tzinfo=None) + timedelta(hours=1)
        case "day":
            start, end = day, day.replace(tzinfo=None) + timedelta(days=1)
        case "week":
            start = day - timedelta(days=day.weekday())
            end = start.replace(tzinfo=None) + timedelta(days=7)
        case "month":
            start = day.replace(day=1)
            end = (start.replace(tzinfo=None) + timedelta(days=32)).replace(day=1)
        case "year":
            start = day.replace(month=1, day=1)
            end = start.replace(tzinfo=None, year=start.year + 1)
        case _:
            raise ValueError(f"no such window: {per}")
    return CalendarWindow(_epoch(start), _epoch(end.replace(tzinfo=ZoneInfo(zone))))


def _epoch(local: datetime) -> int:
    """The instant of a local time. If clocks skip midnight, it is the first instant after the gap."""
    return int(local.astimezone(UTC).timestamp())
