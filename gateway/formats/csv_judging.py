"""Which rows of a table are inside the period and of an account that is granted: over columns, each text judged once.

Times mean what they mean in JSON (`stamps`, the same functions): here a distinct text is judged once for all the rows
that have it, there each record. An empty cell is a member that is not there.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from gateway.catalogue.formats import Records, RecordTime
from gateway.formats import stamps
from gateway.ground.calendar.instants import Span, Window, inside

KEPT = 1 << 15  # distinct texts that are remembered
Key = Any  # the text of one column, or a tuple of those of several
Texts = tuple[str, ...]


class Outside(Exception):
    """The record has no time of its own, so that it is in no period."""


def judged_columns(records: Records) -> list[str]:
    """Columns without which no row can be judged."""
    paths = (records.account, *records.time.paths, records.time.length_path)
    return [path[0] for path in paths if path]


def timed_columns(time: RecordTime) -> list[str]:
    return [path[0] for path in (*time.paths, time.length_path) if path]


class Times:
    """Verdicts about the own time of rows, for one window."""

    def __init__(self, time: RecordTime, zone: str, window: Window) -> None:
        self.columns = timed_columns(time)
        self._time, self._zone, self._window = time, zone, window
        self._inside: dict[Key, bool] = {}
        self._spans: dict[Key, Span] = {}
        self._unreadable: set[Key] = set()

    def keys(self, columns: Sequence[Sequence[str]]) -> Sequence[Key]:
        """What a row is judged by, for each row."""
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))

    def verdicts(self, keys: Sequence[Key]) -> tuple[list[bool], set[Key]]:
        """For each row whether it is inside; and the keys that are no time at all."""
        if len(self._inside) > KEPT:
            self._inside.clear()
            self._spans.clear()
            self._unreadable.clear()
        new = set(keys)
        unreadable = new & self._unreadable if self._unreadable else set()
        for key in new.difference(self._inside):
            try:
                self._inside[key] = self._judged(key)
            except (ValueError, OverflowError):
                self._inside[key] = False
                self._unreadable.add(key)
                unreadable.add(key)
        return list(map(self._inside.__getitem__, keys)), unreadable

    def reach(self, keys: Iterable[Key]) -> Span | None:
        """The earliest start and the latest end of rows that are inside; None for states."""
        spans = self._spans
        found = [spans[key] for key in set(keys) if key in spans]
        return (min(found)[0], max(end for _, end in found)) if found else None

    def _judged(self, key: Key) -> bool:
        texts = tuple(text.strip() for text in ((key,) if isinstance(key, str) else key))
        try:
            span = _own(self._time, self._zone, texts)
        except Outside:
            return False
        if self._time.how == "state":
            return _overlaps(span, self._window)
        if not inside(self._window, *span):
            return False
        self._spans[key] = span
        return True


def _overlaps(span: tuple[Any, Any], window: Window) -> bool:
    start, end = span
    late = window.end is not None and start is not None and start >= window.end
    early = window.start is not None and end is not None and end <= window.start
    return not (late or early)


# ---- the forms of a record's own time


def _state(time: RecordTime, zone: str, texts: Texts) -> Any:
    """From the first text to the second; open where there is none."""
    read = stamps.stamp(time.written)
    start = read(texts[0], zone)[0] if texts[0] else None
    return start, (read(texts[1], zone)[1] if texts[1:] and texts[1] else None)


def _instant(time: RecordTime, zone: str, texts: Texts) -> Span:
    return stamps.stamp(time.written)(texts[0], zone)


def _span(time: RecordTime, zone: str, texts: Texts) -> Span:
    read = stamps.stamp(time.written)
    if len(time.paths) == 1:
        return read(texts[0], zone)
    start, end = read(texts[0], zone)[0], read(texts[1], zone)[1]
    if end < start:
        raise ValueError("it ends before it starts")
    return start, end


def _parts(time: RecordTime, zone: str, texts: Texts) -> Span:
    return stamps.of_parts(texts[: len(time.paths)], time.months_from, zone)


_HOW: Mapping[str, Callable[[RecordTime, str, Texts], Span]] = {"instant": _instant, "span": _span, "parts": _parts}


def _own(time: RecordTime, zone: str, texts: Texts) -> Any:
    """The record's own time: a span, or a state that may be open. Raises Outside, ValueError, OverflowError."""
    if time.how == "state":
        return _state(time, zone, texts)
    if not all(texts[: len(time.paths)]):
        raise Outside
    start, end = _HOW[time.how](time, zone, texts)
    if not (time.length or time.length_path):
        return start, end
    if time.length_path and not texts[-1]:
        raise Outside
    lasts = stamps.length(texts[-1] if time.length_path else str(time.length))
    return (start - lasts, start) if time.ends else (start, start + lasts)
