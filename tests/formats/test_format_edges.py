"""Edges at which one comparison decides: each is shown from both sides."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.formats.answering import Answering
from gateway.formats.model import Asked, Denied, Plan, UnknownShape, Upstream
from gateway.formats.table_plan import TablePlan
from gateway.ground.calendar.instants import Window
from tests.formats.flat_calls import (
    DRIVERS,
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

TOTALS = ("which", "sum", "more")


def requested(its: Plan, what: str, *query: tuple[str, str], window: Window = WINDOW) -> Upstream | Denied:
    return its.request(Asked("GET", f"/lines/{MINE.ref}/{what}", query), window)


def totals(text: str, records: list[Any], *query: tuple[str, str]) -> list[dict[str, Any]]:
    its = planned(text, "blurred.monthly", TOTALS)
    sent = requested(its, "monthly", *query)
    assert isinstance(sent, Upstream) and isinstance(its, TablePlan)
    answering = Answering(its, sent, WINDOW)
    assert answering.page(sent, TYPES["json"], document("json", records)) == ""
    found: Any = json.loads(answering.cut().body)
    return found if isinstance(found, list) else [found]


def test_a_month_that_is_not_over_has_no_total_whatever_end_was_asked_for() -> None:
    """Its total would grow with each new record, and tell them one by one."""
    records = [one(at="2026-10-05T10:00:00Z", price="1"), one(at="2026-11-14T10:00:00Z", price="2")]
    for until in ("2026-11-15T00:00:00Z", "2026-12-31T23:00:00Z", "2027-12-31T23:00:00Z"):
        found = totals(declaration("json"), records, ("since", "2026-09-30T22:00:00Z"), ("until", until))
        assert [each["from"][:7] for each in found] == ["2026-10"], until


def test_an_answer_over_all_is_asked_for_without_a_period() -> None:
    text = declaration("json").replace('per = "month"', 'per = "all"')
    its = planned(text, "blurred.monthly", TOTALS)
    assert isinstance(requested(its, "monthly"), Upstream)
    for name in ("since", "until"):
        denied = requested(its, "monthly", (name, "2026-10-01T00:00:00Z"))
        assert isinstance(denied, Denied) and denied.asked == name


@pytest.mark.parametrize(("days", "counts"), [(31, True), (33, False)])
def test_a_record_that_lasts_longer_than_any_month_is_in_no_total_of_one(days: int, counts: bool) -> None:
    text = declaration("json").replace('instant = "at"\n', f'span = ["at"]\nlength = {days * 86400}\n')
    text, records = text.replace('made = { date = "month" }\n', ""), [one(at="2026-07-01T00:00:00Z", price="5")]
    if counts:
        assert [each["count"] for each in totals(text, records)] == [1]
    else:
        with pytest.raises(UnknownShape):
            totals(text, records)


@pytest.mark.parametrize("included", [True, False])
def test_the_day_of_an_end_that_is_included_is_asked_for(included: bool) -> None:
    way = f'until = {{ as = "to", written = "date", included = {str(included).lower()} }}'
    text = exact().replace('until = { as = "to", written = "rfc3339" }', way)
    sent = requested(planned(text, "blurred.calls", FIELDS), "calls", ("until", "2026-10-31"))
    assert isinstance(sent, Upstream) and sent.period is not None
    assert sent.period.end == datetime(2026, 10, 31 if included else 30, 23, tzinfo=UTC)
    assert dict(sent.query)["until"] == "2026-10-31"


def test_a_moment_more_is_asked_for_without_parts_too() -> None:
    text = exact().replace('instant = "at"\n', 'instant = "at"\nends = true\nlength = 3600\n')
    for its, seconds in ((planned(text, "blurred.calls", FIELDS), 1), (planned(exact(), "blurred.calls", FIELDS), 0)):
        sent = requested(its, "calls", ("until", "2026-10-31T23:00:00Z"))
        assert isinstance(sent, Upstream) and dict(sent.query)["until"] == f"2026-10-31T23:00:0{seconds}Z"


def test_an_answer_is_asked_for_no_further_than_now_whatever_end_an_app_names() -> None:
    text = declaration("json").replace(
        'asks = "/lines/{account}/calls"\n', 'asks = "/lines/{account}/calls"\ndays = 31\n'
    )
    its = planned(text, "blurred.monthly", TOTALS)
    sent = requested(its, "monthly", ("since", "2026-10-01T00:00:00Z"), ("until", "2027-12-31T23:00:00Z"))
    assert isinstance(sent, Upstream) and isinstance(its, TablePlan) and not sent.ahead
    parts = 1
    while isinstance(sent, Upstream) and (leading := its.calls.after(sent)) is not None:
        assert leading.period is not None and leading.period.start is not None and leading.period.start < NOW
        parts += 1
        token = its.following(its.parts["blurred.monthly"], sent, leading)
        sent = requested(its, "monthly", ("page_token", token))
    assert parts == 2


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize(("seconds", "given"), [(-1, 0), (0, 0), (1, 1)])
def test_a_state_that_ends_where_the_period_begins_is_over(driver: str, seconds: int, given: int) -> None:
    text = exact(driver).replace('instant = "at"\n', 'state = ["at", "place"]\n')
    for old, new in (
        ('per = "month"', 'per = "all"'),
        ('"count", "first"]', '"count", "max"]'),
        (" first:d", " max:d"),
        ("Total/first", "Total/max"),
    ):
        text = text.replace(old, new)
    text = text.replace("made = { keep = 2 }", "structural = true")
    start = WINDOW.start
    assert start is not None
    until = (start + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = document(driver, [one(at="2026-01-01T00:00:00Z", place=until)])
    found = cut(planned(text, "blurred.calls", FIELDS), driver, "calls", body)
    assert found.counts.records == given == len(records_of(driver, found.body))


@pytest.mark.parametrize(("count", "given"), [(0, False), (1, True), (2, False)])
def test_a_number_of_pages_is_given_where_there_is_one(count: int, given: bool) -> None:
    text = exact().replace("next:s owner:s", "next:s owner:s pages:i")
    text = text.replace("[format.shapes]", '[format.around]\n"Answer/pages" = "only-page"\n[format.shapes]')
    text = text.replace('find = ["Call/line"]', 'find = ["Call/line", "Answer/pages"]')
    body = document("json", [one()])[:-1] + b',"pages":%d}' % count
    found = json.loads(cut(planned(text, "blurred.calls", FIELDS), "json", "calls", body).body)
    assert ("pages" in found) == given


LINKS = 'Links = "self:Link next:Link prev:Link"\n'


@pytest.mark.parametrize("order", [("self", "next", "prev"), ("next", "prev", "self"), ("prev", "self", "next")])
@pytest.mark.parametrize("driver", ["json", "xml"])
def test_of_several_links_of_one_type_only_the_next_page_is_followed_and_written(
    driver: str, order: tuple[str, ...]
) -> None:
    text = exact(driver)
    leads = {name: f"/lines/{MINE.native}/calls?p={page}" for name, page in (("prev", 1), ("self", 2), ("next", 3))}
    if driver == "json":
        text = text.replace("next:s owner:s", "links:Links").replace('at = "next"', 'at = "links.next.href"')
        text += LINKS + 'Link = "href:s"\n'
        links = json.dumps({name: {"href": leads[name]} for name in order})
        body = document("json", [one()])[:-1] + f',"links":{links}}}'.encode()
    else:
        text = text.replace("Call:Call* @next:s", "links:Links Call:Call*")
        text = text.replace('at = "Calls.@next"', 'at = "Calls.links.next.@href"') + LINKS + 'Link = "@href:s"\n'
        links = "".join(f'<{name} href="{leads[name]}"/>' for name in order)
        body = document("xml", [one()]).replace(b"<Calls>", f"<Calls><links>{links}</links>".encode())
    its = planned(text, "blurred.calls", FIELDS)
    found = cut(its, driver, "calls", body)
    token = dict(parse_qsl(urlsplit(found.following).query))
    following = requested(its, "calls", *token.items())
    assert isinstance(following, Upstream) and ("p", "3") in following.query
    assert found.body.count(b"page_token") == 1 and b"prev" not in found.body and b"self" not in found.body


@pytest.mark.parametrize("made", ["month", "year"])
def test_parts_of_days_would_tell_what_is_given_by_the_month_or_year(made: str) -> None:
    text = declaration("json").replace('query = ["since", "until"]\n', 'query = ["since", "until"]\ndays = 7\n', 1)
    with pytest.raises(AssertionError, match=f"no more than the {made}"):
        planned(text.replace('date = "month"', f'date = "{made}"'), "blurred.calls", FIELDS)
