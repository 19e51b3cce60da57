"""Parts and pages of a period: where they end, what is asked for at their edges, and of which listing a page is."""

import json
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.formats import paging, stamps
from gateway.formats.answering import Answering
from gateway.formats.model import Asked, Denied, Plan, UnknownShape, Upstream
from gateway.formats.table_plan import TablePlan
from gateway.ground.calendar.instants import Window
from tests.formats.flat_calls import (
    FIELDS,
    MINE,
    NOW,
    TYPES,
    WINDOW,
    cut,
    declaration,
    document,
    exact,
    one,
    planned,
    records_of,
)


def in_parts(driver: str = "json", days: int = 7, time: str = 'instant = "at"\n') -> str:
    text = exact(driver).replace('query = ["since", "until"]\n', f'query = ["since", "until"]\ndays = {days}\n', 1)
    return text.replace('instant = "at"\n', time)


def ask(its: Plan, *query: tuple[str, str], what: str = "calls") -> Upstream:
    sent = its.request(Asked("GET", f"/lines/{MINE.ref}/{what}", query), WINDOW)
    assert isinstance(sent, Upstream), sent
    return sent


def following(its: Plan, sent: Upstream, body: bytes | None = None) -> Upstream | None:
    found = its.cut(sent, TYPES["json"], document("json", [one()]) if body is None else body, WINDOW)
    return ask(its, *parse_qsl(urlsplit(found.following).query)) if found.following else None


def edges(sent: Upstream) -> tuple[str, str]:
    query = dict(sent.query)
    return query["since"], query["until"]


# ---- where the parts end


def test_parts_go_on_to_the_end_that_an_app_named_also_ahead_of_now() -> None:
    """A timetable, appointments, a tariff of next year: what is ahead is asked for in the same way."""
    its = planned(in_parts(), "blurred.calls", FIELDS)
    sent: Upstream | None = ask(its, ("since", "2026-11-10T00:00:00Z"), ("until", "2026-12-05T00:00:00Z"))
    asked = []
    while sent is not None:
        asked.append(edges(sent))
        sent = following(its, sent)
    assert asked[0][0] == "2026-11-10T00:00:00Z" and asked[-1][1] == "2026-12-05T00:00:00Z"
    assert all(before[1] == after[0] for before, after in zip(asked, asked[1:], strict=False))


def test_parts_end_now_where_no_end_was_named_and_go_on_when_it_is_later() -> None:
    now = [NOW]
    its = planned(in_parts(), "blurred.calls", FIELDS, clock=lambda: now[0])
    first = ask(its, ("since", "2026-11-10T00:00:00Z"))
    assert following(its, first) is None
    now[0] = NOW + timedelta(days=3)
    again = following(its, ask(its, ("since", "2026-11-10T00:00:00Z")))
    assert again is not None and edges(again)[0] == edges(first)[1]


def test_parts_of_records_stamped_at_their_end_stop_now_as_all_others() -> None:
    its = planned(in_parts("json", 7, 'instant = "at"\nends = true\nlength = 3600\n'), "blurred.calls", FIELDS)
    sent: Upstream | None = ask(its, ("since", "2026-10-20T00:00:00Z"))
    asked = []
    while sent is not None and len(asked) < 9:
        asked.append(edges(sent))
        sent = following(its, sent)
    assert isinstance(its, TablePlan) and its.calls.count_parts(ask(its, ("since", "2026-10-20T00:00:00Z"))) == 4
    assert len(asked) == 4 and asked[-1][0] <= "2026-11-15T12:00:00Z" < asked[-1][1]


@pytest.mark.parametrize("written", ["rfc3339", "date", "epoch-ms"])
@pytest.mark.parametrize("more", ["", "ends = true\nlength = 3600\n"])
@pytest.mark.parametrize("query", [("until", "9999-12-31"), ("since", "9999-12-20")])
def test_the_ends_of_the_calendar_are_open_or_outside_and_no_fault(
    query: tuple[str, str], more: str, written: str
) -> None:
    text = in_parts("json", 7, f'instant = "at"\n{more}').replace('written = "rfc3339"', f'written = "{written}"')
    edge = datetime.fromisoformat(query[1]).replace(tzinfo=UTC)
    said = stamps.write_edge(edge, written, "UTC", is_end=False)
    its = planned(text, "blurred.calls", FIELDS)
    sent = its.request(Asked("GET", f"/lines/{MINE.ref}/calls", ((query[0], said),)), WINDOW)
    if edge.year == 9999 and query[0] == "since":
        assert isinstance(sent, Denied) and sent.reason == "period"
    else:
        assert isinstance(sent, Upstream) and sent.part is not None and sent.part.start == WINDOW.start


