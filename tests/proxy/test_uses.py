"""How often: counted on disk, exact with any number of calls at once; once means once."""

import html
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.proxy.bank import BASE, NATIVE, Bank
from tests.proxy.raw import answer, transactions
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


def test_a_feed_links_to_its_following_page_which_is_the_same_use(supplier: Supplier) -> None:
    supplier.agrees(frequency=[{**DAILY, "times": 1}])
    there = f'<link rel="next" href="{ENERGY}/Batch/Subscription/subscription-one?start-index=2"/><entry>'.encode()
    supplier.organisation.says(answer(feed().replace(b"<entry>", there, 1), kind=KIND))
    (address,) = re.findall(rb'<link rel="next" href="([^"]*)"', supplier.reads().body)
    following = html.unescape(address.decode()).removeprefix(supplier.world.settings.public_url)
    assert supplier.reads(following).status == 200
    assert supplier.organisation.seen[-1].target.endswith("start-index=2")
    assert supplier.reads().status == 429


def test_a_feed_whose_following_page_cannot_be_reached_is_refused(supplier: Supplier) -> None:
    there = b'<link rel="next" href="/elsewhere?start-index=2"/><entry>'
    supplier.organisation.says(answer(feed().replace(b"<entry>", there, 1), kind=KIND))
    found = supplier.reads()
    assert (found.status, found.reason) == (502, "organisation_answer_invalid")


def test_a_following_page_without_a_first_one_is_a_use(bank: Bank) -> None:
    bank.agrees(frequency=[{**DAILY, "times": 1}])
    assert bank.reads(f"{bank.path}?page=2").status == 200
    assert bank.reads().status == 429


def test_a_head_call_is_a_use(bank: Bank) -> None:
    bank.agrees(frequency=[{**DAILY, "times": 1}])
    assert bank.reads(method="HEAD").status == 200
    assert bank.reads().status == 429
