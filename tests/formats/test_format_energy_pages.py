"""However a supplier links its pages, an app gets a sealed token: bound to its own view, the call and the period."""

import html
import re
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import pytest
from energy_documents import BATCH, DATASETS, POINT, all_of, city, cut_by, espi_feed
from format_documents import ALWAYS, BASES, MINE, OTHER, TYPES, YEAR, asked, granted, later, sent, source

from gateway.formats import registry
from gateway.formats.espi.calls import NONE, PUBLICATION
from gateway.formats.model import Account, Cut, Denied, Plan, UnknownShape, Upstream
from gateway.ground.calendar.instants import Window

PAGE = "https://org.example/espi/1_1/resource/Batch/Subscription/9B6C7070"
GATEWAY = source("energy").gateway_url + BASES["energy"]
HEAD = f"{GATEWAY}/Batch/Subscription/mine"
EDGES = (("published-min", "2025-01-01T00:00:00Z"), ("published-max", "2026-01-01T00:00:00Z"))
MATE = Account("native-4712", "pairwise_ref-of-aliceC")


def paged(*links: tuple[str, str], late: bool = False, feed: bytes | None = None) -> bytes:
    text = "".join(f'<link rel="{rel}" href="{html.escape(href)}"/>' for rel, href in links).encode()
    feed = feed or city()
    return feed.replace(b"</feed>", text + b"</feed>") if late else feed.replace(b"<entry>", text + b"<entry>", 1)


def shown(body: bytes) -> dict[str, str]:
    """The addresses of a feed by relation."""
    around = re.sub(rb"<entry>.*</entry>", b"", body, flags=re.DOTALL).decode()
    return {rel: html.unescape(href) for rel, href in re.findall('<link rel="([^"]*)" href="([^"]*)"', around)}


def answer(of: Plan, call: Upstream, *links: tuple[str, str], window: Window = ALWAYS) -> Cut:
    return of.cut(call, TYPES["energy"], paged(*links), window)


def followed(of: Plan, address: str, *more: tuple[str, str], window: Window = ALWAYS) -> Upstream | Denied:
    """The call that an app makes which follows a link."""
    parts = urlsplit(address)
    path = parts.path.removeprefix(urlsplit(GATEWAY).path)
    return of.request(asked("energy", path, *parse_qsl(parts.query), *more), window)


def next_call(of: Plan, url: str, *query: tuple[str, str], window: Window = ALWAYS) -> Upstream:
    found = answer(of, sent(of, "energy", BATCH, *query, window=window), ("next", url), window=window)
    assert found.following == shown(found.body)["next"] and not found.notice
    again = followed(of, found.following, window=window)
    assert isinstance(again, Upstream) and again.continues, again
    return again


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("query", ["start-index=101&max-results=100", "continuationToken=9B6C7070-2%2B%3D"])
def test_the_link_to_the_following_page_leads_to_it_and_costs_no_use(query, late, way, espi):
    of = all_of()
    call = sent(of, "energy", BATCH, window=YEAR)
    assert call.query == EDGES and not call.continues
    body = paged(("next", f"{PAGE}?{query}"), ("last", PAGE), ("first", PAGE), late=late)
    out = cut_by(way, of, call, body, YEAR)
    espi(out)
    given = shown(out)
    assert given.keys() == {"self", "first", "next"} and given["self"] == given["first"] == HEAD
    assert given["next"].startswith(HEAD + "?page_token=") and "9B6C7070" not in out.decode()
    page = followed(of, given["next"], window=YEAR)
    assert isinstance(page, Upstream) and page.continues and page.path == call.path
    assert page.query == (*EDGES, *parse_qsl(query))


@pytest.mark.parametrize(
    ("url", "query"),
    [
        (f"{PAGE}?after=a%2Fb%3D&x=", (("after", "a/b="), ("x", ""))),
        (f"{PAGE}/?cursor={'x' * 300}", (("cursor", "x" * 300),)),
        ("?$skiptoken=5", (("$skiptoken", "5"),)),
        ("https://internal:8080/v1/espi/1_1/resource/Batch/Subscription/another?page=2#top", (("page", "2"),)),
        (f"{PAGE}?a=1&a=2", (("a", "1"), ("a", "2"))),
    ],
)
def test_however_a_supplier_pages_its_next_page_is_asked_for_at_its_own_address(url, query):
    again = next_call(all_of(), url)
    assert again.query == query
    assert again.path == f"{BASES['energy']}/Batch/Subscription/{{subscription}}"  # the connector knows whose


