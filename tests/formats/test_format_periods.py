"""The period an organisation is asked for: in parts where one call may not be for all of it, and in whatever zone."""

from datetime import UTC, datetime
from itertools import pairwise
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.formats.answering import Answering
from gateway.formats.model import Asked, Denied, Plan, Upstream
from gateway.formats.table_plan import TablePlan
from gateway.ground.calendar.instants import Window
from tests.formats.flat_calls import DRIVERS, MINE, TYPES, declaration, document, faults, one, planned

ALL = ("line", "month", "code", "band", "about", "cut", "noted", "area")
WINDOW = Window(datetime(2026, 2, 10, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))


def weekly(driver: str = "json", days: int = 7) -> str:
    """Each call with an exact time, and for no more than so many days."""
    text = declaration(driver).replace('query = ["since", "until"]\n', f'query = ["since", "until"]\ndays = {days}\n')
    return text.replace('made = { date = "month" }\n', "")


def edges(sent: Upstream) -> tuple[str, str]:
    query = dict(sent.query)
    return query["since"], query["until"]


def all_parts(its: Plan, driver: str, what: str, *query: tuple[str, str]) -> list[Upstream]:
    """The calls that an app's following pages lead to."""
    sent = its.request(Asked("GET", f"/lines/{MINE.ref}/{what}", query), WINDOW)
    found = []
    while True:
        assert isinstance(sent, Upstream), sent
        found.append(sent)
        following = its.cut(sent, TYPES[driver], document(driver, [one()]), WINDOW).following
        if not following:
            return found
        token = tuple(parse_qsl(urlsplit(following).query))
        sent = its.request(Asked("GET", f"/lines/{MINE.ref}/{what}", token), WINDOW)


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_long_period_is_asked_for_part_by_part(driver: str) -> None:
    its = planned(weekly(driver), "blurred.calls", ALL)
    query = (("since", "2026-10-20T15:30:00Z"), ("until", "2026-11-01T00:00:00Z"))
    parts = [edges(sent) for sent in all_parts(its, driver, "calls", *query)]
    assert parts == [
        ("2026-10-20T15:30:00Z", "2026-10-26T23:00:00Z"),  # seven local days; the hour went back on the 25th
        ("2026-10-26T23:00:00Z", "2026-11-01T00:00:00Z"),
    ]


def test_parts_lie_side_by_side_and_end_with_the_period() -> None:
    its = planned(weekly(days=30), "blurred.calls", ALL)
    parts = [edges(sent) for sent in all_parts(its, "json", "calls")]
    assert parts[0][0] == "2026-02-10T00:00:00Z" and parts[-1][1] == "2026-11-01T00:00:00Z" and len(parts) == 9
    assert all(before[1] == after[0] for before, after in pairwise(parts))


def test_a_period_that_is_short_enough_is_asked_for_at_once() -> None:
    its = planned(weekly(), "blurred.calls", ALL)
    query = (("since", "2026-10-01T00:00:00Z"), ("until", "2026-10-07T00:00:00Z"))
    assert len(all_parts(its, "json", "calls", *query)) == 1


def test_the_organisations_own_pages_come_before_the_next_part() -> None:
    its = planned(weekly(), "blurred.calls", ALL)
    asked = Asked("GET", f"/lines/{MINE.ref}/calls", (("since", "2026-10-18T22:00:00Z"),))
    targets = []
    while True:
        sent = its.request(asked, WINDOW)
        assert isinstance(sent, Upstream)
        targets.append((*edges(sent), dict(sent.query).get("p", "")))
        body = document("json", [one()])
        if "p" not in dict(sent.query):
            body = body[:-1] + b',"next":"/lines/x/calls?p=2&since=1999-01-01"}'
        following = its.cut(sent, TYPES["json"], body, WINDOW).following
        if not following:
            break
        asked = Asked("GET", asked.path, tuple(parse_qsl(urlsplit(following).query)))
    first, second = ("2026-10-18T22:00:00Z", "2026-10-25T23:00:00Z"), ("2026-10-25T23:00:00Z", "2026-11-01T00:00:00Z")
    assert targets == [(*first, ""), (*first, "2"), (*second, ""), (*second, "2")]


def test_a_token_of_a_part_reaches_no_further_than_the_period_it_was_given_in() -> None:
    its = planned(weekly(), "blurred.calls", ALL)
    sent = its.request(Asked("GET", f"/lines/{MINE.ref}/calls", (("since", "2026-10-01T00:00:00Z"),)), WINDOW)
    assert isinstance(sent, Upstream)
    token = tuple(parse_qsl(urlsplit(its.cut(sent, TYPES["json"], document("json", [one()]), WINDOW).following).query))
    later = Window(datetime(2026, 10, 15, tzinfo=UTC), datetime(2026, 10, 20, tzinfo=UTC))
    narrowed = its.request(Asked("GET", f"/lines/{MINE.ref}/calls", token), later)
    assert isinstance(narrowed, Upstream) and edges(narrowed) == ("2026-10-15T00:00:00Z", "2026-10-20T00:00:00Z")
    gone = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 10, 2, tzinfo=UTC))
    assert isinstance(its.request(Asked("GET", f"/lines/{MINE.ref}/calls", token), gone), Denied)


def test_an_answer_is_over_all_parts_and_a_record_counts_once() -> None:
    its = planned(weekly(days=31), "blurred.monthly", ["which", "sum", "more"])
    assert isinstance(its, TablePlan)
    sent = its.request(Asked("GET", f"/lines/{MINE.ref}/monthly"), WINDOW)
    assert isinstance(sent, Upstream)
    answering = Answering(its, sent, WINDOW)
    body = document("json", [one(at=f"2026-{month:02}-15T12:00:00Z", price="1") for month in range(1, 12)])
    calls = 1
    while token := answering.page(sent, TYPES["json"], body):  # of an organisation that heeds no period
        following = its.request(Asked("GET", f"/lines/{MINE.ref}/monthly", (("page_token", token),)), WINDOW)
        assert isinstance(following, Upstream)
        sent, calls = following, calls + 1
    assert calls == 8
    assert answering.cut().body.count(b'"count":1') == 8 and b'"count":2' not in answering.cut().body


def test_no_parts_where_a_call_has_no_period() -> None:
    text = weekly().replace('query = ["since", "until"]\n', 'query = ["since"]\n')
    assert any("without a parameter for both ends" in wrong for wrong in faults(text))


@pytest.mark.parametrize(("zone", "since"), [("Etc/GMT+1", "2026-10-01T21:00:00"), ("UTC", "2026-10-01T22:00:00")])
def test_a_parameter_may_have_a_zone_of_its_own(zone: str, since: str) -> None:
    """The organisation's dates are of Paris, and it is asked in another time: a real one wants GMT-1."""
    old = 'since = { as = "from", written = "rfc3339" }'
    text = weekly().replace(old, f'since = {{ as = "from", written = "local-datetime", zone = "{zone}" }}')
    its = planned(text, "blurred.calls", ALL)
    sent = its.request(Asked("GET", f"/lines/{MINE.ref}/calls", (("since", since),)), WINDOW)
    assert isinstance(sent, Upstream) and sent.period is not None
    assert edges(sent)[0] == since and sent.period.start == datetime(2026, 10, 1, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    ("new", "told"),
    [('{ as = "from", zone = "Mars/Base" }', "an IANA name"), ('{ as = "size", zone = "UTC" }', "leave it out")],
)
def test_a_zone_that_there_is_not_is_a_fault(new: str, told: str) -> None:
    text = declaration("json").replace('{ as = "from", written = "rfc3339" }', new)
    assert any(told in wrong for wrong in faults(text))
