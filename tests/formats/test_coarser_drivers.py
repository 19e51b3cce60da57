"""Coarser values and answers over records are the same whatever an organisation writes: JSON, lines of it, CSV, XML.

What is expected is worked out here with fractions, of the records and not of any document.
"""

import csv
import io
import json
import tomllib
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.formats import registry
from gateway.formats.model import UnknownShape
from gateway.organisations import owned
from tests.formats.flat_calls import (
    DRIVERS,
    MEMBERS,
    MINE,
    Record,
    cut,
    declaration,
    document,
    one,
    plan,
    planned,
    records_of,
)
from tests.torture import many

PARIS = ZoneInfo("Europe/Paris")


# ---- the oracle


def nearest(value: Fraction, step: Fraction) -> Fraction:
    times = abs(value) / step
    whole = times.numerator // times.denominator
    left = times - whole
    found = (whole + (left >= Fraction(1, 2))) * step
    return -found if value < 0 else found


def cut_off(value: Fraction, decimals: int) -> Fraction:
    scale = 10**decimals
    found = Fraction(abs(value) * scale // 1, scale)
    return -found if value < 0 else found


def month_of(at: str) -> str:
    return f"{datetime.fromisoformat(at).astimezone(PARIS):%Y-%m}"


def counts(record: Record) -> bool:
    at = str(record["at"])
    inside = "2026-03" <= month_of(at)
    return inside and record["line"] == MINE.native


def expected(record: Record) -> dict[str, Any]:
    length, price, tax, note, place = (record[name] for name in ("length", "price", "tax", "note", "place"))
    made: dict[str, Any] = {"at": month_of(str(record["at"])), "line": MINE.ref, "noted": bool(note)}
    if length is not None:
        made["length"] = "..60" if int(length) < 60 else "60..600" if int(length) < 600 else "600.."
    if price is not None:
        made["price"] = nearest(Fraction(price), Fraction(1, 2))
    if tax is not None:
        made["tax"] = cut_off(Fraction(tax), 1)
    if place is not None:
        made["place"] = place[:2]
    return made


def told(record: Record) -> dict[str, Any]:
    found: dict[str, Any] = {name: record[name] for name in ("at", "line", "length", "place") if name in record}
    found["noted"] = record["note"] == "true"
    return found | {name: Fraction(str(record[name])) for name in ("price", "tax") if name in record}


NUMBERS = st.decimals("-1e6", "1e6", allow_nan=False, places=4).map(str)
TIMES = st.datetimes(datetime(2026, 1, 20), datetime(2026, 10, 31)).map(lambda at: at.replace(tzinfo=UTC).isoformat())
WORD = st.text("abcé<&\" ;,'", min_size=1, max_size=12).map(str.strip).filter(bool)
RECORD = st.fixed_dictionaries({
    "at": TIMES,
    "line": st.sampled_from([MINE.native, MINE.native, "somebody-elses"]),
    "partner": st.none() | st.sampled_from(["+33612345678", "+33687654321", "00442079460018"]),
    "length": st.none() | st.integers(0, 5000).map(str),
    "price": NUMBERS,
    "tax": st.none() | NUMBERS,
    "note": st.none() | WORD,
    "place": st.none() | WORD,
})  # fmt: skip
ALL = ("line", "month", "code", "band", "about", "cut", "noted", "area")


@pytest.mark.parametrize("driver", DRIVERS)
@settings(max_examples=many(60))
@given(records=st.lists(RECORD, max_size=12))
def test_values_are_as_coarse_as_was_agreed_in_every_format(driver: str, records: list[Record]) -> None:
    found = cut(plan(driver, "blurred.calls", *ALL), driver, "calls", document(driver, records))
    kept = [record for record in records if counts(record)]
    given_ = records_of(driver, found.body)
    codes: dict[str, set[str]] = {}
    for record, sent in zip(given_, kept, strict=True):
        code = record.pop("partner", None)
        assert (code is None) == (sent["partner"] is None)
        if code is not None:
            codes.setdefault(str(sent["partner"]), set()).add(code)
        assert told(record) == expected(sent)
    assert all(len(each) == 1 for each in codes.values())
    assert len(set().union(*codes.values())) == len(codes) if codes else True
    assert not any(str(partner).encode() in found.body for partner in codes)
    assert (found.counts.records, found.counts.records_withheld) == (len(kept), len(records) - len(kept))


@pytest.mark.parametrize("driver", DRIVERS)
@settings(max_examples=many(60))
@given(records=st.lists(RECORD, max_size=12))
def test_totals_are_the_same_in_every_format(driver: str, records: list[Record]) -> None:
    found = cut(plan(driver, "blurred.monthly", "which", "sum", "more", "first"), driver, "monthly",
                document(driver, records))  # fmt: skip
    assert found.media_type == "application/json"
    kept = [record for record in records if counts(record)]
    by_month: dict[str, list[Record]] = {}
    for record in kept:
        by_month.setdefault(month_of(str(record["at"])), []).append(record)
    answers = json.loads(found.body)
    assert [each["from"][:7] for each in answers] == sorted(by_month)
    for each in answers:
        of = by_month[each["from"][:7]]
        first = min(of, key=lambda record: datetime.fromisoformat(str(record["at"])))
        sums = sum((Fraction(str(record["price"])) for record in of), Fraction(0))
        assert (Fraction(each["sum"]), each["count"], Fraction(each["first"])) == (
            sums, len(of), Fraction(str(first["price"])),
        )  # fmt: skip
    assert found.counts.records_withheld == len(records) - len(kept)


# ---- one format at a time


@pytest.mark.parametrize("driver", DRIVERS)
def test_what_nothing_can_be_made_of_is_withheld_and_counted(driver: str) -> None:
    found = cut(plan(driver, "blurred.calls", *ALL), driver, "calls", document(driver, [one(tax="canary, twelve")]))
    [record] = records_of(driver, found.body)
    assert "tax" not in record and b"canary" not in found.body and found.counts.fields_withheld == 1


@pytest.mark.parametrize("driver", DRIVERS)
def test_an_answer_over_what_is_no_number_is_refused(driver: str) -> None:
    body = document(driver, [one(), one(price="true" if "json" in driver else "canary")])
    with pytest.raises(UnknownShape):
        cut(plan(driver, "blurred.monthly", "which", "sum"), driver, "monthly", body)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_page_that_leads_on_is_no_whole_answer(driver: str) -> None:
    body, link = document(driver, [one()]), ""
    if driver == "json":
        body = body[:-1] + b',"next":"/lines/x/calls?p=2"}'
    elif driver == "xml":
        body = body.replace(b"<Calls>", b'<Calls next="/lines/x/calls?p=2">')
    else:
        link = '</lines/x/calls?p=2>; rel="next"'
    its = plan(driver, "blurred.monthly", "which", "sum")
    assert json.loads(cut(its, driver, "monthly", document(driver, [one()])).body)[0]["sum"] == "1"
    with pytest.raises(UnknownShape):
        cut(its, driver, "monthly", body, link)


def test_a_table_is_made_coarser_as_it_writes_its_numbers() -> None:
    its = plan("csv", "blurred.calls", *ALL)
    head = ";".join(MEMBERS)
    rows = [("1 234,26", "-0,19"), ("1\u202f234\u00a0567,2", "7"), ("1.234,5", "1.5"), ("", " ")]
    lines = [f"2026-10-03T10:11:12Z;{MINE.native};;;{price};{tax};;" for price, tax in rows]
    body = cut(its, "csv", "calls", "\n".join([head, *lines]).encode()).body
    made = [(row["price"], row["tax"]) for row in csv.DictReader(io.StringIO(body.decode()), delimiter=";")]
    assert made == [("1234,5", "-0,1"), ("1234567,0", "7,0"), ("", ""), ("", "")]


def test_an_element_is_told_of_whether_it_says_anything() -> None:
    text = declaration("xml").replace("@note", "note")
    its = planned(text, "blurred.calls", ALL)
    nil = '<note xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>'
    notes = ["<note>x</note>", "<note/>", "<note> </note>", "", nil]
    records = "".join(f"<Call><at>2026-10-03T10:11:12Z</at><line>{MINE.native}</line>{note}</Call>" for note in notes)
    body = cut(its, "xml", "calls", f"<Calls>{records}</Calls>".encode()).body
    found = [each.findtext("note") for each in ElementTree.fromstring(body)]
    assert found == ["true", "false", "false", "false", "false"]


@pytest.mark.parametrize(("way", "given_"), [('{ instead = "0" }', "0"), ('"refuse"', None)])
@pytest.mark.parametrize("driver", ["csv", "xml"])
def test_a_required_member_gets_its_neutral_value_or_refuses_the_answer(
    driver: str, way: str, given_: str | None
) -> None:
    name = "Call/@tax" if driver == "xml" else "Call/tax"
    text = declaration(driver).replace("[format.shapes]", f'[format.required]\n"{name}" = {way}\n[format.shapes]')
    its, body = planned(text, "blurred.calls", ALL), document(driver, [one(tax="a secret word")])
    if given_ is None:
        with pytest.raises(UnknownShape, match="tax"):
            cut(its, driver, "calls", body)
    else:
        assert records_of(driver, cut(its, driver, "calls", body).body)[0]["tax"] == given_


def test_a_text_between_elements_is_not_made_coarser() -> None:
    text = declaration("xml").replace('"Call/place"', '"Call/."').replace(" place:s", " .:s")
    form, own = owned.read(tomllib.loads(text))
    assert form is not None
    assert any("the text between elements" in wrong for _, _, wrong in registry.form_faults(form, own))


def test_an_account_never_stays_in_what_is_cut_of_a_text() -> None:
    for driver in ("csv", "xml"):
        found = cut(plan(driver, "blurred.calls", *ALL), driver, "calls", document(driver, [one(place=MINE.native)]))
        [record] = records_of(driver, found.body)
        assert record["place"] == MINE.ref[:2]
