"""An app that changes its keys keeps its agreements; one that becomes another app does not."""

import pytest
from authorization_world import CALLBACK, Page, answered, usage
from client_keys import EC


def keyed(world, number, **changes):
    """The app as it is with a key of this number, in the profile that asks least of its calls."""
    key = {**EC(f"key-{number}").jwk, "kid": f"key-{number}"}
    world.register("rotating", profile="oidc", token_endpoint_auth_method="client_secret_basic",
                   jwks={"keys": [key]}, **changes)  # fmt: skip


@pytest.fixture
def browser(world):
    """Alice agreed to what the app asks for with its first key."""
    keyed(world, 1)
    browser = world.browser("alice")
    answered(world.agree(browser, world.pushed("rotating", [usage()])))
    return browser


def silently(world, browser):
    return browser.get(world.pushed("rotating", [usage()], prompt="none")).headers["location"]


def test_with_another_key_nobody_is_asked_again(world, browser):
    keyed(world, 2)
    assert "code=" in silently(world, browser)
    page = browser.get(world.pushed("rotating", [usage()]))
    assert "/authorize/continue" in page.text


def test_a_request_that_waits_is_answered_all_the_same(world, browser):
    address = world.pushed("rotating", [usage(retention="P2M")])
    assert Page(browser.get(address).text).action
    keyed(world, 2)
    assert "code" in answered(world.agree(browser, address))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": {"fr": "Autre", "en": "Other"}},
        {"purposes": ["energy-advice", "household-budget"]},
        {"redirect_uris": [CALLBACK, "https://elsewhere.example/callback"]},
        {"legal_entity": "Somebody else SAS"},
    ],
)
def test_another_app_under_the_same_id_asks_again(world, browser, changes):
    keyed(world, 1, **changes)
    assert "error=consent_required" in silently(world, browser)
    assert Page(browser.get(world.pushed("rotating", [usage()])).text).action


def test_an_address_that_it_gave_up_is_not_answered_to(world, browser):
    """Another path at the same host is no other app; but a request for an address that is gone is over."""
    address = world.pushed("rotating", [usage(retention="P2M")])
    keyed(world, 1, redirect_uris=[f"{CALLBACK}/new"])
    gone = browser.get(address)
    assert gone.status_code == 400 and CALLBACK not in gone.text
    now = world.pushed("rotating", [usage()], prompt="none", redirect_uri=f"{CALLBACK}/new")
    to = browser.get(now).headers["location"]
    assert to.startswith(f"{CALLBACK}/new?") and "code=" in to


OTHER_NAME = {"name": {"fr": "Autre", "en": "Other"}}


@pytest.mark.parametrize(
    ("word", "changes", "goes_on"),
    [("go_on", OTHER_NAME, True), ("ask", {}, True), ("ask", OTHER_NAME, False)],
)
def test_T33_what_a_changed_app_gets_unattended_is_the_operators_word(world, word, changes, goes_on):
    keyed(world, 1)
    body = world.tokens("rotating", details=[usage()])
    world.setting(changed_apps=word)
    keyed(world, 2, **changes)
    answer = world.refresh(body["refresh_token"], "rotating")
    assert answer.status_code == (200 if goes_on else 400)
    if not goes_on:
        assert answer.json()["error"] == "invalid_grant" and "asked again" in answer.json()["error_description"]
        again = world.tokens("rotating", details=[usage()])
        assert world.refresh(again["refresh_token"], "rotating").status_code == 200
