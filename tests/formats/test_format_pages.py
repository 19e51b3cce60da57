"""A following page is one to which an answer has linked; whatever else looks like one is a call like the first."""

import json

import pytest
from format_documents import (
    ALWAYS,
    BASES,
    MINE,
    TYPES,
    YEAR,
    asked,
    bank,
    granted,
    plan,
    sent,
    source,
    transaction,
)

from gateway.formats.model import Account, Denied, Plan, Upstream

TRANSACTIONS = f"/accounts/{MINE.ref}/transactions"


def bank_answers(of: Plan, links: dict[str, str], *query: tuple[str, str]) -> None:
    call = sent(of, "bank", TRANSACTIONS, *query)
    found = {rel: f"https://org.example{call.path}{tail}" for rel, tail in links.items()}
    of.cut(call, TYPES["bank"], bank("Transaction", [transaction()], found), ALWAYS)


def next_of_bank(of: Plan, address: object, *query: tuple[str, str], path: str = TRANSACTIONS) -> str:
    """The token of the page to which the answer of a bank leads; "": to none."""
    call = sent(of, "bank", path, *query)
    body = bank("Transaction", [transaction()], {"Next": address})
    found = json.loads(of.cut(call, TYPES["bank"], body, ALWAYS).body)["Links"].get("Next", "")
    assert found.startswith(f"https://gw.example/data/bank-org{BASES['bank']}{path}?page_token=") or found == ""
    return found.partition("page_token=")[2]


BASE = BASES["bank"]
PATH = f"{BASE}/accounts/{MINE.native}/transactions"


@pytest.mark.parametrize(
    ("address", "query"),
    [
        (f"https://org.example{PATH}?page=2", (("page", "2"),)),
        (f"https://internal:8080/v4{PATH}?nextPageKey=a%2Fb%3D", (("nextPageKey", "a/b="),)),
        (f"{PATH}?cursor={'x' * 300}", (("cursor", "x" * 300),)),
        ("?page=2&includePendingRecords=true", (("page", "2"), ("includePendingRecords", "true"))),
        ("/transactions?page=1", (("page", "1"),)),
        (f"https://org.example{PATH}?page=2&fromBookingDateTime=1999-01-01T00:00:00", (("page", "2"),)),
    ],
)
def test_however_a_bank_pages_its_next_page_is_asked_for(address, query):
    of = plan(granted("bank.transactions"))
    token = next_of_bank(of, address)
    again = sent(of, "bank", TRANSACTIONS, ("page_token", token))
    assert again.continues and (again.path, again.query) == (PATH, query)


def test_the_period_is_put_back_on_a_following_page_as_it_was_asked_for():
    of = plan(granted("bank.transactions"))
    token = next_of_bank(of, "?page=2", ("fromBookingDateTime", "2025-03-01T00:00:00"))
    again = sent(of, "bank", TRANSACTIONS, ("page_token", token), window=YEAR)
    assert dict(again.query) == {
        "fromBookingDateTime": "2025-03-01T00:00:00",
        "toBookingDateTime": "2026-01-01T01:00:00",
        "page": "2",
    }


def test_a_token_is_of_one_app_one_person_one_call_and_one_account():
    of = plan(granted("bank.transactions"))
    token = next_of_bank(of, "?page=2")
    elsewhere = [
        (of, "/transactions", token),
        (plan(granted("bank.transactions", (), (Account(MINE.native, "another-apps-reference"),))),
         "/accounts/another-apps-reference/transactions", token),
        (of, TRANSACTIONS, token[:-2] + "AA"),
        (of, TRANSACTIONS, "A" * 60),
    ]  # fmt: skip
    for whose, path, shown in elsewhere:
        found = whose.request(asked("bank", path, ("page_token", shown)), ALWAYS)
        assert isinstance(found, Denied) and found.term == "page_token"
    found = of.request(asked("bank", TRANSACTIONS, ("page_token", token), ("page", "9")), ALWAYS)
    assert isinstance(found, Denied)


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "https://elsewhere.example/parties?page=2",
        f"?page={'x' * 3000}",
        "https://[::1",
        "https://org.example/../a",
    ],
)
def test_a_link_that_leads_nowhere_gives_the_page_without_one(address):
    of = plan(granted("bank.transactions"))
    call = sent(of, "bank", TRANSACTIONS)
    found = of.cut(call, TYPES["bank"], bank("Transaction", [transaction()], {"Next": address}), ALWAYS)
    assert "Next" not in json.loads(found.body)["Links"] and found.counts.records == 1 and not found.following
    assert found.notice == ("next-page-unusable" if address else "")


def test_a_page_that_an_app_names_itself_is_a_call_like_the_first():
    of = plan(granted("bank.transactions"))
    next_of_bank(of, "?page=2")
    assert not sent(of, "bank", TRANSACTIONS, ("page", "2")).continues


@pytest.mark.parametrize(
    "query",
    [
        (),
        (("page", "0"),),
        (("page", "1"),),
        (("page", "01"),),
        (("page", "02"),),
        (("page", "3"),),
        (("page", "2"), ("cursor", "nothing")),
        (("page", "2"), ("pageSize", "500")),
        (("page", "2"), ("fromBookingDateTime", "2025-03-01T00:00:00")),
        (("offset", "00"),),
        (("cursor", "nothing"),),
        (("limit", "2"),),
    ],
)
def test_no_other_spelling_of_a_banks_page_passes_for_a_following_one(query):
    of = plan(granted("bank.transactions"))
    bank_answers(of, {"First": "?page=1", "Prev": "?page=1", "Next": "?page=2"})
    assert not sent(of, "bank", TRANSACTIONS, *query).continues


@pytest.mark.parametrize("tail", ["", "?page=2"])
def test_an_answer_that_names_itself_as_its_next_page_gives_no_following_one(tail):
    of = plan(granted("bank.transactions"))
    query = (("page", "2"),) if tail else ()
    assert not next_of_bank(of, tail, *query)


def test_a_page_that_is_read_again_links_to_the_same_following_one():
    of = plan(granted("bank.transactions"))
    assert len({next_of_bank(of, "?page=2") for _ in range(3)}) == 1


def test_the_link_we_give_is_the_address_we_know():
    """Whatever is in it: a period of its own, and values that an address has to escape."""
    of = plan(granted("bank.transactions"))
    first = sent(of, "bank", TRANSACTIONS, ("fromBookingDateTime", "2025-03-01T00:00:00"), window=YEAR)
    links = {"Next": f"https://org.example{first.path}?cursor=a%2Bb%2Fc%3D"}
    answer = of.cut(first, TYPES["bank"], bank("Transaction", [transaction()], links), YEAR).body.decode()
    address = answer.partition('"Next":"')[2].partition('"')[0].removeprefix(source("bank").gateway_url)
    path, _, query = address.partition("?")
    pairs = [
        pair.replace("%2B", "+").replace("%2F", "/").replace("%3D", "=").split("=", 1) for pair in query.split("&")
    ]
    again = of.request(asked("bank", path.removeprefix(BASES["bank"]), *((n, v) for n, v in pairs)), YEAR)
    assert isinstance(again, Upstream) and again.continues and dict(again.query)["cursor"] == "a+b/c="
