"""How times are written: a record's own time, and the edges of a period in a call. A function for each closed word.

Everything becomes UTC. A time without offset is local time of the organisation's zone; a date without time is the whole
local day, a month the whole month.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from gateway.ground.calendar.instants import Span, instant, local_text, midnight, span, utc_text, zone

Stamp = Callable[[Any, str], Span]  # value as it was decoded, zone → the span it covers; raises ValueError

_TOKENS = {"yyyy": "(?P<year>[0-9]{4})", "mm": "(?P<month>[0-9]{1,2})", "dd": "(?P<day>[0-9]{1,2})",
           "HH": "(?P<hour>[0-9]{1,2})", "MM": "(?P<minute>[0-9]{2})", "SS": "(?P<second>[0-9]{2})"}  # fmt: skip
_LENGTH = re.compile(r"P(?:([0-9]{1,3})D)?(?:T(?:([0-9]{1,4})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,8})S)?)?")
_WHOLE = re.compile(r"-?[0-9]{1,17}(?:\.[0-9]{1,9})?")

_FIRST, _LAST = (each.replace(tzinfo=UTC) for each in (datetime.min, datetime.max))
# dates at the ends of the calendar, written for "always" and "for ever" → the other edge of what they cover
_ALWAYS = {"0001": "0002-01-01", "0001-01": "0001-02-01", "0001-01-01": "0001-01-02"}
_FOR_EVER = {"9999": "9999-01-01", "9999-12": "9999-12-01", "9999-12-31": "9999-12-31T00:00"}


def text_of(value: Any) -> str:
    """A scalar as it is written: a string, a whole number, or a number that is kept as text. Raises ValueError."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    try:
        text = bytes(value).decode()
    except TypeError:
        raise ValueError("no text and no number") from None
    return str(json.loads(text)) if text[:1] == '"' else text


def _iso_once(text: str, zone_name: str) -> Span:
    return _covered(text.replace(" ", "T", 1), zone_name)


def _covered(text: str, zone_name: str) -> Span:
    """The span of a date or date-time in ISO 8601; open where the calendar ends. Raises ValueError."""
    if text in _FOR_EVER:
        return span(_FOR_EVER[text], zone_name)[0], _LAST
    if text in _ALWAYS:
        return _FIRST, span(_ALWAYS[text], zone_name)[0]
    try:
        return span(text, zone_name)
    except OverflowError:  # a moment so near to an end that it is beyond it in UTC
        moment = _LAST if text.startswith("9999") else _FIRST
        return moment, moment


_iso = lru_cache(maxsize=8192)(_iso_once)


def iso(value: Any, zone_name: str) -> Span:
    """ISO 8601: a date-time (seconds may be left out), a day, a month or a year."""
    return _iso(value if type(value) is str else text_of(value), zone_name)


def _epoch(of: int) -> Stamp:
    def read(value: Any, _zone: str) -> Span:
        text = text_of(value)
        if not _WHOLE.fullmatch(text):
            raise ValueError("not a number of seconds")
        whole, _, part = text.partition(".")
        billionths = int(whole + part.ljust(9, "0"))
        try:
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=billionths // (1000 * of))
        except OverflowError:
            raise ValueError("beyond the calendar") from None
        return moment, moment

    return read


def _written(word: str) -> Stamp:
    """A word as "dd/mm/yyyy HH:MM". Without hours it is a whole day, without a day a whole month."""
    form, rest = "", word
    exact = "yyyymm" in word or "ddmm" in word  # no mark between: the parts have their full length
    while rest:
        token = next((each for each in _TOKENS if rest.startswith(each)), "")
        part = _TOKENS.get(token, re.escape(rest[:1]))
        form += part.replace("{1,2}", "{2}") if exact else part
        rest = rest[len(token) or 1 :]
    compiled = re.compile(form)

    @lru_cache(maxsize=4096)
    def read_text(text: str, zone_name: str) -> Span:
        found = compiled.fullmatch(text)
        if found is None:
            raise ValueError(f"not written as {word}")
        parts = {name: int(number) for name, number in found.groupdict().items()}
        iso = f"{parts['year']:04}-{parts['month']:02}"
        if "day" in parts:
            iso += f"-{parts['day']:02}"
        if "hour" in parts:
            iso += f"T{parts['hour']:02}:{parts['minute']:02}:{parts.get('second', 0):02}"
        return _covered(iso, zone_name)

    return lambda value, zone_name: read_text(text_of(value), zone_name)


