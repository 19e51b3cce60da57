"""How often: counted on disk, exact with any number of calls at once; once means once."""

import html
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.postgres import Cluster
from tests.proxy.bank import BASE, NATIVE, Answer, Bank
from tests.proxy.processes import served
from tests.proxy.raw import RawOrganisation, answer, transactions
from tests.proxy.supplier import BASE as ENERGY
from tests.proxy.supplier import KIND, Supplier, feed

DAILY = {"times": 3, "per": "day", "zone": "Europe/Paris"}


def test_the_agreed_number_of_calls_a_day_is_kept(bank: Bank) -> None:
    bank.agrees(frequency=[DAILY])
    assert [bank.reads().status for _ in range(4)] == [200, 200, 200, 429]
    refused = bank.reads()
    assert (refused.reason, refused.json["term"], refused.json["allowed"]) == ("frequency", "frequency", "3 per day")
    assert 0 < int(refused.headers["retry-after"]) <= 25 * 3600
    assert bank.log()[-1]["reason"] == "frequency"


def test_the_tightest_of_several_windows_wins(bank: Bank) -> None:
    bank.agrees(frequency=[DAILY, {"times": 1, "per": "month", "zone": "Europe/Paris"}])
    assert [bank.reads().status for _ in range(2)] == [200, 429]


def test_a_new_day_in_alices_zone_brings_new_uses(bank: Bank) -> None:
    clock = bank.world.clock
    at = datetime(2026, 1, 20, 22, 30, tzinfo=UTC)  # 23:30 in Paris
    try:
        bank.world.clock = lambda: at
        bank.agrees(frequency=[{**DAILY, "times": 1}])
        assert [bank.reads().status for _ in range(2)] == [200, 429]
        at += timedelta(minutes=31)
        bank.token = bank.world.token(bank.consent, [bank.id], bank.app)
        assert bank.reads().status == 200
    finally:
        bank.world.clock = clock


def test_forty_calls_at_once_give_exactly_the_agreed_number(bank: Bank) -> None:
    bank.agrees(frequency=[{**DAILY, "times": 7}])
    bank.organisation.says(0.05, answer(transactions(NATIVE)))
    with ThreadPoolExecutor(40) as pool:
        found = sorted(pool.map(lambda _: bank.reads().status, range(40)))
    assert found == [200] * 7 + [429] * 33
    assert bank.world.kinds(bank.person).count("access") == 7
    used = bank.world.row('SELECT used FROM "use" WHERE consent_id = ?', bank.consent)
    assert used == (7,)


def test_once_is_once_even_for_fifty_calls_at_the_same_time(bank: Bank) -> None:
    bank.agrees(once=True)
    bank.organisation.says(0.05, answer(transactions(NATIVE)))
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda _: bank.reads(), range(50)))
    given = [each for each in found if each.status == 200]
    assert len(given) == 1
    assert {each.reason for each in found if each.status != 200} == {"max_uses"}
    assert bank.world.kinds(bank.person).count("access") == 1
    state = bank.world.row("SELECT state, reason, generation FROM consent WHERE id = ?", bank.consent)
    assert state == ("ended", "used_up", 2)
    assert bank.world.row("SELECT count(*) FROM consentevent WHERE consent_id = ?", bank.consent) == (2,)


