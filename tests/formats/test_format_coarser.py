"""Values made coarser, and totals: exact on decimal text, whatever its length. The oracle is fractions."""

import math
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.made import GIVES, OVER, UNITS, WORDS, Made, OverRecords, finer, reveals
from gateway.formats import units
from gateway.formats.coarser import maker, number
from gateway.formats.model import Account, Source, UnknownShape
from gateway.formats.names import AccountNames
from gateway.formats.totals import Row, Totals, Value
from gateway.ground.calendar.instants import Window
from gateway.ground.keys import Sealer

PARIS = "Europe/Paris"
NATIVE = "FR7630001007941234567890185"
ALWAYS = Window(None, None)
NAMES = AccountNames([Account(NATIVE, "ref-of-the-app")])


def source(key: bytes = b"k" * 32, organisation: str = "bank") -> Source:
    return Source(organisation, "bank", "", PARIS, "https://g", "https://o", sealer=Sealer(key))


def made(text: str, word: str, by: str = "", kind: str = "d", stamped: str = "iso", **more: object) -> str | None:
    how = Made(word, by, **more)  # type: ignore[arg-type]
    return maker(how, kind, stamped, source(), NAMES, "app-and-person")(text)


# ---- each word


@pytest.mark.parametrize(
    ("text", "step", "found"),
    [
        ("14.99", "10", "10"), ("15", "10", "20"), ("-15", "10", "-20"), ("-4.9", "10", "0"), ("-0", "1", "0"),
        ("1e-7", "1", "0"), ("1e-7", "0.0000001", "0.0000001"), ("1E+3", "7", "1001"),
        ("0.30000000000000004", "0.1", "0.3"),
        ("1234567890123456789012345", "10", "1234567890123456789012350"), ("0.125", "0.01", "0.13"),
        ("1.005", "0.01", "1.01"), ("61", "2.5", "60.0"), ("61.25", "2.5", "62.5"),
        ("1.249", "0.50", "1.00"), ("5", "1000000", "0"),
    ],
)  # fmt: skip
def test_rounded_to_the_nearest_multiple_half_away_from_zero(text: str, step: str, found: str) -> None:
    assert made(text, "round", step) == found


@pytest.mark.parametrize(
    ("text", "decimals", "found"),
    [
        ("48.85341", "2", "48.85"), ("48.8", "2", "48.80"), ("48.80", "2", "48.80"), ("-2.3488", "2", "-2.34"),
        ("-0.001", "2", "0.00"), ("-0", "0", "0"), ("1e-7", "2", "0.00"), ("1e3", "1", "1000.0"),
        ("9999999999999999999999999.99", "0", "9999999999999999999999999"), ("0.1", "0", "0"),
    ],
)  # fmt: skip
def test_decimals_are_cut_off_and_the_number_alone_counts_not_how_it_was_written(
    text: str, decimals: str, found: str
) -> None:
    assert made(text, "cut", decimals) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("-0.0001", "..0"), ("-0", "0..1000"), ("0", "0..1000"), ("999.9999999999999999999999", "0..1000"),
     ("1000", "1000..2000"), ("1e3", "1000..2000"), ("2000.0", "2000.."), ("1e90", "2000..")],
)  # fmt: skip
def test_a_band_has_its_lower_limit_in_it(text: str, found: str) -> None:
    assert made(text, "band", bounds=("0", "1000", "2000")) == found


@pytest.mark.parametrize(
    "text", ["", "soon", "1,5", "0x10", "NaN", "Infinity", "1e999", "9" * 200, "1 000", "١٢", "--1"]
)
@pytest.mark.parametrize(("word", "by"), [("round", "10"), ("cut", "2"), ("band", "")])
def test_of_what_is_no_number_nothing_is_made(text: str, word: str, by: str) -> None:
    assert number(text) is None and made(text, word, by, bounds=("0",)) is None


@pytest.mark.parametrize(
    ("text", "kind", "found"),
    [("75011", "s", "75"), ("7", "s", "7"), ("75011", "i", "75"), ("7.5011e4", "n", "75"), ("Élodie", "x", "Él")],
)
def test_the_first_characters_are_kept(text: str, kind: str, found: str) -> None:
    assert made(text, "keep", "2", kind) == found


