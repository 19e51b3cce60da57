"""How times are written: numbers of seconds before 1970, and dates where the calendar ends."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.catalogue.made import Made
from gateway.formats import coarser, stamps
from tests.formats.flat_calls import DRIVERS, FIELDS, cut, document, exact, one, planned, records_of

PARIS, NEW_YORK = "Europe/Paris", "America/New_York"
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
FOR_EVER = [
    ("iso", "9999"), ("iso", "9999-12"), ("iso", "9999-12-31"), ("iso", "9999-12-31T23:59:59.9999999-01:00"),
    ("yyyymmdd", "99991231"), ("dd.mm.yyyy", "31.12.9999"), ("yyyymm", "999912"), ("mm/yyyy", "12/9999"),
]  # fmt: skip
ALWAYS = [
    ("iso", "0001"), ("iso", "0001-01"), ("iso", "0001-01-01"), ("yyyymmdd", "00010101"), ("dd.mm.yyyy", "01.01.0001"),
    ("dd/mm/yyyy", "1/1/0001"), ("yyyymm", "000101"), ("iso", "0001-01-01T00:00:00+01:00"),
]  # fmt: skip


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


@pytest.mark.parametrize("zone", [PARIS, NEW_YORK])
@pytest.mark.parametrize(("word", "text"), FOR_EVER)
def test_the_last_of_the_calendar_is_for_ever_however_it_is_written(word: str, text: str, zone: str) -> None:
    start, end = stamps.stamp(word)(text, zone)
    assert end == LAST and start.year >= 9998
    assert stamps.stamp_once(word)(text, zone) == (start, end)


@pytest.mark.parametrize("zone", [PARIS, NEW_YORK])
@pytest.mark.parametrize(("word", "text"), ALWAYS)
def test_the_first_of_it_is_always_however_it_is_written(word: str, text: str, zone: str) -> None:
    start, end = stamps.stamp(word)(text, zone)
    assert start == FIRST and end <= datetime(2, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("zone", [PARIS, NEW_YORK])
@pytest.mark.parametrize(
    ("word", "text"), [("dd/mm/yyyy HH:MM", "31/12/9999 23:59"), ("dd/mm/yyyy HH:MM", "1/1/0001 00:00")]
)
def test_a_time_at_an_end_is_read_in_every_zone(word: str, text: str, zone: str) -> None:
    start, end = stamps.stamp(word)(text, zone)
    assert start == end and min(start - FIRST, LAST - start) < timedelta(days=1)


def test_parts_of_a_date_are_open_there_too() -> None:
    assert stamps.of_parts((9999,), 1, PARIS)[1] == stamps.of_parts((9999, 11, 31), 0, PARIS)[1] == LAST
    assert stamps.of_parts((1, "01"), 1, PARIS)[0] == FIRST


@pytest.mark.parametrize("text", ["9999-13", "9999-12-32", "0000", "0001-13", "99991231", "9999-12-31T24:00"])
def test_what_is_no_date_is_none_at_an_end_either(text: str) -> None:
    with pytest.raises(ValueError):
        stamps.iso(text, PARIS)


@pytest.mark.parametrize(("word", "text"), FOR_EVER)
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_state_for_ever_is_given(driver: str, word: str, text: str) -> None:
    begun = {"iso": "2026-01-01", "yyyymmdd": "20260101", "dd.mm.yyyy": "01.01.2026", "yyyymm": "202601"}
    declared = exact(driver).replace('instant = "at"', f'state = ["at", "place"]\nwritten = "{word}"')
    declared = declared.replace("made = { keep = 2 }", "structural = true").replace('per = "month"', 'per = "all"')
    declared = declared.replace('"first"', '"max"').replace("Total/first", "Total/max").replace("first:d", "max:d")
    body = document(driver, [one(at=begun.get(word, "01/2026"), place=text)])
    its = planned(declared, "blurred.calls", FIELDS)
    [found] = records_of(driver, cut(its, driver, "calls", body).body)
    assert found["place"] == text


@pytest.mark.parametrize(
    ("word", "text", "by", "made"),
    [
        ("yyyymmdd", "99991231", "day", "9999-12-31"),
        ("iso", "9999-12-31", "month", "9999-12"),
        ("iso", "9999-12", "day", "9999-12"),
        ("iso", "9999", "day", "9999"),
        ("yyyymm", "999912", "year", "9999"),
        ("iso", "9999-12-31T23:59:59-05:00", "month", "9999-12"),
        ("dd.mm.yyyy", "01.01.0001", "month", "0001-01"),
        ("iso", "0001", "day", "0001"),
    ],
)
@pytest.mark.parametrize("zone", [PARIS, NEW_YORK])
def test_such_a_date_is_made_coarser_as_any_other(zone: str, word: str, text: str, by: str, made: str) -> None:
    make = coarser._date(Made("date", by, (), word), zone, "iso")
    assert make(text) == made
