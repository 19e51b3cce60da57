"""Instants and spans of time as the data formats write them, converted to UTC for comparing.

A date without time means the whole local day in the organisation's time zone; a month or a year likewise.
Days of 23 and 25 hours are right because each local midnight is converted to UTC by itself.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span [start, end) in which records must lie, as aware UTC instants. None: open on that side."""

    start: datetime | None
    end: datetime | None

    def intersects(self, start: datetime, end: datetime) -> bool:
        return (self.end is None or start < self.end) and (self.start is None or end > self.start)

    def contains(self, start: datetime, end: datetime) -> bool:
        """Whether the span is wholly inside. A record that reaches over an edge is outside."""
        return (self.start is None or start >= self.start) and (self.end is None or end <= self.end)


_DATE = re.compile(r"([0-9]{4})(?:-([0-9]{2})(?:-([0-9]{2}))?)?")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?(?:Z|[+-][0-9:]{4,6})?"
)

Span = tuple[datetime, datetime]


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def instant(text: str, zone_name: str) -> datetime:
    """An ISO 8601 date-time as UTC; without offset it is local time of the zone. Raises ValueError."""
    if not _DATE_TIME.fullmatch(text):
        raise ValueError("not a date-time")
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone(zone_name))
    return moment.astimezone(UTC)


def span(text: str, zone_name: str) -> Span:
    """The half-open UTC span a date or date-time covers: a year, a month, a day, or an instant. Raises ValueError."""
    found = _DATE.fullmatch(text)
    if found is None:
        moment = instant(text, zone_name)
        return moment, moment
    return _calendar_span(int(found[1]), int(found[2] or 0), int(found[3] or 0), zone_name)


@lru_cache(maxsize=4096)
def _calendar_span(year: int, month: int, day: int, zone_name: str) -> Span:
    first = date(year, month or 1, day or 1)
    if day:
        after = first + timedelta(days=1)
    elif month:
        after = date(year + month // 12, month % 12 + 1, 1)
    else:
        after = date(year + 1, 1, 1)
    return midnight(first, zone_name), midnight(after, zone_name)


def midnight(day: date, zone_name: str) -> datetime:
    """The first instant of a local day, in UTC."""
    return datetime(day.year, day.month, day.day, tzinfo=zone(zone_name)).astimezone(UTC)


def local_day(moment: datetime, zone_name: str) -> date:
    """The day on which people in the zone place the instant. In UTC it can be the day before or after."""
    return moment.astimezone(zone(zone_name)).date()


def last_day(start: datetime | None, end: datetime, zone_name: str) -> date:
    """The last day of a period, as people name it. One that ends at a midnight does not reach into the day that begins
    there; a single instant at midnight (`start` is the same) lies in it."""
    day = local_day(end, zone_name)
    reached = start == end or midnight(day, zone_name) < end
    return day if reached else local_day(end - timedelta(microseconds=1), zone_name)


def inside(window: Window, start: datetime, end: datetime) -> bool:
    """Whether the span is wholly inside the window. An instant exactly at the window's end is outside."""
    low, high = window.start, window.end
    return (low is None or start >= low) and (high is None or (end <= high and start < high))


def local_text(moment: datetime, zone_name: str, *, is_end: bool) -> str:
    """Local time without offset, for one end of a period, which must not become shorter by it.

    In the hour that clocks run through twice a local time means two instants, so the end is moved out of that hour.
    """
    local = moment.astimezone(zone(zone_name))
    first, second = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
    wall = local.replace(tzinfo=None)
    if first > second:
        wall += first - second if is_end else second - first
    return wall.isoformat(timespec="seconds")


def utc_text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def narrowed(window: Window, start: datetime | None, end: datetime | None) -> Window | None:
    """The part of the window that was asked for; None when there is none."""
    low = max((m for m in (window.start, start) if m is not None), default=None)
    high = min((m for m in (window.end, end) if m is not None), default=None)
    if low is not None and high is not None and low >= high:
        return None
    return Window(low, high)


def window_text(window: Window) -> str:
    """The window as text for a refusal: two times with "/" between; ".." for an open side."""
    return "/".join(utc_text(edge) if edge else ".." for edge in (window.start, window.end))
