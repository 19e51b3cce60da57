"""Nothing finer than was agreed is found out: not beside the records, by parts, by tokens or by numbers of accounts.

And a total is right however an organisation's pages, parts and stamps lie.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.formats import everything, paging
from gateway.formats.answering import Answering
from gateway.formats.model import Account, Asked, Cut, Denied, NotThere, Plan, UnknownShape, Upstream
from gateway.formats.table_plan import TablePlan
from gateway.ground.calendar.instants import Window
from tests.formats.flat_calls import (
    DRIVERS,
    MINE,
    TYPES,
    cut,
    declaration,
    document,
    field,
    one,
    plan,
    planned,
    records_of,
)

ALL = ("line", "month", "code", "band", "about", "cut", "noted", "area")
TOTALS = ("which", "sum", "more")
WINDOW = Window(datetime(2026, 2, 10, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC))
PAGES = {"json": 'by = "link"\nat = "next"\n'}


def ask(its: Plan, what: str, *query: tuple[str, str], window: Window = WINDOW) -> Upstream:
    sent = its.request(Asked("GET", f"/lines/{MINE.ref}/{what}", query), window)
    assert isinstance(sent, Upstream), sent
    return sent


def token_of(found: Cut) -> tuple[str, str]:
    [pair] = parse_qsl(urlsplit(found.following).query)
    return pair


def answered(its: Plan, says: Callable[[Upstream], bytes], *query: tuple[str, str], driver: str = "json") -> Any:
    """The answer over all pages of an organisation that says what `says` makes of each call."""
    assert isinstance(its, TablePlan)
    sent = ask(its, "monthly", *query)
    answering = Answering(its, sent, WINDOW)
    while token := answering.page(sent, TYPES[driver], says(sent)):
        sent = ask(its, "monthly", ("page_token", token))
    return json.loads(answering.cut().body)


# ---- beside the records, and where presence would tell


def test_what_leaves_coarser_stays_out_beside_the_records_of_xml() -> None:
    text = declaration("xml").replace('Calls = "Call:Call* @next:s"', 'Calls = "Summary:Summary Call:Call* @next:s"\n'
        'Summary = "@dearest:n total:n @mark:s remark:s"')  # fmt: skip
    text = text.replace('find = ["Call/price"]', 'find = ["Call/price", "Summary/@dearest", "Summary/total"]')
    text = text.replace('find = ["Call/@note"]', 'find = ["Call/@note", "Summary/@mark", "Summary/remark"]')
    around = "".join(f'"Summary/{name}" = "same"\n' for name in ("@dearest", "total", "@mark", "remark"))
    its = planned(text.replace("[format.shapes]", f"[format.around]\n{around}[format.shapes]"), "blurred.calls", ALL)
    head = '<Calls><Summary dearest="0.1234" mark="secret"><total>0.5678</total><remark>secret</remark></Summary>'
    body = document("xml", [one()]).replace(b"<Calls>", head.encode())
    found = cut(its, "xml", "calls", body).body
    assert b"Summary" not in found or not any(each in found for each in (b"0.1", b"0.5", b"0.0", b"secret", b"true"))
    assert b"<Call" in found


@pytest.mark.parametrize("driver", DRIVERS)
def test_whether_something_is_there_is_not_told_where_it_may_not_be_given(driver: str) -> None:
    note = "@note" if driver == "xml" else "note"
    only = f'[format.only."Call/{note}"]\nmember = "place"\nis = ["shop"]\n'
    text = declaration(driver).replace("[format.shapes]", only + "[format.shapes]")
    its = planned(text.replace("made = { keep = 2 }", "structural = true"), "blurred.calls", ALL)
    body = document(driver, [one(note="x", place="home"), one(note="x", place="shop"), one(note=" ", place="shop")])
    found = records_of(driver, cut(its, driver, "calls", body).body)
    assert [record["note"] for record in found] == ["false", "true", "false"]


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("spelt", ["12345678", "12345678.0"])
def test_an_account_that_is_a_number_stays_in_no_number(driver: str, spelt: str) -> None:
    text = (
        declaration(driver, length="n")
        .replace('band = ["60", "600"]', "cut = 0")
        .replace('round = "0.5"', 'round = "1"')
    )
    its = planned(text, "blurred.calls", ALL, Account("12345678", MINE.ref))
    body = document(driver, [one(line="12345678", length=spelt, price=spelt)])
    found = cut(its, driver, "calls", body)
    assert found.counts.records == 1 and b"12345678" not in found.body


# ---- parts of a period, and tokens


def test_a_token_of_an_exact_agreement_is_no_way_to_the_exact_time_of_a_coarser_one() -> None:
    code = '[[datasets.field]]\nid = "code"'
    text = declaration("json").replace(code, field("when", "Call/at") + code, 1)
    exact, coarse = planned(text, "blurred.calls", [*ALL, "when"]), planned(text, "blurred.calls", ALL)
    minute = (("since", "2026-10-03T10:11:00Z"), ("until", "2026-10-03T10:12:00Z"))
    sent = ask(exact, "calls", *minute)
    body = document("json", [one()])[:-1] + b',"next":"/lines/x/calls?p=2"}'
    token = token_of(exact.cut(sent, TYPES["json"], body, WINDOW))
    assert dict(ask(exact, "calls", token).query)["since"] == "2026-10-03T10:11:00Z"
    narrowed = dict(ask(coarse, "calls", token).query)
    assert (narrowed["since"], narrowed["until"]) == ("2026-09-30T22:00:00Z", "2026-10-31T23:00:00Z")


def test_a_month_is_not_found_out_by_days() -> None:
    text = declaration("json").replace('query = ["since", "until"]\n', 'query = ["since", "until"]\ndays = 1\n', 1)
    with pytest.raises(AssertionError, match="a page of 1 days would tell"):
        planned(text, "blurred.calls", ALL)


@pytest.mark.parametrize("edge", ["until", "since"])
@pytest.mark.parametrize("at", ["9999-12-31T23:30:00Z", "0001-01-01T00:00:00Z"])
def test_the_ends_of_the_calendar_are_no_fault_of_ours(edge: str, at: str) -> None:
    sent = plan("json", "blurred.calls", *ALL).request(Asked("GET", f"/lines/{MINE.ref}/calls", ((edge, at),)), WINDOW)
    assert isinstance(sent, Denied | Upstream)


# ---- what the organisation is asked, under names of its own


RENAMED = """asks = "/cdr?line={account}&from={since}&to={until}&select={sel}&level={detail}"
query = ["since", "until", "sel", "detail"]
"""


def renamed() -> str:
    text = declaration("json").replace('path = "/lines/{account}/calls"\nquery = ["since", "until"]\n',
                                       'path = "/lines/{account}/calls"\n' + RENAMED)  # fmt: skip
    more = 'sel = { as = "fields" }\ndetail = { as = "choice", values = ["full"], needs = "area" }\n'
    return text.replace("[[format.calls]]", more + "[[format.calls]]", 1)


def test_period_and_members_are_put_back_under_the_organisations_own_names() -> None:
    its = planned(renamed(), "blurred.calls", ALL)
    body = document("json", [one()])[:-1] + b',"next":"/cdr?line=other&select=*&level=full&from=1900-01-01&key=7"}'
    first = ask(its, "calls", ("sel", "price"))
    assert set(dict(first.query)["select"].split(",")) == {"price", "at", "line", "note"}
    second = dict(ask(its, "calls", token_of(its.cut(first, TYPES["json"], body, WINDOW))).query)
    assert second["line"] == MINE.native and second["from"] == dict(first.query)["from"] and second["key"] == "7"
    assert "*" not in second["select"] and "other" not in second.values()


def test_a_parameter_that_needs_a_field_needs_it_on_each_page() -> None:
    full, less = planned(renamed(), "blurred.calls", ALL), planned(renamed(), "blurred.calls", ALL[:-1])
    body = document("json", [one()])[:-1] + b',"next":"/cdr?line=x&level=full&key=7"}'
    token = token_of(full.cut(ask(full, "calls", ("detail", "full")), TYPES["json"], body, WINDOW))
    assert dict(ask(full, "calls", token).query)["level"] == "full"
    refused = less.request(Asked("GET", f"/lines/{MINE.ref}/calls", (token,)), WINDOW)
    assert isinstance(refused, Denied) and refused.asked == "area"


@pytest.mark.parametrize("text", ["msisdn:{account}", "eq.{account}", "msisdn eq '{account}' and x eq 1"])
def test_a_word_inside_a_longer_value_is_filled(text: str) -> None:
    its = planned(declaration("json").replace('path = "/lines/{account}/calls"\n',
        f'path = "/lines/{{account}}/calls"\nasks = "/cdr?filter={text}"\n'), "blurred.calls", ALL)  # fmt: skip
    assert dict(ask(its, "calls").query)["filter"] == text.replace("{account}", MINE.native)


def test_a_value_that_would_end_what_it_stands_in_is_not_written_there() -> None:
    text = declaration("json").replace('path = "/lines/{account}/calls"\n',
        'path = "/lines/{account}/calls"\nasks = "/cdr?filter=x eq \'{account}\'"\n')  # fmt: skip
    its = planned(text, "blurred.calls", ALL, Account("1' or '1' eq '1", MINE.ref))
    assert isinstance(its.request(Asked("GET", f"/lines/{MINE.ref}/calls"), WINDOW), Denied)


@pytest.mark.parametrize("address", ["/customers/C-2/calls?p=2", "https://blurred.example/customers/C-1/calls?p=2"])
def test_a_link_with_a_customer_in_its_path_leads_to_hers(address: str) -> None:
    text = declaration("json").replace('path = "/lines/{account}/calls"\n',
        'path = "/lines/{account}/calls"\nasks = "/customers/{customer}/calls?line={account}"\n')  # fmt: skip
    its = planned(text, "blurred.calls", ALL)
    body = document("json", [one()])[:-1] + b',"next":"%b"}' % address.encode()
    found = its.cut(ask(its, "calls"), TYPES["json"], body, WINDOW)
    later = ask(its, "calls", token_of(found))
    assert later.path == "/customers/{customer}/calls" and dict(later.query)["p"] == "2"
    other = its.cut(ask(its, "calls"), TYPES["json"], body.replace(b"/calls?p", b"/else?p"), WINDOW)
    assert (other.following, other.notice) == ("", "next-page-unusable")


@pytest.mark.parametrize(
    ("link", "leads"),
    [
        ('</a?p=2>; rel="next", </b>; rel="last"', "/a?p=2"),
        ('</a>; rel="last next"', "/a"), ('</a>; rel = "next"', "/a"),
        ('</a>; title="a, b>"; rel="next"', "/a"), ('</z?p=9>; rel="next-archive", </a>; rel="next"', "/a"),
        ('</z>; rel="next"; anchor="/other", </a>; rel=next', "/a"), ("</a>;REL=NEXT", "/a"), ("</a>; rel=nextto", ""),
        (", ".join(f'</{number}>; rel="item"' for number in range(400)) + ', </a>; rel="next"', "/a"),
        ("<>;" * 6000, ""),
    ],
)  # fmt: skip
def test_links_are_read_as_they_are_written(link: str, leads: str) -> None:
    assert paging.of_header(link) == leads


@pytest.mark.parametrize("size", [3000, 7_900_000])
def test_a_key_of_a_page_that_is_too_long_is_said_to_be_unusable(size: int) -> None:
    text = declaration("json").replace(PAGES["json"], 'by = "cursor"\nat = "next"\nparameter = "cursor"\n')
    text = text.replace("[[format.calls]]", 'cursor = { as = "page" }\n[[format.calls]]', 1)
    its = planned(
        text.replace('query = ["since", "until"]\n', 'query = ["since", "until", "cursor"]\n', 1), "blurred.calls", ALL
    )
    body = document("json", [one()])[:-1] + b',"next":"%b"}' % (b"k" * size)
    found = its.cut(ask(its, "calls"), TYPES["json"], body, WINDOW)
    assert (found.following, found.notice) == ("", "next-page-unusable")


# ---- totals


def weekly(days: int, more: str = "") -> str:
    text = declaration("json").replace('asks = "/lines/{account}/calls"\n',
                                       f'asks = "/lines/{{account}}/calls"\ndays = {days}\n')  # fmt: skip
    return text.replace('instant = "at"\n', f'instant = "at"\n{more}')


def edges(sent: Upstream) -> tuple[datetime, datetime]:
    query = dict(sent.query)
    since, until = (datetime.fromisoformat(query[name]) for name in ("since", "until"))
    return since, until


HALF_HOURS = [
    datetime(2026, 10, 1, tzinfo=UTC) - timedelta(hours=2) + timedelta(minutes=30 * n) for n in range(1, 1491)
]


@pytest.mark.parametrize("days", [1, 5, 7, 31])
@pytest.mark.parametrize("until", ["before", "with", "touching", "ignored"])
def test_each_reading_counts_once_whatever_the_parts_and_stamps(days: int, until: str) -> None:
    """Stamps are the ends of half-hours; whatever edges an organisation counts in."""
    its = planned(weekly(days, "ends = true\nlength = 1800\n"), "blurred.monthly", TOTALS)

    def says(sent: Upstream) -> bytes:
        low, high = edges(sent)
        inside = {
            "before": lambda at: low <= at < high,
            "with": lambda at: low < at <= high,
            "touching": lambda at: low <= at <= high,
            "ignored": lambda at: True,
        }[until]
        return document("json", [one(at=at.isoformat(), price="1") for at in HALF_HOURS if inside(at)])

    [october] = [each for each in answered(its, says, ("since", "2026-10-01T00:00:00Z")) if each["from"] >= "2026-10"]
    # a part of one day has no room for the moment more that the very last reading takes, stamped where the period ends
    assert october["count"] == len(HALF_HOURS) - (until == "before" and days == 1)


def test_two_readings_alike_at_the_edge_of_a_part_are_two() -> None:
    its = planned(weekly(7), "blurred.monthly", TOTALS)
    edge = datetime(2026, 10, 7, 22, tzinfo=UTC)  # the second part of October begins

    def says(sent: Upstream) -> bytes:
        low, high = edges(sent)
        return document("json", [one(at=edge.isoformat(), price="1")] * 2 if low <= edge <= high else [])

    assert [each["count"] for each in answered(its, says, ("since", "2026-10-01T00:00:00Z"))] == [2]


@pytest.mark.parametrize("driver", DRIVERS)
def test_the_total_of_a_month_does_not_depend_on_what_else_was_asked_for(driver: str) -> None:
    text = declaration(driver).replace('instant = "at"\n', 'instant = "at"\nlength = 1200\n')
    its = planned(text, "blurred.monthly", TOTALS)
    over_midnight = one(at="2026-05-31T21:50:00Z", price="7.31")
    body = document(driver, [one(at="2026-05-15T10:00:00Z", price="10"), over_midnight])
    asked = [answered(its, lambda _: body, ("until", until), driver=driver)
             for until in ("2026-05-31T22:00:00Z", "2026-06-30T22:00:00Z")]  # fmt: skip
    assert asked[0] == asked[1] and asked[0][0]["sum"] == "17.31"


def test_what_an_app_chose_is_asked_for_on_every_page_and_in_every_part() -> None:
    text = weekly(31).replace('days = 31\nquery = ["since", "until"]', 'days = 31\nquery = ["since", "until", "kind"]')
    text = text.replace('asks = "/lines/{account}/calls"', 'asks = "/lines/{account}/calls?type={kind}"')
    text = text.replace("[[format.calls]]", 'kind = { as = "choice", values = ["voice"] }\n[[format.calls]]', 1)
    its = planned(text, "blurred.monthly", TOTALS)
    kinds: list[str | None] = []

    def says(sent: Upstream) -> bytes:
        query = dict(sent.query)
        kinds.append(query.get("type"))
        low, _ = edges(sent)
        body = document("json", [one(at=low.isoformat(), price="1")] * (2 if "p" in query else 1))
        return body if "p" in query else body[:-1] + b',"next":"/lines/x/calls?p=2"}'

    answered(its, says, ("since", "2026-08-01T00:00:00Z"), ("kind", "voice"))
    assert len(kinds) == 6 and set(kinds) == {"voice"}


def test_no_days_that_are_not_there_yet_are_asked_for() -> None:
    its = planned(weekly(7), "blurred.monthly", TOTALS)
    later = Window(datetime(2026, 10, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC))
    sent, parts = ask(its, "monthly", window=later), []
    answering = Answering(its, sent, later)  # type: ignore[arg-type]
    while True:
        parts.append(edges(sent))
        token = answering.page(sent, TYPES["json"], document("json", []))
        if not token:
            break
        sent = ask(its, "monthly", ("page_token", token), window=later)
    assert parts[-1][1] <= datetime(2026, 11, 22, tzinfo=UTC) and len(parts) == 3


def test_the_last_part_has_an_end_where_the_agreement_has_none() -> None:
    its = planned(weekly(7).replace('made = { date = "month" }\n', ""), "blurred.monthly", TOTALS)
    sent = ask(its, "monthly", window=Window(datetime(2026, 11, 14, tzinfo=UTC), None))
    assert edges(sent)[1] > datetime(2026, 11, 14, tzinfo=UTC)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [('instant = "at"\n', "", "would count in each part"),
     ('until = { as = "to", written = "rfc3339" }', 'until = { as = "to", written = "month" }', "holds more days"),
     ('since = { as = "from", written = "rfc3339" }', 'since = { as = "from", written = "date", zone = "UTC" }',
      "would touch one day more")],
)  # fmt: skip
def test_parts_that_cannot_be_right_are_faults(old: str, new: str, told: str) -> None:
    with pytest.raises(AssertionError, match=told):
        planned(weekly(7).replace(old, new), "blurred.monthly", TOTALS)


def test_a_neutral_text_with_a_separator_stays_in_its_cell() -> None:
    text = declaration("csv").replace(
        "[format.shapes]", '[format.required]\n"Call/tax" = { instead = "n/a; none" }\n[format.shapes]'
    )
    found = cut(planned(text, "blurred.calls", ALL), "csv", "calls", document("csv", [one(tax="word"), one(tax="1")]))
    assert [record["tax"] for record in records_of("csv", found.body)] == ["n/a; none", "1.0"]


def test_large_surroundings_are_not_kept() -> None:
    its = plan("json", "blurred.calls", *ALL)
    assert isinstance(its, TablePlan)
    body = document("json", [one()])[:-1] + b',"next":"%b"}' % (b"k" * 100_000)
    its.cut(ask(its, "calls"), TYPES["json"], body, WINDOW)
    assert not any(len(str(key)) > 50_000 for view in its._views.values() for key in view.held)  # type: ignore[attr-defined]


def test_an_answer_over_a_page_that_leads_to_itself_is_none() -> None:
    its = plan("json", "blurred.monthly", *TOTALS)
    body = document("json", [one()])[:-1] + b',"next":"/lines/x/calls?p=2"}'
    with pytest.raises(UnknownShape):
        answered(its, lambda sent: body)


# ---- answers that leave before their end is read


def exact(driver: str, days: int = 7) -> str:
    text = declaration(driver).replace(
        'query = ["since", "until"]\n', f'query = ["since", "until"]\ndays = {days}\n', 1
    )
    return text.replace('made = { date = "month" }\n', "")


@pytest.mark.parametrize("driver", ["ndjson", "csv"])
def test_the_next_page_of_a_stream_is_told_before_its_first_byte(driver: str) -> None:
    its = planned(exact(driver), "blurred.calls", ALL)
    assert isinstance(its, TablePlan)
    sent = ask(its, "calls", ("since", "2026-10-01T00:00:00Z"))
    assert its.cutter(sent, TYPES[driver], WINDOW) is not None  # type: ignore[attr-defined]  # each engine's
    part, _ = its.ahead(sent, "")
    later = ask(its, "calls", *parse_qsl(urlsplit(part).query))
    assert edges(later)[0] == edges(sent)[1]
    page, _ = its.ahead(sent, '</lines/x/calls?p=2>; rel="next"')
    assert dict(ask(its, "calls", *parse_qsl(urlsplit(page).query)).query)["p"] == "2"
    assert its.ahead(sent, '<https://elsewhere.example/x>; rel="next"') == ("", "next-page-unusable")


def test_an_answer_is_no_stream_where_only_its_end_tells_of_the_next_page() -> None:
    text = declaration("csv").replace('by = "link-header"\n', 'by = "page"\nparameter = "page"\n')
    text = text.replace("[[format.calls]]", 'page = { as = "page" }\n[[format.calls]]', 1)
    its = planned(text, "blurred.calls", ALL)
    assert its.cutter(ask(its, "calls"), TYPES["csv"], WINDOW) is None
    alone = planned(text.replace('name = "calls"\n', 'name = "calls"\npages = false\n'), "blurred.calls", ALL)
    assert alone.cutter(ask(alone, "calls"), TYPES["csv"], WINDOW) is not None


# ---- her own copy


def test_her_own_copy_names_a_period_where_a_call_must() -> None:
    its = planned(exact("json", 31), "blurred.calls", ALL)
    assert isinstance(its, TablePlan)
    asked: list[Upstream] = []

    def fetch(sent: Upstream) -> tuple[str, bytes]:
        asked.append(sent)
        if edges(sent)[0].year < 2025:
            raise NotThere  # she was no customer yet
        return TYPES["json"], document("json", [one()])

    call = its.form.calls["calls"]
    found = [record for page in everything.pages(its.form, its.source, fetch, call, MINE.native) for record in page]
    assert len(found) == len([each for each in asked if edges(each)[0].year >= 2025]) > 20
    assert all(edges(before)[1] == edges(after)[0] for before, after in pairwise(asked))
    assert edges(asked[0])[0].year == 2023 and edges(asked[-1])[1] == datetime(2026, 11, 15, 12, tzinfo=UTC)
