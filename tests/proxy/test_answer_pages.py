"""An answer over records is over those of all pages, or there is none: one use and one entry, whatever is asked."""

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.proxy import pages
from tests.proxy.bank import Bank
from tests.proxy.blurred import ALL, Blurred, call, nothing_exact, page
from tests.proxy.endings import REASONS, ends
from tests.proxy.raw import Exchange, answer


def query_of(exchange: Exchange) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(exchange.target).query).items()}


def says_by(blurred: Blurred, said: Callable[[dict[str, str], Exchange], bytes]) -> None:
    async def behave(exchange: Exchange) -> None:
        await exchange.say(said(query_of(exchange), exchange))

    blurred.organisation.behaviour = behave


def paged(blurred: Blurred, *pages: list[dict[str, object]]) -> None:
    """Page n leads on to page n + 1 with a key of the organisation's own."""

    def said(query: dict[str, str], _: Exchange) -> bytes:
        at = int(query.get("cursor", "key-0").removeprefix("key-"))
        more = {"next": f"key-{at + 1}"} if at + 1 < len(pages) else {}
        return answer(page(*pages[at], **more))

    says_by(blurred, said)


def entries(blurred: Blurred) -> list[dict[str, object]]:
    return [each for each in blurred.world.entries(blurred.person) if each["event"] == "access"]


def test_the_records_of_all_pages_count_and_it_is_one_use_and_one_entry(blurred: Blurred) -> None:
    paged(blurred, [call(price=0.1), call(price=0.2)], [call(line="+33699999999", price=9)], [call(price=1e30)])
    blurred.agrees("blurred.monthly", ALL)
    before = len(entries(blurred))
    given = blurred.reads("monthly", "?since=2026-10-01T00:00:00Z")
    assert given.status == 200, given.body
    assert [(each["sum"], each["count"]) for each in given.json] == [("1000000000000000000000000000000.3", 3)]
    assert "link" not in given.headers and nothing_exact(given)
    asked = [query_of(each) for each in blurred.organisation.seen]
    assert [each.get("cursor") for each in asked] == [None, "key-1", "key-2"]
    kept = [{name: each[name] for name in ("since", "limit")} for each in asked]
    assert kept[0] == kept[1] == kept[2], "the period and the size of each page are the declaration's"
    assert len({urlsplit(each.target).path for each in blurred.organisation.seen}) == 1
    [entry] = entries(blurred)[before:]
    assert (entry["records"], entry["records_withheld"], entry["outcome"]) == (1, 1, "partly")


def test_pages_of_one_answer_are_one_use(blurred: Blurred) -> None:
    paged(blurred, [call(price=2)], [call(price=2)], [call(price=2)])
    blurred.agrees("blurred.much", ["much.yes"])
    found = [blurred.reads("much") for _ in range(3)]
    assert [each.status for each in found] == [200, 200, 429] and found[0].body == b'{"yes":true}'


def test_records_are_not_counted_twice_where_pages_lead_in_a_circle(blurred: Blurred) -> None:
    def said(query: dict[str, str], _: Exchange) -> bytes:
        return answer(page(call(), next="b" if query.get("cursor") == "a" else "a"))

    says_by(blurred, said)
    refused = blurred.agrees("blurred.monthly", ALL).reads("monthly")
    assert (refused.status, refused.reason) == (502, "organisation_answer_invalid") and nothing_exact(refused)
    assert len(blurred.organisation.seen) == 3


def test_there_is_an_end_to_pages(blurred: Blurred, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGES", 5)
    numbers = itertools.count()
    says_by(blurred, lambda query, _: answer(page(call(), next=f"key-{next(numbers)}")))
    refused = blurred.agrees("blurred.monthly", ALL).reads("monthly")
    assert (refused.status, refused.reason) == (502, "too_large") and len(blurred.organisation.seen) == 5


@pytest.mark.parametrize(
    ("second", "reason"),
    [(answer(b"no json"), "organisation_answer_invalid"), 
     (answer(b"", "503 Service Unavailable"), "organisation_unavailable"),
     (answer(page(call(price="0.1234"))), "organisation_answer_invalid"),
     (answer(page(call(), owner="+33699999999")), "organisation_answer_invalid"),
     (answer(page(call()), kind="text/html"), "organisation_answer_invalid"),
     (answer(b" " * 2**18 + page(call())), "too_large")],
)  # fmt: skip
def test_a_wrong_page_leaves_no_answer(blurred: Blurred, second: bytes, reason: str) -> None:
    says_by(blurred, lambda query, _: second if "cursor" in query else answer(page(call(), next="more")))
    refused = blurred.agrees("blurred.monthly", ALL).reads("monthly")
    assert refused.reason == reason and nothing_exact(refused) and len(blurred.organisation.seen) == 2


@pytest.mark.parametrize("how", [how for how in REASONS if how != "suspended"])  # it would stay so
def test_no_page_is_asked_for_once_it_has_ended(blurred: Blurred, how: str) -> None:
    blurred.agrees("blurred.monthly", ALL)

    async def behave(exchange: Exchange) -> None:
        await asyncio.to_thread(ends, blurred.world, cast(Bank, blurred), how)
        await exchange.say(answer(page(call(), next="more")))

    blurred.organisation.behaviour = behave
    refused = blurred.reads("monthly")
    assert (refused.status, refused.reason) == (403, REASONS[how]) and nothing_exact(refused)
    assert len(blurred.organisation.seen) == 1


def test_large_pages_are_added_up_beside_the_loop(blurred: Blurred) -> None:
    calls = [call(price=0.5) for _ in range(900)]
    assert 2**17 < len(json.dumps(calls)) < 2**18
    paged(blurred, calls, calls)
    given = blurred.agrees("blurred.monthly", ALL).reads("monthly")
    assert given.status == 200, given.body
    [total] = given.json
    assert (total["sum"], total["count"]) == ("900.0", 1800)
