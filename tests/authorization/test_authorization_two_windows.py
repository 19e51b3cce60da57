"""Two windows of one person, and sign-ins that end between a page and its answer."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authorization_world import Page, World, answered, bank

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import EndReason
from gateway.consent.tables import Consent


def continue_form(page: Any) -> dict[str, str]:
    form = page.text.partition('action="/authorize/continue"')[2].partition("</form>")[0]
    return dict(re.findall(r'name="([a-z_]+)" value="([^"]*)"', unescape(form)))


def told(world: World, person: str = "alice") -> list[str]:
    return [event["event"] for event in world.events(person)]


# ---- two requests of one app, allowed at once


def allowed_at_once(world: World) -> tuple[Any, list[str]]:
    browser, addresses = world.browser("alice"), [world.pushed(), world.pushed()]
    first, second = (Page(browser.get(address).text) for address in addresses)
    assert allows(browser, first).status_code == 303
    changed = allows(browser, second)
    assert changed.status_code == 422, "it would replace the first one now, so the page says so and asks again"
    assert allows(browser, Page(changed.text)).status_code == 303
    return browser, addresses


def allows(browser: Any, page: Page) -> Any:
    return browser.post(page.action, data={**page.fields, "accounts:city-energy": "point-1", "decision": "allow"})


def test_who_allows_two_requests_of_one_app_at_once_is_told_no_refusal(world: World) -> None:
    browser, addresses = allowed_at_once(world)
    granted = [world.redeem(answered(browser.get(address))["code"]).json() for address in addresses]
    assert granted[0]["grant_id"] == granted[1]["grant_id"], "one agreement holds, the newer one"
    assert [told(world).count(event) for event in ("consent_given", "consent_ended")] == [2, 1]


def test_a_code_of_what_was_replaced_before_it_was_redeemed_is_worth_what_holds_now(world: World) -> None:
    browser, address = world.browser("alice"), world.pushed()
    first = answered(world.agree(browser, address))["code"]
    second = answered(world.agree(browser, world.pushed()))["code"]
    assert world.redeem(first).json()["grant_id"] == world.redeem(second).json()["grant_id"]


def test_what_she_stopped_since_is_refused_all_the_same(world: World) -> None:
    browser, addresses = allowed_at_once(world)
    grant = world.redeem(answered(browser.get(addresses[1]))["code"]).json()["grant_id"]
    with world.house.store.write() as session:
        consent = session.get_one(Consent, grant)
        deciding.end(session, world.house.log, consent, herself("alice"), EndReason.WITHDRAWN, world.clock.now)
    assert answered(browser.get(addresses[0]))["error"] == "access_denied"


# ---- "Continue"


def test_continue_after_the_sign_in_has_ended_leads_through_signing_in_to_the_same_question(world: World) -> None:
    world.tokens()
    browser, address = world.browser("alice"), world.pushed()
    sent = continue_form(browser.get(address))
    world.sign_out(browser)
    answer = browser.post("/authorize/continue", data=sent)
    where = urlsplit(answer.headers["location"])
    assert (answer.status_code, where.path) == (303, "/sign-in")
    assert parse_qs(where.query) == {"next": [address], "why": ["ended"]}
    assert "consent_continued" not in told(world)
    world.sign_in(browser, "alice")
    browser.post("/authorize/continue", data=continue_form(browser.get(address)))
    assert answered(browser.get(address))["code"]


def test_continue_under_another_sign_in_puts_the_question_once_more(world: World) -> None:
    world.tokens()
    browser, address = world.browser("alice"), world.pushed()
    sent = continue_form(browser.get(address))
    world.sign_in(browser, "alice")
    answer = browser.post("/authorize/continue", data=sent)
    assert (answer.status_code, answer.headers["location"]) == (303, address)
    assert "consent_continued" not in told(world)


@pytest.mark.parametrize("uri", ["", "https://evil.example/", "/account"])
def test_a_forged_continue_leads_nowhere_else(world: World, uri: str) -> None:
    answer = world.browser().post("/authorize/continue", data={"client_id": "meter", "request_uri": uri})
    goes = parse_qs(urlsplit(answer.headers["location"]).query)["next"][0]
    assert goes == "/" or goes.startswith("/authorize?client_id=meter&request_uri=")
    crossing = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
    sent = {"client_id": "meter", "request_uri": uri}
    assert world.browser("alice").post("/authorize/continue", data=sent, headers=crossing).status_code == 403


# ---- the screen


def test_a_screen_from_before_she_signed_in_anew_comes_again_with_her_marks(world: World) -> None:
    asked = [{**bank(), "datatypes": ["bank.accounts", "bank.balances"], "fields": ["account.kind", "balance.amount"]}]
    browser, address = world.browser("alice"), world.pushed("budget", asked)
    screen = Page(browser.get(address).text)
    world.sign_in(browser, "alice")
    ticked = {"item:harbour-bank:bank.balances": "yes", "decision": "allow"}
    answer = browser.post(screen.action, data={**screen.fields, **ticked})
    assert answer.status_code == 403 and "nothing is decided yet" in answer.text
    assert "consent_given" not in told(world)
    again = Page(answer.text)
    assert 'name="item:harbour-bank:bank.balances" value="yes" checked' in answer.text
    sent = browser.post(again.action, data={**again.fields, **ticked})
    assert answered(browser.get(sent.headers["location"]))["code"]