def test_a_page_links_to_itself_and_to_the_pages_beside_it():
    of = all_of()
    second = next_call(of, "?key=b", ("max-results", "5"))
    found = answer(of, second, ("first", PAGE), ("prev", "?key=a"), ("next", "?key=c"))
    given = shown(found.body)
    assert given["first"] == f"{HEAD}?max-results=5"
    calls = [followed(of, given[each]) for each in ("self", "previous", "next")]
    assert [call.query for call in calls] == [(("key", key),) for key in "bac"]
    first = followed(of, given["first"])
    assert not first.continues and first.query == (("max-results", "5"),)


KEYS = source("energy").sealer


def of_one_house(*accounts: Account, published: str = "") -> Plan:
    """A plan whose seals others of the same house know."""
    whose = replace(source("energy"), sealer=KEYS, published=published)
    return registry.plan(whose, "espi-4", [granted(name, (), accounts) for name in DATASETS])


def test_a_following_page_is_one_at_another_process_and_after_a_restart_too():
    first, other = of_one_house(MINE), of_one_house(MINE)
    address = answer(first, sent(first, "energy", BATCH), ("next", "?key=b")).following
    assert followed(other, address) == followed(first, address)
    assert followed(other, address).continues


@pytest.mark.parametrize("start", ["0", "1", "01", "101"])
def test_a_page_that_an_app_names_itself_is_a_call_like_the_first(start):
    of = all_of()
    answer(of, sent(of, "energy", BATCH, window=YEAR), ("next", f"{PAGE}?start-index=101"), window=YEAR)
    assert not sent(of, "energy", BATCH, ("start-index", start), window=YEAR).continues


def test_a_token_is_of_one_app_one_person_one_call_and_one_query():
    of = of_one_house(MINE, MATE)
    query = (("max-results", "5"),)
    address = answer(of, sent(of, "energy", BATCH, *query), ("next", "?key=b")).following
    token = dict(parse_qsl(urlsplit(address).query))["page_token"]
    named = ("page_token", token)
    another = of_one_house(Account(MINE.native, "another-apps-reference"), MATE)
    assert followed(of, address).continues
    refused = [
        followed(another, address),
        followed(of, address, named),
        followed(of, address, ("updated-min", "2025-01-01T00:00:00Z")),
        followed(of, address[:-2] + "AA"),
        followed(of, f"{HEAD}?page_token={token}"),
        followed(of, f"{HEAD}?max-results=5&page_token={'A' * 60}"),
        followed(of, f"{HEAD}?max-results=5&page_token=short"),
        followed(of, f"{HEAD}/UsagePoint?max-results=5&page_token={token}"),
        followed(of, f"{GATEWAY}{POINT}?max-results=5&page_token={token}"),
        followed(of, f"{GATEWAY}{POINT}/MeterReading/01/IntervalBlock?max-results=5&page_token={token}"),
    ]
    assert [(case.reason, case.term) for case in refused] == [("field", "page_token")] * len(refused)
    assert isinstance(followed(of, address.replace("mine", f"mine/UsagePoint/{OTHER.ref}")), Denied)
    only = followed(of, f"{HEAD}?max-results=5&key=b")
    assert isinstance(only, Denied) and only.asked == "key"


def test_a_page_of_one_usage_point_leads_to_no_other():
    of = all_of(accounts=(MINE, MATE))
    path = "/Batch/Subscription/mine/UsagePoint"
    call = sent(of, "energy", f"{path}/{MINE.ref}")
    next_of = call.path.replace("{subscription}", "77")
    address = answer(of, call, ("next", f"{next_of}?key=b")).following
    again = followed(of, address)
    assert (again.path, again.accounts, again.query) == (call.path, (MINE,), (("key", "b"),))
    assert isinstance(followed(of, address.replace(MINE.ref, MATE.ref)), Denied)
    other = answer(of, call, ("next", f"{next_of.replace(MINE.native, MATE.native)}?key=b"))
    assert other.notice == "next-page-unusable" and "next" not in shown(other.body)