@pytest.mark.parametrize("text", [NATIVE, "FR76 3000 1007 9412 3456 7890 185", f"IBAN {NATIVE}"])
@pytest.mark.parametrize("most", [8, 20, 40])
def test_no_beginning_of_an_accounts_own_number_is_kept(text: str, most: int) -> None:
    kept = made(text, "keep", str(most), "s")
    assert kept is not None and "FR76" not in kept and "3000" not in kept


@pytest.mark.parametrize(
    ("text", "unit", "stamped", "found"),
    [
        ("2026-10-31T23:30:00Z", "month", "iso", "2026-11"), ("2026-10-31T22:30:00Z", "month", "iso", "2026-10"),
        ("2026-10-25T00:30:00Z", "day", "iso", "2026-10-25"), ("2026-12-31T23:30:00Z", "year", "iso", "2027"),
        ("2026-11", "day", "iso", "2026-11"), ("2026", "day", "iso", "2026"), ("2026-11-03", "month", "iso", "2026-11"),
        ("03/11/2026 09:12", "day", "dd/mm/yyyy HH:MM", "2026-11-03"), ("1793660400", "year", "epoch-s", "2026"),
        ("2026-03-29", "day", "iso", "2026-03-29"), ("0987-01-02", "year", "iso", "0987"), ("soon", "day", "iso", None),
    ],
)  # fmt: skip
def test_a_time_becomes_its_local_day_month_or_year(text: str, unit: str, stamped: str, found: str | None) -> None:
    assert made(text, "date", unit, "s", stamped) == found


def test_a_pseudonym_is_short_and_of_one_app_person_and_organisation() -> None:
    def of(text: str, pair: str = "a", key: bytes = b"k" * 32, organisation: str = "bank") -> str | None:
        return maker(Made("pseudonym"), "s", "iso", source(key, organisation), NAMES, pair)(text)

    first = of("+33612345678")
    assert first is not None and len(first) == 24 and "33612345678" not in first and first == of("+33612345678")
    others = [of("+33612345679"), of("+33612345678", "b"), of("+33612345678", key=b"j" * 32)]
    assert first not in (*others, of("+33612345678", organisation="other"))
    assert source().sealer.open(first, "pseudonym", "bank", "a") is None


# ---- against fractions


@st.composite
def decimals(draw: st.DrawFn) -> str:
    sign, dot = draw(st.sampled_from(["", "-"])), draw(st.booleans())
    text = draw(st.text("0123456789", min_size=1, max_size=25))
    text += "." + draw(st.text("0123456789", min_size=1, max_size=25)) if dot else ""
    return sign + text + draw(st.sampled_from(["", "e-7", "E+5", "e20", "e-30"]))


STEPS = st.sampled_from(["1", "10", "0.1", "0.25", "2.5", "7", "0.001", "1000", "3.33"])


def nearest(value: Fraction, step: Fraction) -> Fraction:
    found = math.floor(abs(value) / step + Fraction(1, 2)) * step
    return -found if value < 0 else found


@given(decimals(), STEPS)
def test_rounding_agrees_with_fractions(text: str, step: str) -> None:
    found = made(text, "round", step)
    assert found is not None and Fraction(found) == nearest(Fraction(text), Fraction(step))
    assert not found.startswith("-0") or Fraction(found) != 0
    assert len(found.partition(".")[2]) == len(step.partition(".")[2])


@given(decimals(), st.integers(0, 18))
def test_cutting_agrees_with_fractions(text: str, places: int) -> None:
    found = made(text, "cut", str(places))
    assert found is not None and Fraction(found) == Fraction(math.trunc(Fraction(text) * 10**places), 10**places)
    assert len(found.partition(".")[2]) == places and "e" not in found.lower()


@given(
    decimals(),
    st.lists(st.sampled_from(["-10", "-0.5", "0", "0.1", "5", "1000", "99999999999"]), min_size=1, unique=True),
)
def test_bands_agree_with_fractions(text: str, some: list[str]) -> None:
    bounds = sorted(some, key=Fraction)
    found = made(text, "band", bounds=tuple(bounds))
    assert found is not None
    low, high = found.split("..")
    assert (not low or Fraction(low) <= Fraction(text)) and (not high or Fraction(text) < Fraction(high))
    assert (low, high) in [*pairwise(["", *bounds, ""])]


