"""Which rows of a table are inside the period and of an account that is granted: over columns, each text judged once.

Times mean what they mean in JSON (`stamps`, the same functions): here a distinct text is judged once for all the rows
that have it, there each record. An empty cell is a member that is not there.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from gateway.catalogue.formats import Records, RecordTime
from gateway.formats import stamps
from gateway.ground.calendar.instants import Span, Window

KEPT = 1 << 15  # distinct texts that are remembered
CHARACTERS = 1 << 22  # of them all
Key = Any  # the text of one column, or a tuple of those of several
Texts = tuple[str, ...]


class Room:
    """For texts that are remembered, of one column: so many, and so many characters of them."""

    def __init__(self) -> None:
        self._texts = self._characters = 0

    def has(self, more: Collection[Key]) -> bool:
        """Whether these fit beside those before; they are counted then. If not, all are to be forgotten."""
        size = sum(len(each) if isinstance(each, str) else sum(map(len, each)) for each in more)
        if self._texts + len(more) > KEPT or self._characters + size > CHARACTERS:
            self._texts = self._characters = 0
            return False
        self._texts, self._characters = self._texts + len(more), self._characters + size
        return True


_BLANKS = " \u00a0\u202f"
_CHARACTERS = {"i": f"0123456789+-{_BLANKS}", "n": f"0123456789+-.,'eE{_BLANKS}", "b": f"01truefalsTRUEFALS{_BLANKS}"}


def unlike(word: str, cells: Sequence[str]) -> int | None:
    """The place of a cell that is not of its column's word in shapes; None: there is none. Only the characters are
    looked at, all at once: what they come to together is for whoever reads them."""
    allowed = _CHARACTERS.get(word)
    if allowed is None or not "".join(cells).strip(allowed):
        return None
    return next(place for place, cell in enumerate(cells) if cell.strip(allowed))


class Outside(Exception):
    """The record has no time of its own, so that it is in no period."""


def judged_columns(records: Records) -> list[str]:
    """Columns without which no row can be judged."""
    paths = (records.account, *records.time.paths, records.time.length_path)
    return [path[0] for path in paths if path]


def timed_columns(time: RecordTime) -> list[str]:
    return [path[0] for path in (*time.paths, time.length_path) if path]


class RowTimes:
    """Verdicts about the own time of rows, for one window."""

    def __init__(self, time: RecordTime, zone: str, window: Window) -> None:
        self.columns = timed_columns(time)
        self._own = own_time(time, zone)
        self._agreed = (_overlaps if time.how == "state" else _within)(window)
        self._has_reach = time.how != "state"
        self._room = Room()
        self._inside: dict[Key, bool] = {}
        self._spans: dict[Key, Any] = {}  # of those that are inside
        self._unreadable: set[Key] = set()

    def keys(self, columns: Sequence[Sequence[str]]) -> Sequence[Key]:
        """What a row is judged by, for each row."""
        return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))

    def verdicts(self, keys: Sequence[Key]) -> tuple[list[bool], set[Key]]:
        """For each row whether it is inside; and the keys that are no time at all."""
        known, distinct = self._inside, set(keys)
        if not self._room.has(distinct.difference(known)):
            known.clear()
            self._spans.clear()
            self._unreadable.clear()
            self._room.has(distinct)
        for key in distinct.difference(known):
            try:
                span = self._own(key)
            except Outside:
                known[key] = False
            except (ValueError, OverflowError):
                known[key] = False
                self._unreadable.add(key)
            else:
                known[key] = agreed = self._agreed(*span)
                if agreed:
                    self._spans[key] = span
        return list(map(known.__getitem__, keys)), distinct & self._unreadable

    def spans(self, columns: Sequence[Sequence[str]]) -> list[Span] | None:
        """Of each row of a block that was judged, where it is inside (else any). None: they have none of their own."""
        if not columns or not self._has_reach:
            return None
        return [self._spans.get(key, _NOWHEN) for key in self.keys(columns)]

    def reach(self, keys: Iterable[Key]) -> Span | None:
        """The earliest start and the latest end of rows that are inside; None for states."""
        found = list(map(self._spans.__getitem__, set(keys))) if self._has_reach else []
        return (min(found)[0], max(map(_END, found))) if found else None


_END = itemgetter(1)
_NOWHEN = (datetime.min, datetime.min)
Agreed = Callable[[Any, Any], bool]


def _within(window: Window) -> Agreed:
    low, high = window.start, window.end

    def agreed(start: datetime, end: datetime) -> bool:
        return (low is None or start >= low) and (high is None or (end <= high and start < high))

    return agreed


def _overlaps(window: Window) -> Agreed:
    low, high = window.start, window.end

    def agreed(start: datetime | None, end: datetime | None) -> bool:
        late = high is not None and start is not None and start >= high
        early = low is not None and end is not None and end <= low
        return not (late or early)

    return agreed


# ---- the forms of a record's own time: functions of a key, which raise Outside, ValueError or OverflowError


def own_time(time: RecordTime, zone: str) -> Callable[[Key], Any]:
    own = _own_time(time, zone)
    return _leniently(own) if time.lenient else own


def _leniently(own: Callable[[Key], Any]) -> Callable[[Key], Any]:
    def lenient(key: Key) -> Any:
        try:
            return own(key)
        except (ValueError, OverflowError):
            raise Outside from None

    return lenient


def _own_time(time: RecordTime, zone: str) -> Callable[[Key], Any]:
    if time.how == "state":
        return _state(time, zone)
    read = _HOW.get(time.how, _instant)(time, zone)
    if time.length or time.length_path:
        return _lasting(time, read)
    if time.how == "instant" and len(time.paths) == 1 and not time.empty:
        return _alone(time, zone)
    return lambda key: read(_said(time, _texts(key)))


def _alone(time: RecordTime, zone: str) -> Callable[[str], Span]:
    """The commonest form, which may have another text in each row."""
    read = stamps.stamp_once(time.written)

    def instant(text: str) -> Span:
        text = text.strip()
        if not text:
            raise Outside
        return read(text, zone)

    return instant


def _said(time: RecordTime, texts: Texts) -> Texts:
    """The texts of a record's time; of an instant the first that says something. Raises Outside where there is none."""
    found = tuple(_plain(time, text) for text in texts[: len(time.paths)])
    if time.how == "instant":
        found = (next(filter(None, found), ""),)
    if "" in found:
        raise Outside
    return found


