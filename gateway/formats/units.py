"""Local days, months and years, as whole units of time: what is coarser than an instant must not be cut finer.

An app that only gets the month of a record could find its minute by asking for shorter and shorter periods, so periods
are made of whole units.
"""

from datetime import date, datetime, timedelta

from gateway.ground.calendar.instants import Window, local_day, midnight


def first_day(day: date, unit: str) -> date:
    return day if unit == "day" else day.replace(day=1) if unit == "month" else day.replace(month=1, day=1)


def _after(day: date, unit: str) -> date:
    """The first day of the next unit. Raises OverflowError at the end of the calendar."""
    if unit == "day":
        return day + timedelta(days=1)
    return first_day(first_day(day, unit) + timedelta(days=32 if unit == "month" else 367), unit)


def begin(moment: datetime, unit: str, zone: str) -> datetime:
    """The start of the unit in which an instant lies."""
    return midnight(first_day(local_day(moment, zone), unit), zone)


def end(moment: datetime, unit: str, zone: str) -> datetime:
    """The start of the next."""
    return midnight(_after(local_day(moment, zone), unit), zone)


def _up(moment: datetime, unit: str, zone: str) -> datetime:
    start = begin(moment, unit, zone)
    return start if start == moment else end(moment, unit, zone)


def inward(window: Window, unit: str, zone: str) -> Window | None:
    """The whole units inside a window; None: there is none."""
    start = None if window.start is None else _up(window.start, unit, zone)
    finish = None if window.end is None else begin(window.end, unit, zone)
    return None if start is not None and finish is not None and start >= finish else Window(start, finish)


def outward(window: Window, unit: str, zone: str) -> Window:
    """The window with the units whole that it cuts."""
    start = None if window.start is None else begin(window.start, unit, zone)
    return Window(start, None if window.end is None else _up(window.end, unit, zone))
