"""Who is too young to agree alone (GDPR art. 8): one rule, on the calendar day of the gateway's zone."""

from datetime import date, datetime, timedelta

from gateway.ground.calendar.instants import local_day, midnight
from gateway.settings import Settings


def age(born: date, today: date) -> int:
    """Whole years. A birthday on 29 February is on 1 March in years without that day."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def is_minor(born: date | None, today: date, majority_age: int) -> bool:
    """Whether the person is known to be under age. False without a birth date."""
    return born is not None and age(born, today) < majority_age


def comes_of_age(born: date, settings: Settings) -> datetime:
    """When a person born on this day is no longer under age: midnight of that birthday in the gateway's time zone."""
    year = born.year + settings.majority_age
    try:
        day = born.replace(year=year)
    except ValueError:  # born on 29 February
        day = date(year, 2, 28) + timedelta(days=1)
    return midnight(day, settings.zone)


def minor_now(born: date | None, now: datetime, settings: Settings) -> bool:
    return is_minor(born, local_day(now, settings.zone), settings.majority_age)