def _plain(time: RecordTime, text: str) -> str:
    text = text.strip()
    return "" if text in time.empty else text


def _state(time: RecordTime, zone: str) -> Callable[[Key], Any]:
    """From the first text to the second; open where there is none. One that ends before it begins is not given."""
    read = stamps.stamp_once(time.written)

    def state(key: Key) -> Any:
        first, *more = (_plain(time, text) for text in _texts(key))
        end = more[0] if more else ""
        span = (read(first, zone)[0] if first else None), (read(end, zone)[1] if end else None)
        if span[0] is not None and span[1] is not None and span[1] < span[0]:
            raise Outside
        return span

    return state


def _lasting(time: RecordTime, read: Callable[[Texts], Span]) -> Callable[[Key], Span]:
    count, fixed = len(time.paths), str(time.length)

    def lasting(key: Key) -> Span:
        texts = _texts(key)
        start, end = read(_said(time, texts))
        lasting = texts[count].strip() if time.length_path else fixed
        if not lasting:
            raise Outside
        lasts = stamps.length(lasting)
        return (start - lasts, end) if time.ends else (start, max(end, start + lasts))

    return lasting


def _texts(key: Key) -> Texts:
    return (key,) if isinstance(key, str) else key


def _instant(time: RecordTime, zone: str) -> Callable[[Texts], Span]:
    read = stamps.stamp_once(time.written)
    return lambda texts: read(texts[0], zone)


def _span(time: RecordTime, zone: str) -> Callable[[Texts], Span]:
    if len(time.paths) == 1:
        return _instant(time, zone)
    read = stamps.stamp_once(time.written)

    def span(texts: Texts) -> Span:
        start, end = read(texts[0], zone)[0], read(texts[1], zone)[1]
        if end < start:
            raise ValueError("it ends before it starts")
        return start, end

    return span


def _parts(time: RecordTime, zone: str) -> Callable[[Texts], Span]:
    return lambda texts: stamps.of_parts(texts, time.months_from, zone)


_HOW: Mapping[str, Callable[[RecordTime, str], Callable[[Texts], Span]]] = {"span": _span, "parts": _parts}
