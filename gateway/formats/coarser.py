"""What a field gives in place of an exact value (`catalogue.made`): a function of the value's exact text for each word.

Numbers are decimals of any length, worked on as whole numbers: nothing is rounded that a word does not round. What is
made depends on the value alone and not on how it was written (48.8 and 48.80 become the same). A value of which nothing
can be made is not given.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from gateway.catalogue.made import NUMBERS, UNITS, Made
from gateway.formats.model import Source
from gateway.formats.names import AccountNames
from gateway.formats.stamps import stamp
from gateway.ground.calendar.instants import zone

Make = Callable[[str], str | None]  # the exact text of one value → what is given; None: nothing
DIGITS = 100  # of a number, and places of its exponent
PSEUDONYM = 12  # bytes: enough that no two values of one person have the same
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_LENGTHS = (10, 7, 4)  # characters of a day, a month and a year in ISO 8601
Whole = tuple[int, int]  # a number as coefficient and how many of its digits are decimals


def number(text: str) -> Decimal | None:
    """The exact number; None: it is none, or has more digits than any that is meant."""
    if len(text) > DIGITS + 8 or not _NUMBER.fullmatch(text):
        return None
    found = Decimal(text)
    _, digits, exponent = found.as_tuple()
    assert isinstance(exponent, int), "no number has another"
    return found if len(digits) <= DIGITS and -DIGITS <= exponent <= DIGITS else None


def whole(value: Decimal, decimals: int = 0) -> Whole:
    """The number times a power of ten that makes it a whole one, of at least so many decimals."""
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), "no number has another"
    places = max(decimals, -exponent)
    coefficient = int("".join(map(str, digits))) * 10 ** (places + exponent)
    return -coefficient if sign else coefficient, places


def written(coefficient: int, decimals: int) -> str:
    """As plain decimal text with so many decimals; nothing is ever -0."""
    digits = str(abs(coefficient)).rjust(decimals + 1, "0")
    text = f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits
    return f"-{text}" if coefficient < 0 else text


def _round(how: Made) -> Make:
    step = Decimal(how.by)
    decimals = whole(step)[1]

    def make(text: str) -> str | None:
        value = number(text)
        if value is None:
            return None
        exact, places = whole(value, decimals)
        by = whole(step, places)[0]
        nearest = (2 * abs(exact) + by) // (2 * by) * by // 10 ** (places - decimals)
        return written(-nearest if exact < 0 else nearest, decimals)

    return make


def _cut(how: Made) -> Make:
    decimals = int(how.by)

    def make(text: str) -> str | None:
        value = number(text)
        if value is None:
            return None
        exact, places = whole(value, decimals)
        left = abs(exact) // 10 ** (places - decimals)
        return written(-left if exact < 0 else left, decimals)

    return make


def _band(how: Made) -> Make:
    bounds = [Decimal(each) for each in how.bounds]
    names = [f"..{how.bounds[0]}", *(f"{low}..{high}" for low, high in zip(how.bounds, how.bounds[1:], strict=False))]
    names.append(f"{how.bounds[-1]}..")

    def make(text: str) -> str | None:
        value = number(text)
        return None if value is None else names[bisect_right(bounds, value)]  # comparing decimals is exact

    return make


def _keep(how: Made) -> Make:
    most = int(how.by)
    return lambda text: text[:most]


def _plain(make: Make) -> Make:
    """The same of a number, however it was written (1e3)."""

    def of_number(text: str) -> str | None:
        value = number(text)
        return None if value is None else make(written(*whole(value)))

    return of_number


def _date(how: Made, zone_name: str, stamped: str) -> Make:
    read, place, least = stamp(how.written or stamped), zone(zone_name), UNITS.index(how.by)

    def make(text: str) -> str | None:
        try:
            start, end = read(text, zone_name)
        except (ValueError, OverflowError):
            return None
        local = _local(start, place)
        own = 2 if (end - start).days > 31 else 1 if (end - start).days > 1 else 0  # of what it says itself
        return local.date().isoformat()[: _LENGTHS[max(least, own)]]

    return make


def _local(moment: datetime, place: ZoneInfo) -> datetime:
    try:
        return moment.astimezone(place)
    except OverflowError:  # where the calendar ends
        return moment


def _pseudonym(source: Source, pair: str) -> Make:
    """Of a key that leaves no gateway, for one app and one person; nobody, the gateway included, reads it back."""

    def make(text: str) -> str | None:
        sealed = source.sealer.seal(text, "pseudonym", source.organisation, pair)
        return hashlib.sha256(sealed.encode()).hexdigest()[: 2 * PSEUDONYM]

    return make


NUMERIC = ("n", "i")  # words of shapes
_OF_NUMBERS: Mapping[str, Callable[[Made], Make]] = {"round": _round, "cut": _cut, "band": _band}


def maker(how: Made, word: str, stamped: str, source: Source, names: AccountNames, pair: str) -> Make:
    """The function for members of one word of shapes. `stamped`: how a time is written there. `pair` names app and
    person. "yes" has none: what stands there does not matter.

    No part of an account's own number is left by cutting a text in which it stands.
    """
    if how.word == "date":
        return _date(how, source.zone, stamped)
    if how.word == "pseudonym":
        return _pseudonym(source, pair)
    if how.word == "keep":
        kept = _keep(how)
        return _named(_plain(kept) if word in NUMERIC else kept, names)
    make = _OF_NUMBERS[how.word](how)
    return make if word in (*NUMERIC, "d") else _named(make, names)  # an amount is no identifier


def _named(make: Make, names: AccountNames) -> Make:
    return lambda text: make(names.outward_text(text))


def stays_number(how: Made) -> bool:
    """Whether what is made of a number is a number."""
    return how.word in NUMBERS
