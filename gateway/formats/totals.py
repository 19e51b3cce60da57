"""Answers over records: totals of local days, of months or of all, made of the records of one answer in the proxy.

Arithmetic is exact, on decimals as they were written. A record counts in the unit in which it begins.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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
class _Unit:
    """The records of one unit of time, in the order of their times."""

    values: list[tuple[datetime, Decimal]] = field(default_factory=list)
    count: int = 0


def answers(
    how: OverRecords, rows: Sequence[Row], window: Window, zone_name: str, where: str
) -> list[dict[str, Value]]:
    """By time; for "all" always one. Raises UnknownShape for a record that the answer would be wrong with: without a
    number, or longer than a unit."""
    found: dict[datetime, _Unit] = {}
    for place, (start, finish, text) in enumerate(rows):
        if how.per in _LONGEST and finish - start > _LONGEST[how.per]:
            raise UnknownShape(f"{where}[{place}]")
        key = _ALL if how.per == "all" else units.begin(start, how.per, zone_name)
        unit = found.setdefault(key, _Unit())
        unit.count += 1
        if how.of:
            value = None if text is None else number(text)
            if value is None:
                raise UnknownShape(f"{where}[{place}].{'.'.join(how.of)}")
            unit.values.append((start, value))
    if how.per == "all":
        return [_told(how, found.get(_ALL, _Unit()), window, zone_name)]
    return [
        _told(how, unit, Window(start, units.end(start, how.per, zone_name)), zone_name)
        for start, unit in sorted(found.items())
    ]


def _told(how: OverRecords, unit: _Unit, period: Window, zone_name: str) -> dict[str, Value]:
    """Every member that the answer may have. `first` and its like are not there where no record is."""
    told: dict[str, Value] = {"count": unit.count}
    for name, edge in (("from", period.start), ("to", period.end)):
        if edge is not None:
            told[name] = edge.astimezone(zone(zone_name)).isoformat(timespec="seconds")
    numbers = _numbers(unit) if how.of else {}
    told |= {name: _text(value) for name, value in numbers.items()}
    if how.at_least:
        compared = Decimal(unit.count) if how.by == "count" else numbers.get(how.by)
        told["yes"] = compared is not None and compared >= Decimal(how.at_least)
    return told


def _numbers(unit: _Unit) -> dict[str, Decimal]:
    values = [value for _, value in unit.values]
    total = _sum(values)
    if not values:
        return {"sum": total}
    in_time = [value for _, value in sorted(unit.values, key=lambda each: each[0])]  # of equal times as they stand
    return {"sum": total, "first": in_time[0], "last": in_time[-1], "min": min(values), "max": max(values)}


def _sum(values: Iterable[Decimal]) -> Decimal:
    total = _ZERO
    for value in values:
        total = _EXACT.add(total, value)
    return total


def _text(value: Decimal) -> str:
    return written(*whole(value))