@pytest.mark.parametrize("fault", [b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", answer(b"{}"), b"garbage\r\n\r\n"])
def test_a_fetch_that_failed_gives_the_use_back(bank: Bank, fault: bytes) -> None:
    bank.agrees(once=True)
    bank.organisation.says(fault, close=True)
    assert bank.reads().status == 502
    bank.organisation.reset()
    assert bank.reads().status == 200
    assert bank.reads().status == 403


def test_a_refused_call_uses_nothing(bank: Bank) -> None:
    bank.agrees(frequency=[{**DAILY, "times": 1}])
    assert bank.reads(f"{bank.path}?fromBookingDateTime=garbage").status == 403
    assert bank.reads().status == 200


def test_following_pages_of_a_listing_are_the_same_use(bank: Bank) -> None:
    bank.agrees(frequency=[{**DAILY, "times": 1}])
    upstream = f"{bank.organisation.url}{BASE}/accounts/{NATIVE}/transactions?page=2"
    bank.organisation.says(answer(transactions(NATIVE, Next=upstream)))
    following = bank.reads().json["Links"]["Next"].removeprefix(bank.world.settings.public_url)
    assert [bank.reads(following).status for _ in range(3)] == [200, 200, 200]
    assert bank.reads().status == 429
    assert bank.world.kinds(bank.person).count("access") == 4


def test_the_same_call_a_month_later_is_for_the_history_as_it_is_then(bank: Bank) -> None:
    clock, at = bank.world.clock, datetime(2026, 1, 20, 12, tzinfo=UTC)
    try:
        bank.world.clock = lambda: at
        bank.agrees(period={"history": "P1M", "from": None, "to": None, "future": True})
        for month in ("2025-12", "2026-01"):
            assert bank.reads().status == 200
            since = dict(parse_qsl(urlsplit(bank.organisation.seen[-1].target).query))["fromBookingDateTime"]
            assert since.startswith(month)
            at += timedelta(days=31)
            bank.token = bank.world.token(bank.consent, [bank.id], bank.app)
    finally:
        bank.world.clock = clock


def test_a_following_page_of_another_listing_is_another_use(bank: Bank) -> None:
    """An old page would else be a way to read again and again what was agreed once a day."""
    clock, at = bank.world.clock, datetime(2026, 1, 20, 22, 30, tzinfo=UTC)  # 23:30 in Paris

    def listing(query: str = "") -> str:
        """The path of its second page."""
        found = bank.reads(bank.path + query)
        assert found.status == 200
        return str(found.json["Links"]["Next"]).removeprefix(bank.world.settings.public_url)

    try:
        bank.world.clock = lambda: at
        bank.agrees(frequency=[{**DAILY, "times": 1}])
        upstream = f"{bank.organisation.url}{BASE}/accounts/{NATIVE}/transactions?page=2"
        bank.organisation.says(answer(transactions(NATIVE, Next=upstream)))
        old = listing("?fromBookingDateTime=2026-01-02T00:00:00Z")
        at += timedelta(minutes=31)
        bank.token = bank.world.token(bank.consent, [bank.id], bank.app)
        new = listing()
        assert (bank.reads(new).status, bank.reads(old).status) == (200, 429)
    finally:
        bank.world.clock = clock


BATCH = f"{ENERGY}/Batch/Subscription/subscription-one"


def linked(href: str) -> bytes:
    """A feed that says where its next page is."""
    return answer(feed().replace(b"<entry>", f'<link rel="next" href="{href}"/><entry>'.encode(), 1), kind=KIND)


def following(supplier: Supplier, found: Answer) -> str:
    """The path at the gateway to which a feed and its header lead."""
    (address,) = (html.unescape(each) for each in re.findall(r'<link rel="next" href="([^"]*)"', found.body.decode()))
    assert found.headers["link"] == f'<{address}>; rel="next"'
    assert "subscription-one" not in address and "aval-notice" not in found.headers
    return address.removeprefix(supplier.world.settings.public_url)


@pytest.mark.parametrize("query", ["start-index=2", "continuationToken=a%2Fb%3D%3D"])
def test_a_feed_links_to_its_following_page_which_is_the_same_use(supplier: Supplier, query: str) -> None:
    supplier.agrees(frequency=[{**DAILY, "times": 1}])
    supplier.organisation.says(linked(f"{BATCH}?{query}"))
    path = following(supplier, supplier.reads())
    assert supplier.reads(path).status == 200
    first, second = (urlsplit(call.target) for call in supplier.organisation.seen)
    assert (first.path, second.path) == (BATCH, BATCH) and first.query.startswith("published-min=")
    assert parse_qsl(second.query) == parse_qsl(first.query) + parse_qsl(query)
    assert supplier.reads(f"{path[:-2]}AA").reason == "field"
    assert supplier.reads().status == 429


def test_a_page_of_a_feed_that_an_app_names_itself_is_a_use(supplier: Supplier) -> None:
    supplier.agrees(frequency=[{**DAILY, "times": 1}])
    supplier.organisation.says(linked(f"{BATCH}?start-index=2"))
    assert supplier.reads().status == 200
    assert supplier.reads(f"{supplier.path}?start-index=2").status == 429


@pytest.mark.parametrize("href", ["/elsewhere?start-index=2", f"{BATCH}/UsagePoint?start-index=2"])
def test_a_feed_whose_following_page_cannot_be_reached_is_given_and_says_so(supplier: Supplier, href: str) -> None:
    supplier.organisation.says(linked(href))
    found = supplier.reads()
    assert found.status == 200 and found.headers["aval-notice"] == "next-page-unusable"
    assert "link" not in found.headers and b'rel="next"' not in found.body
    assert found.body.count(b"<IntervalReading>") == 24


@pytest.mark.postgres
def test_a_following_page_of_a_feed_is_the_same_use_at_another_process(
    tmp_path_factory: pytest.TempPathFactory, postgres: Cluster, organisation: RawOrganisation
) -> None:
    """And at one that has begun since."""
    postgres.create("pages")
    with served(tmp_path_factory.mktemp("pages"), postgres.url("pages")) as processes:
        organisation.reset()
        organisation.says(linked(f"{BATCH}?continuationToken=b"))
        supplier = Supplier(processes.world, organisation).agrees(frequency=[{**DAILY, "times": 1}])
        first, other = processes.all
        path = following(supplier, processes.reads(supplier, first))
        assert processes.reads(supplier, other, path).status == 200
        later = processes.started()
        assert processes.reads(supplier, later, path).status == 200
        assert processes.reads(supplier, later).status == 429
        later.ends()
    postgres.drop("pages")


def test_a_following_page_without_a_first_one_is_a_use(bank: Bank) -> None:
    bank.agrees(frequency=[{**DAILY, "times": 1}])
    assert bank.reads(f"{bank.path}?page=2").status == 200
    assert bank.reads().status == 429


def test_a_head_call_is_a_use(bank: Bank) -> None:
    bank.agrees(frequency=[{**DAILY, "times": 1}])
    assert bank.reads(method="HEAD").status == 200
    assert bank.reads().status == 429