def answers(how: OverRecords, rows: list[Row]) -> list[dict[str, Value]]:
    """Over records that come in two pages."""
    totals, half = Totals(how, PARIS, "items"), len(rows) // 2
    totals.add(rows[:half])
    totals.add(rows[half:])
    return totals.told(ALWAYS)


@given(st.lists(decimals(), min_size=1, max_size=30))
def test_totals_agree_with_fractions(values: list[str]) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [(start + timedelta(hours=at % 7), start + timedelta(hours=at % 7), text) for at, text in enumerate(values)]
    how = OverRecords("Total", of=("v",), gives=GIVES, at_least="500", by="sum")
    [told] = answers(how, rows)
    exact = [Fraction(text) for text in values]
    in_time = sorted(range(len(values)), key=lambda at: at % 7)
    assert Fraction(str(told["sum"])) == sum(exact) and told["count"] == len(values)
    assert (Fraction(str(told["min"])), Fraction(str(told["max"]))) == (min(exact), max(exact))
    assert Fraction(str(told["first"])) == exact[in_time[0]] and Fraction(str(told["last"])) == exact[in_time[-1]]
    assert told["yes"] is (sum(exact) >= 500)


# ---- totals


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def over(per: str, *rows: tuple[str, str], **keys: object) -> list[dict[str, object]]:
    how = OverRecords("Total", per=per, of=("v",), gives=("sum",), by="sum", **keys)  # type: ignore[arg-type]
    return answers(how, [(at(moment), at(moment), text) for moment, text in rows])  # type: ignore[return-value]


def test_what_floats_get_wrong_is_right() -> None:
    moment = "2026-01-01T00:00:00+00:00"
    assert over("all", (moment, "0.1"), (moment, "0.2"))[0]["sum"] == "0.3"
    assert over("all", (moment, "-0"), (moment, "1e-7"))[0]["sum"] == "0.0000001"
    assert (
        over("all", (moment, "9999999999999999999999999"), (moment, "1e-9"))[0]["sum"]
        == "9999999999999999999999999.000000001"
    )


def test_days_and_months_are_local_also_where_clocks_change() -> None:
    days = over(
        "day",
        ("2026-10-24T22:30:00+00:00", "1"),
        ("2026-10-25T22:59:59+00:00", "2"),
        ("2026-10-25T23:00:00+00:00", "4"),
    )
    assert [(each["from"], each["to"], each["sum"]) for each in days] == [
        ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", "3"),
        ("2026-10-26T00:00:00+01:00", "2026-10-27T00:00:00+01:00", "4"),
    ]
    months = over(
        "month",
        ("2026-03-31T21:59:59+00:00", "2"),
        ("2026-02-28T22:59:59+00:00", "1"),
        ("2026-02-28T23:00:00+00:00", "1"),
    )
    assert [(each["from"], each["to"], each["sum"]) for each in months] == [
        ("2026-02-01T00:00:00+01:00", "2026-03-01T00:00:00+01:00", "1"),
        ("2026-03-01T00:00:00+01:00", "2026-04-01T00:00:00+02:00", "3"),
    ]


@pytest.mark.parametrize("text", [None, "", "n/a", "1,5", "null"])
def test_a_total_with_what_is_no_number_is_refused(text: str | None) -> None:
    moment = at("2026-01-01T00:00:00+00:00")
    how = OverRecords("Total", of=("v",), gives=("sum",), by="sum")
    with pytest.raises(UnknownShape, match="items"):
        answers(how, [(moment, moment, text)])


def test_a_record_of_a_month_is_of_no_day() -> None:
    how = OverRecords("Total", per="day", gives=("count",), by="count")
    row = (at("2026-01-01T00:00:00+01:00"), at("2026-02-01T00:00:00+01:00"), None)
    with pytest.raises(UnknownShape):
        answers(how, [row])


def test_over_nothing_the_count_is_none_and_no_threshold_is_reached() -> None:
    how = OverRecords("Total", of=("v",), gives=GIVES, at_least="-1", by="max")
    assert answers(how, []) == [{"count": 0, "sum": "0", "yes": False}]


# ---- units of time


def test_only_whole_units_are_inside_a_window() -> None:
    window = Window(at("2026-01-10T08:00:00+00:00"), at("2026-03-31T22:00:00+00:00"))
    assert units.inward(window, "month", PARIS) == Window(
        at("2026-01-31T23:00:00+00:00"), at("2026-03-31T22:00:00+00:00")
    )
    assert units.inward(Window(window.start, at("2026-02-20T00:00:00+00:00")), "month", PARIS) is None
    assert units.inward(Window(None, None), "day", PARIS) == Window(None, None)


