"""Answers over records: totals of local days, of months or of all, made in the proxy of the records of all pages.

Arithmetic is exact, on decimals as they were written. A record counts in the unit in which it begins. What is kept of a
record is what it adds to its unit, so that memory is flat however many there are.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Context, Decimal, Inexact, InvalidOperation

from gateway.catalogue.made import OverRecords
from gateway.formats import units
from gateway.formats.coarser import DIGITS, number, whole, written
from gateway.formats.model import UnknownShape
from gateway.ground.calendar.instants import Window, zone

_EXACT = Context(prec=3 * DIGITS + 20, traps=[Inexact, InvalidOperation])  # more than any sum of an answer needs
_LONGEST = {"day": timedelta(hours=25), "month": timedelta(days=32)}
_ZERO = Decimal(0)
_ALL = datetime.min  # in place of the start of a unit
Value = str | int | bool  # a decimal as text
Cell = tuple[str, str | bool, bool]  # member, value, and whether its text is a number and no string
Row = tuple[datetime, datetime, str | None]  # start and end of a record, and its value as it was written


@dataclass(slots=True)
class _Numbers:
    """What the values of one unit come to."""

    sum: Decimal
    min: Decimal
    max: Decimal
    first: tuple[datetime, Decimal]  # of equal times the one that stood first
    last: tuple[datetime, Decimal]  # and the one that stood last

    @classmethod
    def of(cls, at: datetime, value: Decimal) -> "_Numbers":
        return cls(_EXACT.add(_ZERO, value), value, value, (at, value), (at, value))

    def add(self, at: datetime, value: Decimal) -> None:
        self.sum = _EXACT.add(self.sum, value)
        self.min, self.max = min(self.min, value), max(self.max, value)
        if at < self.first[0]:
            self.first = at, value
        if at >= self.last[0]:
            self.last = at, value

    def told(self) -> dict[str, Decimal]:
        return {"sum": self.sum, "first": self.first[1], "last": self.last[1], "min": self.min, "max": self.max}


@dataclass(slots=True)
class _Unit:
    count: int = 0
    numbers: _Numbers | None = None


class Totals:
    """Of the records of one answer, in as many parts as it has. `where` their list stands."""

    def __init__(self, how: OverRecords, zone_name: str, where: str) -> None:
        self._how, self._zone, self._where = how, zone_name, where
        self._units: dict[datetime, _Unit] = {}

    def add(self, rows: Iterable[Row]) -> None:
        """Raises UnknownShape for a record that the answer would be wrong with: without a number, or longer than a
        unit."""
        how, longest = self._how, _LONGEST.get(self._how.per)
        for place, (start, finish, text) in enumerate(rows):
            if longest is not None and finish - start > longest:
                raise UnknownShape(f"{self._where}[{place}]")
            key = _ALL if how.per == "all" else units.begin(start, how.per, self._zone)
            unit = self._units.setdefault(key, _Unit())
            unit.count += 1
            if how.of:
                value = None if text is None else number(text)
                if value is None:
                    raise UnknownShape(f"{self._where}[{place}].{'.'.join(how.of)}")
                if unit.numbers is None:
                    unit.numbers = _Numbers.of(start, value)
                else:
                    unit.numbers.add(start, value)

    def told(self, period: Window) -> list[dict[str, Value]]:
        """By time, each with every member that it may have; for "all" always one. `first` and its like are not there
        where no record is."""
        how = self._how
        if how.per == "all":
            return [self._told(self._units.get(_ALL, _Unit()), period)]
        return [
            self._told(unit, Window(start, units.end(start, how.per, self._zone)))
            for start, unit in sorted(self._units.items())
        ]

    def _told(self, unit: _Unit, period: Window) -> dict[str, Value]:
        how = self._how
        told: dict[str, Value] = {"count": unit.count}
        for name, edge in (("from", period.start), ("to", period.end)):
            if edge is not None:
                told[name] = edge.astimezone(zone(self._zone)).isoformat(timespec="seconds")
        numbers = unit.numbers.told() if unit.numbers is not None else {"sum": _ZERO} if how.of else {}
        told |= {name: written(*whole(value)) for name, value in numbers.items()}
        if how.at_least:
            compared = Decimal(unit.count) if how.by == "count" else numbers.get(how.by)
            told["yes"] = compared is not None and compared >= Decimal(how.at_least)
        return told
