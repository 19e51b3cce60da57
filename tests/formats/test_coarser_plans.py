"""Plans that make values coarser, or answer over records, for whatever an organisation may send."""

import json
import tomllib
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue import Dataset, Format
from gateway.formats import registry
from gateway.formats.answering import Answering
from gateway.formats.model import Account, Asked, Cut, Denied, Granted, Plan, Source, UnknownShape, Upstream
from gateway.formats.table_plan import TablePlan
from gateway.ground.calendar.instants import Window
from gateway.ground.keys import Sealer
from gateway.organisations import owned

FILE = Path(__file__).parents[1] / "proxy/coarser.toml"
PARIS = ZoneInfo("Europe/Paris")
MINE = Account("line-4711", "ref-of-mine")
NOW = datetime(2026, 11, 15, 12, tzinfo=UTC)
WINDOW = Window(datetime(2026, 2, 10, tzinfo=UTC), None)
ALL = ["month.which", "month.price", "month.calls"]


def read(*changes: tuple[str, str]) -> tuple[Format, Mapping[str, Dataset]]:
    text = FILE.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    document = tomllib.loads(text)
    form, own = owned.read(document)
    assert form is not None
    assert [wrong for _, key, wrong in registry.form_faults(form, own)] == []
    return form, own


def source(form: Format, own: Mapping[str, Dataset], now: datetime = NOW) -> Source:
    return Source(
        "blurred", "telecom", "", "Europe/Paris", "https://gw.example/data/blurred", "https://blurred.example",
        forms={"": form}, known=own, sealer=Sealer(b"k" * 32), clock=lambda: now,
    )  # fmt: skip


def plan(dataset: str, fields: list[str], *changes: tuple[str, str], most: int | None = None) -> Plan:
    form, own = read(*changes)
    item = Granted(dataset, frozenset(fields), (MINE,), most, pair="app-and-person")
    return registry.plan(source(form, own), "", [item])


def cut(its: Plan, what: str, answer: Any, window: Window = WINDOW, link: str = "", **query: str) -> Cut:
    asked = its.request(Asked("GET", f"/lines/{MINE.ref}/{what}", tuple(query.items())), window)
    assert isinstance(asked, Upstream), asked
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    return its.cut(asked, "application/json", body, window, link)


def call(at: str = "2026-10-03T10:11:12Z", line: str = MINE.native, **more: Any) -> dict[str, Any]:
    return {"at": at, "line": line, "price": 1, **more}


# ---- fields


STRINGS = (
    'Call = "at:s line:s partner:s length:i price:n tax:d',
    'Call = "at:s line:s partner:p length:v price:i tax:s',
)


def test_every_word_of_shapes_is_made_coarser_as_its_kind() -> None:
    its = plan("blurred.calls", ["call.line", "call.month", "call.about", "call.band", "call.code"], STRINGS)
    sent = [
        call(partner=33612345678, length="612345", price=7, tax="0.74"),
        call(partner="+33612345678", length=612345.5, price=-7, tax="x"),
        call(partner=None, length=True, tax=None),
    ]
    first, second, third = json.loads(cut(its, "calls", {"items": sent}).body)["items"]
    assert (first["length"], first["price"], first["tax"]) == ("600000..6000000", 7.0, "0.5")
    assert (second["length"], second["price"], "tax" in second) == ("600000..6000000", -7.0, False)
    assert (third["partner"], "length" in third, third["tax"]) == (None, False, None)
    assert first["partner"] != second["partner"] and len(first["partner"]) == 24


def test_what_is_made_of_in_lists_and_objects_is_made_wherever_its_type_stands() -> None:
    nested = ("note:x place:Place", "note:x place:Place* also:Place{}")
    its = plan(
        "blurred.calls", ["call.line", "call.month", "call.area"], nested,
        ('"Call/place", "Place/latitude"', '"Call/place", "Call/also", "Place/latitude"'),
    )  # fmt: skip
    place = {"latitude": 48.85999, "longitude": -2.34999, "postcode": "canary"}
    found = cut(its, "calls", {"items": [call(place=[place, None, place], also={"home": place})]})
    [record] = json.loads(found.body)["items"]
    made = {"latitude": 48.85, "longitude": -2.34}
    assert record["place"] == [made, None, made] and record["also"] == {"home": made}
    assert b"999" not in found.body and b"canary" not in found.body


def test_a_required_member_gets_its_neutral_value_or_refuses_the_answer() -> None:
    neutral = ("[format.shapes]", '[format.required]\n"Call/tax" = { instead = "0" }\n[format.shapes]')
    refused = ("[format.shapes]", '[format.required]\n"Call/tax" = "refuse"\n[format.shapes]')
    answer = {"items": [call(tax="a secret word")]}
    fields = ["call.line", "call.month", "call.about"]
    [record] = json.loads(cut(plan("blurred.calls", fields, neutral), "calls", answer).body)["items"]
    assert record["tax"] == "0"
    with pytest.raises(UnknownShape, match="Call/tax"):
        cut(plan("blurred.calls", fields, refused), "calls", answer)