# ---- the period and what else was asked for


def test_the_period_is_put_back_on_a_following_page_whatever_its_link_says():
    of = all_of()
    wider = "?key=b&published-min=1999-01-01T00:00:00Z&published-max=2999-01-01T00:00:00Z"
    march = ("published-min", "2025-03-01T00:00:00Z")
    assert next_call(of, wider, window=YEAR).query == (*EDGES, ("key", "b"))
    assert next_call(of, wider, march, window=YEAR).query == (march, EDGES[1], ("key", "b"))
    unread = "?key=b&published-min=yesterday&published-max=2025-06-01"
    assert next_call(of, unread, window=YEAR).query == (*EDGES, ("key", "b"))


def test_the_period_of_a_following_page_is_that_agreed_when_it_is_asked_for():
    of = all_of()
    address = answer(of, sent(of, "energy", BATCH, window=YEAR), ("next", "?key=b"), window=YEAR).following
    shorter = Window(later(YEAR.start, 86400), YEAR.end)
    assert followed(of, address, window=shorter).query[0] == ("published-min", "2025-01-02T00:00:00Z")
    longer = Window(None, None)
    assert followed(of, address, window=longer).query == (*EDGES, ("key", "b"))
    over = followed(of, address, window=Window(YEAR.end, None))
    assert isinstance(over, Denied) and over.reason == "period"


def test_a_supplier_that_pages_by_time_is_followed_to_its_last_page():
    of = all_of()
    page = next_call(of, "?published-max=2025-06-01T00:00:00Z", window=YEAR)
    assert dict(page.query) == {EDGES[0][0]: EDGES[0][1], "published-max": "2025-06-01T00:00:00Z"}
    found = answer(of, page, ("next", "?published-max=2025-03-01T00:00:00Z"), window=YEAR)
    assert followed(of, found.following, window=YEAR).query[1] == ("published-max", "2025-03-01T00:00:00Z")
    for end in ("2024-06-01T00:00:00Z", "1748736000", "9999-12-31T23:59:59-14:00"):  # before the period, and unreadable
        assert answer(of, page, ("next", f"?published-max={end}"), window=YEAR).notice == "next-page-unusable"


def test_what_has_changed_since_is_asked_for_on_each_page():
    of = all_of()
    since = ("updated-min", "2025-05-01T00:00:00Z")
    second = next_call(of, "?key=b", since)
    assert second.query == (since, ("key", "b"))
    found = answer(of, second, ("next", "?key=c"))
    assert followed(of, found.following).query == (since, ("key", "c"))
    own = "2025-05-02T00:00:00Z"
    assert next_call(of, f"?updated-min={own}", since).query == (("updated-min", own),)


@pytest.mark.parametrize("published", [PUBLICATION, NONE])
def test_a_supplier_that_takes_the_period_for_something_else_is_not_sent_it_on_any_page(published):
    of = of_one_house(MINE, published=published)
    assert next_call(of, "?key=b", window=YEAR).query == (("key", "b"),)
    own = ("published-max", "2024-06-01T00:00:00Z")  # by which it pages itself
    assert next_call(of, f"?key=b&{'='.join(own)}", window=YEAR).query == (own, ("key", "b"))


# ---- links that lead nowhere

