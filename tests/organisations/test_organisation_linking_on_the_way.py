"""Linking on the way from an app's request: every page of it leads back to the request."""

import html
import re

import pytest
from organisations_world import Browser, Running, World

WHO = "HB-2001"
REQUEST = "/authorize?client_id=watt-coach&request_uri=urn%3Ax"
AGAIN = "/organisations/harbour-bank/link?next=/authorize%3Fclient_id%3Dwatt-coach%26request_uri%3Durn%253Ax"


def links_of(page: str) -> dict[str, str]:
    found = re.findall(r'<a class="button[^"]*" href="([^"]*)">([^<]*)</a>', page)
    return {words.strip(): html.unescape(address) for address, words in found}


def test_the_page_of_the_code_starts_again_towards_the_request(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO, next=REQUEST)
    page = alice.get(f"/organisations/harbour-bank/link/code?attempt={attempt}").text
    assert links_of(page)["Start again"] == AGAIN
    assert 'class="main"' not in page, "nothing leads away from the app's question"
    again = alice.get(AGAIN).text
    assert f'name="next" value="{html.escape(REQUEST)}"' in again


@pytest.mark.parametrize("where", ["opened", "sent"])
def test_so_does_the_page_that_says_it_has_expired(world: World, bank: Running, alice: Browser, where: str) -> None:
    attempt = alice.starts("harbour-bank", WHO, next=REQUEST)
    world.passes(minutes=11)
    opened = alice.get(f"/organisations/harbour-bank/link/code?attempt={attempt}")
    page = opened if where == "opened" else alice.tries("harbour-bank", attempt, bank.newest_code(WHO))
    assert page.status_code == 410
    assert links_of(page.text) == {"Back to the request": REQUEST, "Start again": AGAIN}


def test_and_the_page_that_says_an_organisation_did_not_answer(world: World, bank: Running, alice: Browser) -> None:
    bank.fault("down", prefix="/aval/")
    form = {"customer_number": WHO, "next": REQUEST}
    page = alice.post("/organisations/harbour-bank/link", form)
    assert page.status_code == 502
    assert links_of(page.text) == {"Back to the request": REQUEST}


def test_who_links_by_herself_is_led_to_her_organisations(world: World, bank: Running, alice: Browser) -> None:
    attempt = alice.starts("harbour-bank", WHO)
    world.passes(minutes=11)
    page = alice.get(f"/organisations/harbour-bank/link/code?attempt={attempt}").text
    start = "/organisations/harbour-bank/link"
    assert links_of(page) == {"My organisations": "/organisations", "Start again": start}
    assert 'class="main"' in page


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "/\\evil.example"])
def test_no_page_of_it_leads_to_another_site(world: World, bank: Running, alice: Browser, elsewhere: str) -> None:
    attempt = alice.starts("harbour-bank", WHO, next=elsewhere)
    assert "evil" not in alice.get(f"/organisations/harbour-bank/link/code?attempt={attempt}").text