def test_lines_of_json_are_made_coarser_and_added_up() -> None:
    lines = (
        ('driver = "json"', 'driver = "ndjson"'),
        ('at = "items"\n', ""),
        ('by = "cursor"\nat = "next"', 'by = "link-header"'),
        ('"Answer/owner" = "account"\n"Answer/dearest" = "same"', ""),
        ('Answer = "items:Call* next:s owner:s dearest:Place"', ""),
        ('parameter = "cursor"\n', ""),
    )
    body = b"\n".join(json.dumps(call(price=price)).encode() for price in (0.26, 0.1))
    form, own = read(*lines)
    items = [Granted("blurred.calls", frozenset(["call.line", "call.month", "call.about"]), (MINE,))]
    items.append(Granted("blurred.monthly", frozenset(ALL), (MINE,)))
    its = registry.plan(source(form, own), "", items)
    asked = its.request(Asked("GET", f"/lines/{MINE.ref}/calls"), WINDOW)
    assert isinstance(asked, Upstream)
    made = its.cut(asked, "application/x-ndjson", body, WINDOW).body
    assert [json.loads(line)["price"] for line in made.splitlines()] == [0.5, 0.0]
    asked = its.request(Asked("GET", f"/lines/{MINE.ref}/monthly"), WINDOW)
    assert isinstance(asked, Upstream)
    total = its.cut(asked, "application/x-ndjson", body, WINDOW)
    assert (json.loads(total.body)[0]["sum"], total.media_type) == ("0.36", "application/json")
    with pytest.raises(UnknownShape):
        its.cut(asked, "application/x-ndjson", body, WINDOW, '<https://blurred.example/lines?p=2>; rel="next"')


# ---- answers, against fractions


PRICES = st.decimals("-1e9", "1e9", allow_nan=False, places=6).map(str) | st.sampled_from(
    ["0", "-0.0", "1e-7", "12E+3"]
)
TIMES = st.datetimes(datetime(2026, 1, 20), datetime(2026, 12, 20)).map(lambda at: at.replace(tzinfo=UTC))
ROWS = st.lists(st.tuples(TIMES, PRICES, st.sampled_from([MINE.native, MINE.native, "somebody-elses"])), max_size=40)


def counting(rows: list[tuple[datetime, str, str]]) -> dict[str, list[tuple[datetime, Fraction]]]:
    """By month, those that count: of her account, in whole months of the window that are over."""
    found: dict[str, list[tuple[datetime, Fraction]]] = defaultdict(list)
    for at, price, line in rows:
        month = f"{at.astimezone(PARIS):%Y-%m}"
        if line == MINE.native and "2026-03" <= month <= "2026-10":
            found[month].append((at, Fraction(price)))
    return found


@given(ROWS)
def test_totals_by_month_are_those_of_fractions_and_nothing_else_influences_them(
    rows: list[tuple[datetime, str, str]],
) -> None:
    body = ",".join(f'{{"at":"{at.isoformat()}","line":"{line}","price":{price}}}' for at, price, line in rows)
    found = cut(PLAN, "monthly", f'{{"items":[{body}]}}'.encode())
    expected = counting(rows)
    told = json.loads(found.body)
    assert [each["from"][:7] for each in told] == sorted(expected)
    for each in told:
        values = [price for _, price in expected[each["from"][:7]]]
        assert (Fraction(each["sum"]), each["count"], Fraction(each["max"])) == (sum(values), len(values), max(values))
    assert found.counts.records_withheld == len(rows) - sum(map(len, expected.values()))


PLAN = plan("blurred.monthly", ALL)


@given(TIMES, st.timedeltas(timedelta(seconds=1), timedelta(days=100)))
def test_whatever_period_an_app_asks_for_no_month_is_cut(since: datetime, length: timedelta) -> None:
    query = (("since", f"{since:%Y-%m-%dT%H:%M:%SZ}"), ("until", f"{since + length:%Y-%m-%dT%H:%M:%SZ}"))
    for what, its in (("monthly", PLAN), ("calls", plan_of_months())):
        asked = its.request(Asked("GET", f"/lines/{MINE.ref}/{what}", query), WINDOW)
        if isinstance(asked, Denied):
            assert asked.reason == "period" and since.astimezone(PARIS) < datetime(2026, 3, 1, tzinfo=PARIS)
            continue
        assert asked.period is not None
        for edge in (asked.period.start, asked.period.end):
            assert edge is not None
            assert f"{edge.astimezone(PARIS):%d %H:%M:%S.%f}" == "01 00:00:00.000000"


