"""How times are written: numbers of seconds before 1970, and dates where the calendar ends."""

import pytest

from gateway.formats import stamps

PARIS, NEW_YORK = "Europe/Paris", "America/New_York"


@pytest.mark.parametrize(
    ("word", "text", "moment"),
    [
        ("epoch-s", "-1.5", "1969-12-31T23:59:58.500000"),
        ("epoch-s", "-0.5", "1969-12-31T23:59:59.500000"),
        ("epoch-s", "-0.000000001", "1969-12-31T23:59:59.999999"),
        ("epoch-s", "-0", "1970-01-01T00:00:00"),
        ("epoch-s", "0.5", "1970-01-01T00:00:00.500000"),
        ("epoch-s", "1.999999999", "1970-01-01T00:00:01.999999"),
        ("epoch-s", "1790000000.25", "2026-09-21T14:13:20.250000"),
        ("epoch-ms", "-1500.5", "1969-12-31T23:59:58.499500"),
        ("epoch-ms", "1500.5", "1970-01-01T00:00:01.500500"),
    ],
)
def test_decimals_of_seconds_lead_away_from_1970_on_both_sides(word: str, text: str, moment: str) -> None:
    start, end = stamps.stamp(word)(text, PARIS)
    assert start == end and start.isoformat().removesuffix("+00:00") == moment


@pytest.mark.parametrize("text", ["1" * 17, "-" + "1" * 17])
def test_seconds_beyond_the_calendar_are_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="beyond the calendar"):
        stamps.stamp("epoch-s")(text, PARIS)