def test_an_asked_period_is_widened_to_whole_units() -> None:
    asked = Window(at("2026-03-29T08:00:00+00:00"), at("2026-03-29T08:01:00+00:00"))
    assert units.outward(asked, "day", PARIS) == Window(
        at("2026-03-28T23:00:00+00:00"), at("2026-03-29T22:00:00+00:00")
    )
    whole = units.outward(asked, "year", PARIS)
    assert units.outward(whole, "year", PARIS) == whole == units.inward(whole, "year", PARIS)


ZONES = st.sampled_from(["Europe/Paris", "America/Sao_Paulo", "America/Havana", "Asia/Kolkata", "Pacific/Apia", "UTC"])


@given(st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1)), ZONES, st.sampled_from(UNITS))
def test_every_instant_is_in_one_unit_wherever_midnight_is_missing_or_comes_twice(
    at: datetime, place: str, unit: str
) -> None:
    moment = at.replace(tzinfo=UTC)
    begin, end = units.begin(moment, unit, place), units.end(moment, unit, place)
    assert begin <= moment < end
    assert units.begin(begin, unit, place) == begin == units.begin(end - timedelta(microseconds=1), unit, place)
    assert units.begin(end, unit, place) == end
    assert units.inward(Window(begin, end), unit, place) == Window(begin, end)


# ---- words


@pytest.mark.parametrize(
    ("first", "second"),
    [(Made("round", "1"), Made("round", "10")), (Made("cut", "3"), Made("cut", "2")),
     (Made("keep", "5"), Made("keep", "2")),
     (Made("date", "day"), Made("date", "month")), (Made("date", "month"), Made("date", "year")),
     (Made("band", bounds=("0", "1", "2")), Made("band", bounds=("0", "2"))), (Made("pseudonym"), Made("yes"))],
)  # fmt: skip
def test_the_finest_that_was_agreed_is_given(first: Made, second: Made) -> None:
    assert finer(first, second) == first == finer(second, first)


@pytest.mark.parametrize(
    ("agreed", "now", "more"),
    [
        ("round 10", Made("round", "20"), False), ("round 10", Made("round", "15"), True),
        ("round 10", Made("round", "5"), True),
        ("cut 2", Made("cut", "2"), False), ("cut 2", Made("cut", "1"), False), ("cut 2", Made("cut", "3"), True),
        ("keep 2", Made("keep", "3"), True), ("date month", Made("date", "year"), False),
        ("date month", Made("date", "day"), True), ("band 0 10 20", Made("band", bounds=("0", "20")), False),
        ("band 0 20", Made("band", bounds=("0", "10", "20")), True), ("pseudonym", Made("pseudonym"), False),
        ("yes", Made("yes"), False), ("cut 2", Made("yes"), False), ("yes", Made("cut", "0"), True),
        ("pseudonym", Made("yes"), False), ("yes", Made("pseudonym"), True), ("cut 2", Made("pseudonym"), True),
    ],
)  # fmt: skip
def test_what_says_more_than_was_agreed_is_known(agreed: str, now: Made, more: bool) -> None:
    assert now.says_more(agreed) is more and not now.says_more(now.text)


def test_every_word_says_what_it_still_reveals_in_both_languages() -> None:
    hows: list[Made | str] = [
        *(Made(word, "day" if word == "date" else "2.5", ("0", "0.5")) for word in WORDS),
        *GIVES,
    ]
    for how in hows:
        said = reveals(how)
        assert said["fr"] != said["en"] and all(text.endswith(".") and "{" not in text for text in said.values())
    assert "2,5" in reveals(Made("round", "2.5"))["fr"] and "2.5" in reveals(Made("round", "2.5"))["en"]


def test_the_document_tells_every_word() -> None:
    text = (Path(__file__).parents[2] / "gateway/docs/organisations.md").read_text()
    section = text.partition("## Answers instead of data")[2]
    assert [word for word in WORDS if f"`{word} = " not in section] == []
    assert [word for word in (*GIVES, *OVER, *UNITS) if f"`{word}`" not in section and f'"{word}"' not in section] == []