_OTHERS: Mapping[str, Stamp] = {"iso": iso, "epoch-s": _epoch(1), "epoch-ms": _epoch(1000)}


@lru_cache(maxsize=64)
def stamp(word: str) -> Stamp:
    """The function that reads a time written so (`catalogue.formats.STAMPS`)."""
    return _OTHERS.get(word) or _written(word)


def stamp_once(word: str) -> Stamp:
    """The same for texts only, and for those who remember what they have asked."""
    return _iso_once if word == "iso" else stamp(word)


def of_parts(values: tuple[Any, ...], months_from: int, zone_name: str) -> Span:
    """A year, a month or a day, of numbers that stand in members of their own. Raises ValueError."""
    numbers = [int(text_of(value)) for value in values]
    if len(numbers) > 1:
        numbers[1] += 1 - months_from
    if not (1 <= numbers[0] <= 9999 and all(0 < number < 32 for number in numbers[1:])):
        raise ValueError("no day of the calendar")
    return _covered("-".join(f"{number:0{4 if place == 0 else 2}}" for place, number in enumerate(numbers)), zone_name)


def length(value: Any) -> timedelta:
    """Of an interval: seconds, or an ISO 8601 duration without months (PT30M). Raises ValueError."""
    text = text_of(value)
    if text.isascii() and text.isdigit() and len(text) < 9:
        return timedelta(seconds=int(text))
    found = _LENGTH.fullmatch(text)
    if found is None or not any(found.groups()):
        raise ValueError("no length of time")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


# ---- the edges of a period, in the query of a call


def _local(text: str, zone_name: str) -> datetime:
    """As the organisation reads it: local time, ignoring any offset."""
    text = f"{text}T00:00:00" if len(text) == 10 else text
    instant(text, zone_name)  # raises ValueError if it is not a date-time
    return datetime.fromisoformat(text).replace(tzinfo=zone(zone_name))


def _day(text: str, zone_name: str) -> datetime:
    return midnight(date.fromisoformat(text), zone_name)


def _month(text: str, zone_name: str) -> datetime:
    return midnight(date.fromisoformat(f"{text}-01"), zone_name)


def _seconds(of: int) -> Callable[[str, str], datetime]:
    return lambda text, zone_name: _epoch(of)(text, zone_name)[0]


READ: Mapping[str, Callable[[str, str], datetime]] = {
    "local-datetime": _local,
    "rfc3339": lambda text, zone_name: span(text, zone_name)[0],
    "date": _day,
    "month": _month,
    "epoch-s": _seconds(1),
    "epoch-ms": _seconds(1000),
}


def read_edge(text: str, written: str, zone_name: str, *, included: bool = False) -> datetime:
    """A parameter of an app's call as an instant. `included`: of a day or month, its end. Raises ValueError."""
    moment = READ[written](text, zone_name)
    if not included or written not in ("date", "month"):
        return moment
    return span(text, zone_name)[1]


def write_edge(moment: datetime, written: str, zone_name: str, *, is_end: bool, included: bool = False) -> str:
    """The same for the organisation. A period never becomes shorter by being written: a day or month that the window
    cuts is asked for whole, and the answer is cut to the window."""
    if written in ("date", "month"):
        return _calendar(moment, written, zone_name, is_end=is_end, included=included)
    moment = _whole_second(moment, is_end=is_end)
    if written == "rfc3339":
        return utc_text(moment)
    if written == "local-datetime":
        return local_text(moment, zone_name, is_end=is_end)
    return str(int(moment.timestamp()) * (1000 if written == "epoch-ms" else 1))


def _whole_second(moment: datetime, *, is_end: bool) -> datetime:
    """The second that it lies in; of an end the one after it."""
    whole = moment.replace(microsecond=0)
    try:
        return whole + timedelta(seconds=1) if is_end and whole < moment else whole
    except OverflowError:
        return whole


def _calendar(moment: datetime, written: str, zone_name: str, *, is_end: bool, included: bool) -> str:
    local = moment.astimezone(zone(zone_name))
    day = local.date()
    if written == "month":
        day = day.replace(day=1)
    begins = midnight(day, zone_name) == moment
    if is_end and included and begins:
        day -= timedelta(days=1)  # the day or month before is the last that counts
    elif is_end and not included and not begins:
        day = (
            span(day.isoformat() if written == "date" else f"{day:%Y-%m}", zone_name)[1]
            .astimezone(zone(zone_name))
            .date()
        )
    return f"{day:%Y-%m}" if written == "month" else day.isoformat()
