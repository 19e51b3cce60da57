"""Hourly electricity of the people's homes: readings, costs and monthly statements, before they take a format.

A reading is one clock hour. A day of the meter is a calendar day of Europe/Paris, so the nights when the clocks change
have 23 or 25 readings. Money is in hundred-thousandths of a euro, as ESPI counts it.
"""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from examples.data.people import PEOPLE, Home, Person, months_back, opaque

ZONE = ZoneInfo("Europe/Paris")
MONTHS = 13
HOUR = 3600
VALID, ESTIMATED, MIXED = 0, 9, 13  # ESPI QualityOfReading: valid; estimated by interpolation; some of each
PEAK, OFF_PEAK, FLAT = 27, 21, 25  # 10^-5 EUR per Wh
STANDING_CHARGE = 1_244_000  # a month, 10^-5 EUR
TAX_PERCENT = 20

# Parts of a thousand of a day's use, hour by hour: people at home, and a water heater that waits for the night tariff.
_LIVING = (18, 15, 14, 14, 15, 22, 45, 62, 52, 38, 34, 38, 55, 46, 34, 32, 36, 50, 72, 88, 82, 64, 44, 30)
_HEATER = (60, 150, 170, 160, 120, 60, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 90, 180)


class Reading(NamedTuple):
    start: int  # epoch seconds
    wh: int
    cost: int
    quality: int


class Statement(NamedTuple):
    """One closed calendar month of one usage point."""

    month: date  # its first day
    start: int
    end: int
    wh: int
    energy: int  # 10^-5 EUR, before charge and tax
    tax: int
    last_day_wh: int
    last_day_a_year_ago_wh: int

    @property
    def amount(self) -> int:
        return self.energy + STANDING_CHARGE + self.tax


@dataclass(frozen=True, slots=True)
class Point:
    """A usage point. `id` says nothing about place or person."""

    id: str
    person: Person
    home: Home
    agreement: str


POINTS: dict[str, tuple[Point, ...]] = {
    person.energy: tuple(
        Point(opaque("usage point", person.energy, str(n)), person, home, "CA-" + opaque("agreement", person.energy))
        for n, home in enumerate(person.homes)
    )
    for person in PEOPLE
}


def midnight(day: date) -> int:
    return int(datetime.combine(day, time(), ZONE).timestamp())


@lru_cache(maxsize=8192)
def day_readings(point: Point, day: date) -> tuple[Reading, ...]:
    rng = random.Random(f"city-energy/{point.id}/{day.isoformat()}")
    total = _day_wh(point.home, day) * rng.uniform(0.82, 1.18)
    return tuple(_reading(point.home, start, total, rng) for start in range(midnight(day), midnight(_next(day)), HOUR))


def months(today: date) -> list[date]:
    """First days of the months that the history covers, oldest first; the last may be begun only."""
    first = [months_back(today, back) for back in range(MONTHS, -1, -1)]
    return [month for month in first if month < today]


def month_readings(point: Point, month: date, today: date) -> Iterator[Reading]:
    """All readings of a month up to the end of yesterday."""
    day, end = month, min(_next_month(month), today)
    while day < end:
        yield from day_readings(point, day)
        day = _next(day)


@lru_cache(maxsize=512)
def statement(point: Point, month: date) -> Statement:
    end = _next_month(month)
    readings = list(month_readings(point, month, end))
    energy = sum(r.cost for r in readings)
    last = end - timedelta(days=1)
    return Statement(
        month=month,
        start=midnight(month),
        end=midnight(end),
        wh=sum(r.wh for r in readings),
        energy=energy,
        tax=(energy + STANDING_CHARGE) * TAX_PERCENT // 100,
        last_day_wh=sum(r.wh for r in day_readings(point, last)),
        last_day_a_year_ago_wh=sum(r.wh for r in day_readings(point, last - timedelta(days=365))),
    )


def statements(point: Point, today: date) -> list[Statement]:
    return [statement(point, month) for month in months(today) if _next_month(month) <= today]


def _day_wh(home: Home, day: date) -> float:
    """A year's use spread over its days: a steady part, and a part that follows the cold from November to April."""
    cold = max(0.0, math.cos(2 * math.pi * (day.timetuple().tm_yday - 20) / 365))
    weekend = 1.12 if day.weekday() >= 5 else 0.95
    return home.kwh * 1000 / 365 * ((1 - home.heating) * weekend + home.heating * math.pi * cold)


def _reading(home: Home, start: int, total: float, rng: random.Random) -> Reading:
    hour = datetime.fromtimestamp(start, ZONE).hour
    shape = _LIVING[hour] if not home.night_tariff else 0.7 * _LIVING[hour] + 0.3 * _HEATER[hour]
    wh = max(1, round(total * shape / 1000 * rng.uniform(0.7, 1.3)))
    quality = ESTIMATED if rng.random() < 0.004 else VALID
    return Reading(start, wh, wh * _price(home, hour), quality)


def _price(home: Home, hour: int) -> int:
    if not home.night_tariff:
        return FLAT
    return OFF_PEAK if hour >= 22 or hour < 6 else PEAK


def _next(day: date) -> date:
    return day + timedelta(days=1)


def _next_month(month: date) -> date:
    return months_back(month, -1)
