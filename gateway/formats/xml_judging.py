"""Whether a record is given: its own time and its account. The meaning is that of `json_reading`, word for word."""

from collections.abc import Callable
from datetime import datetime

from gateway.catalogue.formats import RecordTime
from gateway.formats import stamps
from gateway.ground.calendar.instants import Span, Window

Judge = Callable[..., "Span | bool"]  # the texts of a record's time, "" where it has none, and of its length
Read = Callable[[tuple[str, ...]], "Span | None"]


def judge(time: RecordTime, window: Window, zone: str) -> Judge:
    """A function of the texts at the paths of a record's time, and that of its length: the span of a record inside the
    window, True where it is given and has no span, False where it is not. It raises ValueError and OverflowError."""
    if time.how == "none":
        return lambda *texts: True
    judged = (_state if time.how == "state" else _within)(time, window, zone)
    if time.empty or (time.how == "instant" and len(time.paths) > 1):
        judged = _said(time, judged)
    return _leniently(judged) if time.lenient else judged


def _said(time: RecordTime, judged: Judge) -> Judge:
    """Of texts that say something; of an instant the first of them."""
    count = len(time.paths)

    def said(*texts: str) -> Span | bool:
        found = tuple("" if text in time.empty else text for text in texts[:count])
        if time.how == "instant":
            found = (next(filter(None, found), ""),)
        return judged(*found, *texts[count:])

    return said


def _leniently(judged: Judge) -> Judge:
    def lenient(*texts: str) -> Span | bool:
        try:
            return judged(*texts)
        except (ValueError, OverflowError):
            return False

    return lenient


def _within(time: RecordTime, window: Window, zone: str) -> Judge:
    low, high = window.start, window.end
    read, count = _read(time, zone), 1 if time.how == "instant" else len(time.paths)

    def judged(*texts: str) -> Span | bool:
        if "" in texts[:count]:
            return False
        span = read(texts)
        if span is None:  # its length is not there
            return False
        start, end = span
        outside = (low is not None and start < low) or (high is not None and (start >= high or end > high))
        return False if outside else (start, end)

    return judged


def _read(time: RecordTime, zone: str) -> Read:
    stamp, count = stamps.stamp(time.written), len(time.paths)
    fixed = stamps.length(str(time.length)) if time.length else None

    def at(texts: tuple[str, ...]) -> Span:
        return stamp(texts[0], zone)

    def span(texts: tuple[str, ...]) -> Span:
        start, end = stamp(texts[0], zone)[0], stamp(texts[1], zone)[1]
        if end < start:
            raise ValueError("it ends before it begins")
        return start, end

    def parts(texts: tuple[str, ...]) -> Span:
        return stamps.of_parts(texts[:count], time.months_from, zone)

    read = parts if time.how == "parts" else span if time.how == "span" and count == 2 else at
    if fixed is None and not time.length_path:
        return read

    def lasting(texts: tuple[str, ...]) -> Span | None:
        start, end = read(texts)
        if fixed is None and not texts[-1]:
            return None
        lasts = fixed if fixed is not None else stamps.length(texts[-1])
        return (start - lasts, end) if time.ends else (start, max(end, start + lasts))

    return lasting


def _state(time: RecordTime, window: Window, zone: str) -> Judge:
    """From one time to another, either of which may be open: it is given if it overlaps the window. One that ends
    before it begins is not."""
    low, high = window.start, window.end
    stamp, count = stamps.stamp(time.written), len(time.paths)

    def judged(*texts: str) -> bool:
        start: datetime | None = stamp(texts[0], zone)[0] if texts[0] else None
        end: datetime | None = stamp(texts[1], zone)[1] if count == 2 and texts[1] else None
        if start is not None and end is not None and end < start:
            return False
        begins_late = high is not None and start is not None and start >= high
        ended_early = low is not None and end is not None and end <= low
        return not (begins_late or ended_early)

    return judged