@cache
def plan_of_months() -> Plan:
    return plan("blurred.calls", ["call.line", "call.month"])


# ---- other answers


def test_days_are_counted_without_a_value() -> None:
    daily = (
        ('answer = { as = "Total", per = "month", of = "price", gives = ["sum", "count", "max"] }',
         'answer = { as = "Total", per = "day", gives = ["count"] }'),
        ('Total = "from:s to:s sum:d count:i max:d"', 'Total = "from:s to:s count:i"'),
        ('find = ["Total/count", "Total/max"]', 'find = ["Total/count"]'),
        ('find = ["Total/sum"]\n\n', 'find = ["Total/from"]\n\n'),
        ('find = ["Total/sum"]\nmade = { round = "10" }', 'find = ["Total/count"]\nmade = { band = ["2"] }'),
    )  # fmt: skip
    answer = {"items": [call("2026-10-24T22:30:00Z"), call("2026-10-25T22:30:00Z"), call("2026-10-25T23:30:00Z")]}
    told = json.loads(cut(plan("blurred.monthly", ["month.calls"], *daily), "monthly", answer).body)
    assert told == [{"count": 2}, {"count": 1}]
    told = json.loads(cut(plan("blurred.monthly", ["month.about"], *daily), "monthly", answer).body)
    assert told == [{"count": "2.."}, {"count": "..2"}]


def test_no_more_totals_leave_than_records_were_agreed() -> None:
    answer = {"items": [call(f"2026-0{month}-05T00:00:00Z") for month in (3, 4, 5)]}
    told = json.loads(cut(plan("blurred.monthly", ALL, most=2), "monthly", answer).body)
    assert [each["from"][:7] for each in told] == ["2026-03", "2026-04"]


def test_only_an_empty_page_is_the_last_of_those_with_numbers() -> None:
    """A page with fewer records than were asked for may be as many as the organisation gives at once."""
    numbered = (
        ('by = "cursor"\nat = "next"\nparameter = "cursor"', 'by = "offset"\nparameter = "cursor"\nsize = "limit"'),
        ("calls?limit=100", "calls?limit=3"),
    )
    its = plan("blurred.monthly", ALL, *numbered)
    assert isinstance(its, TablePlan)
    path, sizes, offsets = f"/lines/{MINE.ref}/monthly", [3, 2, 1, 0], []
    sent = its.request(Asked("GET", path), WINDOW)
    assert isinstance(sent, Upstream)
    answering = Answering(its, sent, WINDOW)
    for number, size in enumerate(sizes):
        offsets.append(dict(sent.query).get("cursor"))
        body = json.dumps({"items": [call(price=number)] * size}).encode()
        token = answering.page(sent, "application/json", body)
        assert bool(token) is bool(size)
        if token:
            sent = its.request(Asked("GET", path, (("page_token", token),)), WINDOW)
            assert isinstance(sent, Upstream) and dict(sent.query)["limit"] == "3"
    assert offsets == [None, "3", "5", "6"] and json.loads(answering.cut().body)[0]["count"] == 6


def test_a_page_that_comes_again_is_no_further_one() -> None:
    its = plan("blurred.monthly", ALL)
    assert isinstance(its, TablePlan)
    path, body = f"/lines/{MINE.ref}/monthly", json.dumps({"items": [call()], "next": "more"}).encode()
    sent = its.request(Asked("GET", path), WINDOW)
    assert isinstance(sent, Upstream)
    answering = Answering(its, sent, WINDOW)
    token = answering.page(sent, "application/json", body)
    again = its.request(Asked("GET", path, (("page_token", token),)), WINDOW)
    assert isinstance(again, Upstream)
    with pytest.raises(UnknownShape, match="next"):
        answering.page(again, "application/json", body)


def test_a_threshold_of_a_count_over_records_without_a_time() -> None:
    timeless = (
        ("instant = \"at\"\n", ""), ('of = "price", at_least = "5"', 'at_least = "2"'),
        ('answer = { as = "Total", per = "month", of = "price", gives = ["sum", "count", "max"] }',
         'answer = { as = "Total", of = "price", gives = ["sum", "count", "max"] }'),
        (', find = "Call/at" }', " }"), ('made = { date = "month" }', 'made = { date = "month", written = "iso" }'),
    )  # fmt: skip
    its = plan("blurred.much", ["much.yes"], *timeless)
    assert cut(its, "much", {"items": [call(), call("never")]}).body == b'{"yes":true}'
    assert cut(its, "much", {"items": [call(), call(line="somebody-elses")]}).body == b'{"yes":false}'
    assert cut(its, "much", {"items": []}).body == b'{"yes":false}'