NOWHERE = {
    "another call": "https://org.example/elsewhere?key=2",
    "below": f"{PAGE}/UsagePoint?key=2",
    "another server": "https://mallory.example/?key=2",
    "upwards": "/espi/1_1/resource/Batch/Subscription/%2E%2E?key=2",
    "no path that can be read": "/espi/1_1/resource/Batch/Subscription/a%2Fb/c?key=2",
    "too long": f"?key={'x' * 3000}",
    "too long when sealed": "?" + "&".join("a" for _ in range(900)),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("address", NOWHERE.values(), ids=NOWHERE)
def test_a_page_whose_next_one_cannot_be_reached_is_given_and_says_so(address, late, espi):
    of = all_of()
    found = of.cut(sent(of, "energy", BATCH), TYPES["energy"], paged(("next", address), late=late), ALWAYS)
    espi(found.body)
    assert found.counts.records == 26 and shown(found.body).keys() == {"self"}
    assert (found.following, found.notice) == ("", "next-page-unusable")


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("address", NOWHERE.values(), ids=NOWHERE)
def test_a_stream_cannot_say_so_and_does_not_pass_for_a_whole_answer(address, late):
    of = all_of()
    with pytest.raises(UnknownShape) as fault:
        cut_by("stream", of, sent(of, "energy", BATCH), paged(("next", address), late=late))
    assert fault.value.where == "feed/link[next]"


def without_type() -> bytes:
    entries = re.findall("<entry>.*?</entry>", city().decode())
    return espi_feed(*(entry for entry in entries if "<ReadingType" not in entry))


def test_readings_without_their_type_are_refused_where_no_other_page_can_bring_it():
    of = all_of()
    call = sent(of, "energy", BATCH)
    linked = paged(("next", "?key=2"), feed=without_type())
    assert of.cut(call, TYPES["energy"], linked, ALWAYS).counts.records == 26
    for feed in (paged(("next", "/elsewhere?key=2"), feed=without_type()), without_type()):
        with pytest.raises(UnknownShape) as fault:
            of.cut(call, TYPES["energy"], feed, ALWAYS)
        assert fault.value.where == "feed/without[ReadingType]"


def test_the_last_page_may_leave_to_the_first_what_its_readings_need():
    of = all_of()
    last = next_call(of, "?key=b")
    assert of.cut(last, TYPES["energy"], without_type(), ALWAYS).counts.records == 26


@pytest.mark.parametrize("way", ["whole", "stream"])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(
    "links",
    [
        [("next", f"{PAGE}?start-index=2"), ("next", f"{PAGE}?start-index=3")],
        [("prev-archive", f"{PAGE}?start-index=2")],
        [("next-archive", f"{PAGE}?start-index=2")],
    ],
)
def test_an_answer_of_which_it_is_not_known_where_the_rest_is_does_not_pass_for_a_whole_one(links, late, way):
    of = all_of()
    with pytest.raises(UnknownShape):
        cut_by(way, of, sent(of, "energy", BATCH), paged(*links, late=late))


@pytest.mark.parametrize("spelt", ["Next", "http://www.iana.org/assignments/relation/next"])
def test_every_spelling_of_the_relation_leads_on(spelt):
    found = answer(of := all_of(), sent(of, "energy", BATCH), (spelt, "?key=2"))
    assert followed(of, found.following).query == (("key", "2"),)


def test_a_page_whose_own_address_has_become_too_long_is_given_with_that_of_the_first():
    of = all_of()
    call = sent(of, "energy", BATCH)
    keys = ("x" * length for length in range(3000, 2000, -1))
    found = next(found for key in keys if (found := answer(of, call, ("next", f"?key={key}"))).following)
    page = followed(of, found.following, window=YEAR)  # by now a period is agreed
    assert shown(answer(of, page, window=YEAR).body) == {"self": HEAD}


def test_a_link_back_that_leads_nowhere_is_left_out():
    of = all_of()
    found = answer(of, sent(of, "energy", BATCH), ("previous", "https://org.example/elsewhere"), ("first", "/x"))
    assert shown(found.body) == {"self": HEAD, "first": HEAD} and not found.notice


@pytest.mark.parametrize("query", [(), (("start-index", "101"),)])
def test_nothing_leads_round_in_a_circle(query):
    of = all_of()
    call = sent(of, "energy", BATCH, *query, window=YEAR)
    itself = "?" + "&".join("=".join(pair) for pair in (*EDGES, *query))
    for back in (itself, itself.partition("&published-max")[0], PAGE, "?", "", "#top"):
        found = answer(of, call, ("next", back), window=YEAR)
        assert "next" not in shown(found.body) and not found.following
    second = next_call(of, "?key=b", window=YEAR)
    for back in ("?key=b", f"{itself.partition('&start')[0]}&key=b", PAGE):
        found = answer(of, second, ("next", back), ("previous", PAGE), window=YEAR)
        assert "next" not in shown(found.body) and not found.following
        assert followed(of, shown(found.body)["previous"], window=YEAR).query == EDGES


def test_a_page_that_is_read_again_links_to_the_same_following_one():
    of = all_of()
    assert len({answer(of, sent(of, "energy", BATCH), ("next", "?key=b")).following for _ in range(3)}) == 1
