"""Calendar windows, days of 23 and 25 hours among them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.ground.calendar.windows import window

PARIS = "Europe/Paris"


def epoch(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(PARIS)).timestamp())


@pytest.mark.parametrize(
    ("per", "at", "start", "end"),
    [
        ("hour", "2026-11-23T10:59:59", "2026-11-23T10:00", "2026-11-23T11:00"),
        ("day", "2026-11-23T00:00:00", "2026-11-23T00:00", "2026-11-24T00:00"),
        ("week", "2026-11-29T23:59:59", "2026-11-23T00:00", "2026-11-30T00:00"),
        ("month", "2026-12-31T12:00:00", "2026-12-01T00:00", "2027-01-01T00:00"),
        ("month", "2028-02-29T12:00:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("year", "2026-06-01T12:00:00", "2026-01-01T00:00", "2027-01-01T00:00"),
        ("day", "2026-03-29T12:00:00", "2026-03-29T00:00", "2026-03-30T00:00"),
        ("day", "2026-10-25T12:00:00", "2026-10-25T00:00", "2026-10-26T00:00"),
    ],
)
def test_a_window_begins_and_ends_by_the_local_calendar(per: str, at: str, start: str, end: str) -> None:
    found = window(per, PARIS, datetime.fromisoformat(at).replace(tzinfo=ZoneInfo(PARIS)))
    assert (found.start, found.end) == (epoch(start), epoch(end))


def test_the_days_on_which_clocks_change_are_one_window_each() -> None:
    spring = window("day", PARIS, datetime(2026, 3, 29, 12, tzinfo=UTC))
    autumn = window("day", PARIS, datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert (spring.end - spring.start, autumn.end - autumn.start) == (23 * 3600, 25 * 3600)


def test_the_hour_that_a_clock_shows_twice_is_one_window() -> None:
    first = window("hour", PARIS, datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    second = window("hour", PARIS, datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    assert first == second and first.end - first.start == 2 * 3600


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(["hour", "day", "week", "month", "year"]),
    st.sampled_from(["UTC", PARIS, "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Asia/Kathmandu"]),
)
def test_windows_cover_time_without_gap_or_overlap(at: datetime, per: str, zone: str) -> None:
    found = window(per, zone, at)
    assert found.holds(at.timestamp())
    following = window(per, zone, datetime.fromtimestamp(found.end, UTC))
    before = window(per, zone, datetime.fromtimestamp(found.start, UTC) - timedelta(seconds=1))
    assert following.start == found.end and before.end == found.start


def test_another_word_is_no_window() -> None:
    with pytest.raises(ValueError, match="fortnight"):
        window("fortnight", PARIS, datetime.now(UTC))