@pytest.mark.parametrize("days", [2, 7, 31])
@pytest.mark.parametrize("counts", ["low <= at < high", "low < at <= high", "low <= at <= high", "True"])
def test_of_records_stamped_at_their_end_the_last_is_asked_for_and_none_twice(days: int, counts: str) -> None:
    hours = [datetime(2026, 10, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(1, 241)]
    its = planned(in_parts("json", days, 'instant = "at"\nends = true\nlength = 3600\n'), "blurred.calls", FIELDS)
    sent: Upstream | None = ask(its, ("since", "2026-10-01T00:00:00Z"), ("until", "2026-10-11T00:00:00Z"))
    given: list[str] = []
    while sent is not None:
        low, high = (datetime.fromisoformat(edge) for edge in edges(sent))
        assert high - low <= timedelta(days=days)
        inside = [at for at in hours if eval(counts, {"at": at, "low": low, "high": high})]
        body = document("json", [one(at=at.isoformat()) for at in inside])
        given += [record["at"] for record in records_of("json", its.cut(sent, TYPES["json"], body, WINDOW).body)]
        sent = following(its, sent, body)
    assert {datetime.fromisoformat(at) for at in given} == set(hours)


@pytest.mark.parametrize(
    ("at", "start", "end"),
    [
        ("2026-03-01T00:00:00.000001+00:00", "2026-03-01T00:00:00Z", "2026-03-01T00:00:01Z"),
        ("2026-03-01T00:00:00+00:00", "2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
        ("1969-12-31T23:59:58.500000+00:00", "1969-12-31T23:59:58Z", "1969-12-31T23:59:59Z"),
    ],
)
def test_an_edge_with_a_fraction_of_a_second_never_makes_the_period_shorter(at: str, start: str, end: str) -> None:
    moment = datetime.fromisoformat(at)
    whole = [datetime.fromisoformat(edge) for edge in (start, end)]
    for is_end in (False, True):
        seconds = int(whole[is_end].timestamp())
        assert stamps.write_edge(moment, "rfc3339", "UTC", is_end=is_end) == (end if is_end else start)
        assert stamps.write_edge(moment, "epoch-s", "UTC", is_end=is_end) == str(seconds)
        assert stamps.write_edge(moment, "epoch-ms", "UTC", is_end=is_end) == str(seconds * 1000)


# ---- answers


def test_a_record_that_lasts_beyond_what_was_agreed_is_in_no_total() -> None:
    text = declaration("json").replace('instant = "at"\n', 'span = ["at"]\nlength = 7200\n')
    text = text.replace('made = { date = "month" }\n', "")
    its = planned(text, "blurred.monthly", ("which", "sum", "more"))
    agreed = Window(datetime(2026, 1, 31, 23, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC))
    asked = Asked("GET", f"/lines/{MINE.ref}/monthly", (("since", "2026-09-30T22:00:00Z"),))
    sent = its.request(asked, agreed)
    assert isinstance(sent, Upstream) and isinstance(its, TablePlan)
    answering = Answering(its, sent, agreed)
    body = document("json", [one(at="2026-10-15T10:00:00Z", price="10"), one(at="2026-10-31T22:30:00Z", price="5")])
    assert answering.page(sent, TYPES["json"], body) == ""
    [october] = [each for each in json.loads(answering.cut().body) if each["from"] >= "2026-10"]
    assert (october["count"], october["sum"]) == (1, "10")


def test_a_record_that_lasts_for_several_parts_counts_once_wherever_it_is_sent() -> None:
    """One bill of 23 days, of an organisation that gives what begins or ends in the part that it is asked for."""
    text = declaration("json").replace('query = ["since", "until"]\n', 'query = ["since", "until"]\ndays = 7\n')
    text = text.replace('instant = "at"\n', 'span = ["at", "place"]\n').replace('made = { date = "month" }\n', "")
    its = planned(text.replace("made = { keep = 2 }", "structural = true"), "blurred.monthly", ("which", "sum", "more"))
    agreed = Window(datetime(2026, 8, 31, 22, tzinfo=UTC), datetime(2026, 10, 31, 23, tzinfo=UTC))
    start, end = datetime(2026, 9, 2, tzinfo=UTC), datetime(2026, 9, 25, tzinfo=UTC)
    bill = one(at=start.isoformat(), place=end.isoformat(), price="10")
    query: tuple[tuple[str, str], ...] = ()
    answering: Answering | None = None
    token = "first"
    while token:
        sent = its.request(Asked("GET", f"/lines/{MINE.ref}/monthly", query), agreed)
        assert isinstance(sent, Upstream) and isinstance(its, TablePlan)
        answering = answering or Answering(its, sent, agreed)
        low, high = (datetime.fromisoformat(edge) for edge in edges(sent))
        there = low <= start < high or low <= end < high
        token = answering.page(sent, TYPES["json"], document("json", [bill] if there else []))
        query = (("page_token", token),)
    assert answering is not None
    [september] = json.loads(answering.cut().body)
    assert (september["count"], september["sum"]) == (1, "10")


# ---- listings


def page(number: int) -> bytes:
    return document("json", [one()])[:-1] + b',"next":"/lines/x/calls?p=%d"}' % number


def listings(its: Plan, *query: tuple[str, str]) -> list[str]:
    sent = ask(its, *query)
    found = [paging.listing(sent)]
    for number in (2, 3):
        later = following(its, sent, page(number))
        assert later is not None
        found.append(paging.listing(later))
        sent = later
    return found


def test_all_pages_of_a_listing_and_no_others_are_of_it() -> None:
    """What one use of an agreement is: a page of another period, or of another choice, is no page of this listing."""
    its = planned(in_parts(days=400), "blurred.calls", FIELDS)
    one_month = listings(its, ("since", "2026-10-01T00:00:00Z"), ("until", "2026-11-01T00:00:00Z"))
    another = listings(its, ("since", "2026-09-01T00:00:00Z"), ("until", "2026-11-01T00:00:00Z"))
    assert len(set(one_month)) == len(set(another)) == 1 and one_month[0] != another[0]
    assert one_month == listings(its, ("since", "2026-10-01T00:00:00Z"), ("until", "2026-11-01T00:00:00Z"))


# ---- what else was found


@pytest.mark.parametrize("value", ["1234,56", "1 234,56", "-1234,56", "1234"])
def test_a_number_of_which_so_many_characters_stay_is_read_with_its_decimal_mark(value: str) -> None:
    text = in_parts("csv").replace('round = "0.5"', "keep = 2")
    its = planned(text, "blurred.calls", FIELDS)
    found = cut(its, "csv", "calls", document("csv", [one(price="PRICE")]).replace(b"PRICE", value.encode()))
    in_json = planned(in_parts("json").replace('round = "0.5"', "keep = 2"), "blurred.calls", FIELDS)
    plain = value.replace(",", ".").replace(" ", "")
    [same] = records_of("json", cut(in_json, "json", "calls", document("json", [one(price=plain)])).body)
    assert records_of("csv", found.body)[0].get("price") == same.get("price")


@pytest.mark.parametrize("what", ["calls", "monthly"])
@pytest.mark.parametrize("tag", ["Anruf", 'Call xmlns="urn:x"'])
def test_records_of_xml_under_another_name_are_no_empty_answer(tag: str, what: str) -> None:
    its = planned(declaration("xml"), f"blurred.{what}", ("line", "month", "which", "sum", "more"))
    body = document("xml", [one()]).replace(b"<Call>", b"<%b>" % tag.encode())
    body = body.replace(b"</Call>", b"</%b>" % tag.split(" ")[0].encode())
    assert body != document("xml", [one()])
    sent = ask(its, what=what)
    with pytest.raises(UnknownShape, match=r"Calls\.Call"):
        if what == "calls":
            its.cut(sent, TYPES["xml"], body, WINDOW)
        else:
            assert isinstance(its, TablePlan)
            Answering(its, sent, WINDOW).page(sent, TYPES["xml"], body)


def test_something_new_beside_no_records_is_no_record_of_another_name() -> None:
    its = planned(in_parts("xml"), "blurred.calls", FIELDS, heard=True)
    body = document("xml", []).replace(b"</Calls>", b"<total>0</total></Calls>")
    assert b"<total>" in body or body.endswith(b"<Calls/>")
    body = b"<Calls><total>0</total></Calls>"
    assert its.cut(ask(its), TYPES["xml"], body, WINDOW).counts.records == 0
    with pytest.raises(UnknownShape):
        its.cut(ask(its), TYPES["xml"], b"<Calls><Anruf><at>x</at></Anruf></Calls>", WINDOW)
    with pytest.raises(UnknownShape):
        its.cut(ask(its), TYPES["xml"], b"<Calls><Anruf at='x'/></Calls>", WINDOW)


def test_a_token_of_before_listings_is_of_a_listing_of_its_own() -> None:
    its = planned(in_parts(days=400), "blurred.calls", FIELDS)
    assert isinstance(its, TablePlan)
    sent = ask(its)
    context = its.calls.context(its.form.calls["calls"], its.parts["blurred.calls"].names, MINE.ref)
    old = its.source.sealer.seal(json.dumps(["", [["p", "2"]], [None, None]]), "page", *context)
    later = ask(its, ("page_token", old))
    assert dict(later.query)["p"] == "2" and paging.listing(later) != paging.listing(sent)


def test_the_place_told_is_of_what_is_wrong_and_not_of_what_nobody_declared() -> None:
    its = planned(in_parts(), "blurred.calls", FIELDS, heard=True)
    body = document("json", [one(), one(price="2")]).replace(b'"place"', b'"canary":1,"place"')
    assert its.cut(ask(its), TYPES["json"], body, WINDOW).counts.records == 2
    with pytest.raises(UnknownShape, match=r"^items\[1\]"):
        its.cut(ask(its), TYPES["json"], body.replace(b'"price":2', b'"price":[]'), WINDOW)
