"""Who is too young to agree alone (GDPR art. 8): one rule, on the calendar day of the gateway's zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from gateway.settings import Settings


def age(born: date, today: date) -> int:
    """Whole years. Whoever was born on 29 February has her birthday on 1 March in other years."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def is_minor(born: date | None, today: date, majority_age: int) -> bool:
    """Known to be under age. Without a birth date nobody is taken for a child."""
    return born is not None and age(born, today) < majority_age


def comes_of_age(born: date, settings: Settings) -> datetime:
    """The first instant at which she is no longer under age: midnight of that birthday in the gateway's zone."""
    year = born.year + settings.majority_age
    try:
        day = born.replace(year=year)
    except ValueError:  # born on 29 February
        day = date(year, 2, 28) + timedelta(days=1)
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(settings.zone)).astimezone(UTC)


def minor_now(born: date | None, now: datetime, settings: Settings) -> bool:
    return is_minor(born, now.astimezone(ZoneInfo(settings.zone)).date(), settings.majority_age)
