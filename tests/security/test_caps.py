"""Granted is within asked, and asked within the caps: what Mallory's app may write into a request."""

from typing import Any
from urllib.parse import urlencode

import pytest
from security_world import World, detail, moves_in, settle, transactions, with_alice

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("1990-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),  # further back than thirteen months
        ("2026-01-01T00:00:00Z", "2096-01-01T00:00:00Z"),  # further ahead than any sharing lasts
    ],
)
def test_a_period_given_by_its_ends_is_held_to_the_purposes_look_back(world: World, start: str, end: str) -> None:
    settle(world)
    answer = world.pushed("budget", [detail("harbour-bank", ALL, period={"from": start, "to": end})])
    assert answer.status_code == 400 and answer.json()["term"].startswith("period")


def test_a_look_back_above_the_cap_is_refused_with_what_is_allowed(world: World) -> None:
    settle(world)
    answer = world.pushed("budget", [detail("harbour-bank", ALL, period={"history": "P14M"})])
    assert (answer.status_code, answer.json()["allowed"]) == (400, "P13M")


@pytest.mark.parametrize(
    ("start", "end"),
    [("0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00Z"), ("2026-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00")],
)
def test_an_instant_beyond_the_calendar_never_reaches_a_screen(world: World, start: str, end: str) -> None:
    _, alice = with_alice(world)
    answer = world.pushed("budget", [detail("harbour-bank", ALL, period={"from": start, "to": end})])
    if answer.status_code == 201:
        query = urlencode({"client_id": "budget", "request_uri": answer.json()["request_uri"]})
        answer = world.browser(alice).get("/authorize?" + query)
    assert answer.status_code < 500


@pytest.mark.parametrize("change", [{"max_records": 5.0}, {"frequency": {"times": 2.0, "per": "hour"}}])
def test_whole_numbers_stay_whole_in_the_terms(world: World, change: dict[str, Any]) -> None:
    _, alice = with_alice(world)
    asked = [detail("harbour-bank", ALL, **change)]
    if world.pushed("budget", asked).status_code == 400:
        return
    world.agreed(world.browser(alice), "budget", asked)
    (text,) = world.rows("SELECT json FROM terms")[0]
    assert "5.0" not in text and "2.0" not in text


def test_markup_in_an_apps_words_is_text_on_the_screen_and_in_the_list(world: World) -> None:
    bank = settle(world)
    alice = world.person("<i>Alice")
    moves_in(world, bank, alice)
    reason = {"fr": "<script>x</script>", "en": "</p><script>x</script>{{ 7*7 }}{% raw %}%(n)s"}
    asked = [detail("harbour-bank", ALL, reason=reason)]
    browser = world.browser(alice)
    screen = browser.get(world.request("budget", asked))
    assert screen.status_code == 200 and "<script>x" not in screen.text and "&lt;script&gt;" in screen.text
    body = world.agreed(browser, "budget", asked)
    for path in ("/sharings", f"/sharings/{body['grant_id']}", f"/sharings/{body['grant_id']}/seen", "/log", "/"):
        page = browser.get(path)
        assert page.status_code == 200 and "<script>x" not in page.text and "<i>Alice" not in page.text, path


def test_more_than_was_offered_is_never_granted_whatever_the_form_says(world: World) -> None:
    """Mass assignment (A20): other data, accounts, organisations, lengths and people in the form."""
    bank = settle(world)
    alice, bob = world.person("Alice"), world.person("Bob")
    moves_in(world, bank, alice)
    moves_in(world, bank, bob)
    browser = world.browser(alice)
    asked = [detail("harbour-bank", ALL[:2])]
    foreign = world.house.keys.mac("account", "budget", bob, "harbour-bank", f"native-{bob[:6]}-one")[:22]
    ref = world.house.keys.mac("account", "budget", alice, "harbour-bank", f"native-{alice[:6]}-one")[:22]
    answer = world.answer(
        browser,
        world.request("budget", asked),
        **{
            "item:harbour-bank:bank.balances": "yes",
            "item:meadow-health:health.claims": "yes",
            "accounts:harbour-bank": [ref, foreign, "*", f"native-{bob[:6]}-one"],
            "accounts:meadow-health": ["*"],
            "duration": "d30",
            "person": bob,
            "until": "2999-01-01",
            "client_id": "other",
        },
    )
    body = world.redeem(answer["code"], "budget").json()
    assert {name for row in body["authorization_details"] for name in row["datatypes"]} == {"bank.accounts"}
    assert body["authorization_details"][0]["accounts"] == [ref]
    assert world.read(body["access_token"], transactions(foreign)).status_code == 403
    assert world.rows("SELECT DISTINCT person_id FROM consent") == [(alice,)]


def test_a_length_that_was_not_offered_is_asked_again(world: World) -> None:
    _, alice = with_alice(world)
    browser = world.browser(alice)
    address = world.request("budget", [detail("harbour-bank", ALL, valid_for="P1M")])
    with pytest.raises(AssertionError, match="422"):
        world.answer(browser, address, duration="d365", **{"accounts:harbour-bank": ["x"]})
    assert world.rows("SELECT DISTINCT state FROM consent") == [("requested",)]
