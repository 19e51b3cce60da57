"""The examples' own pages, as what a stranger judges us by: axe finds nothing, and nothing is wider than a phone."""

from collections.abc import Iterator
from typing import Any

import pytest
from browser_world import AXE, FIND, TAGS, Window
from playwright.sync_api import Browser, BrowserContext

from gateway.cli.demo_setup import PASSWORD, Demo
from tests.worlds.chromium import WAIT_MS
from tests.worlds.demo import CUSTOMERS, Resident


@pytest.fixture(params=["en", "fr"])
def visiting(request: pytest.FixtureRequest, chromium: Browser, alice: Resident) -> Iterator[BrowserContext]:
    """Alice's browser, in which axe may run whatever the pages' policy."""
    locale = {"en": "en-GB", "fr": "fr-FR"}[request.param]
    context = chromium.new_context(locale=locale, bypass_csp=True, viewport={"width": 320, "height": 740})
    context.set_default_timeout(WAIT_MS)
    context.add_cookies(alice.cookies())
    yield context
    context.close()


def judged(window: Window, where: str) -> None:
    page = window.page
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 740})
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate(FIND, TAGS)["violations"]
        told = [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found]
        assert told == [], (where, width)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, (where, width)


def test_pages_of_the_organisations_and_apps(visiting: BrowserContext, world: Demo, alice: Resident) -> None:
    window = Window(visiting, world)
    page = window.page
    for app in ("watt-coach", "clear-budget"):
        judged(window.go("/", app), app)
    window.go("/organisations/city-energy/link")
    window.click(page.locator("form[action='/organisations/city-energy/link'] button").last)
    page.wait_for_url(f"{world.url('city-energy')}/**")
    judged(window, "sign-in of City Energy")
    sign_in = page.locator("form[action='/oauth/sign-in'] button")
    for password, where in (("wrong", "wrong password at City Energy"), (PASSWORD, "City Energy asks")):
        page.fill("#n", CUSTOMERS["city-energy"])
        page.fill("#p", password)
        window.click(sign_in)
        judged(window, where)
    window.click(page.locator("button[name=decision][value=yes]"))
    page.wait_for_url(f"{world.url('gateway')}/**")
    judged(window.go("/oauth/authorize?client_id=nobody", "city-energy"), "City Energy stops")
    alice.links("harbour-bank", "meadow-health")
    judged(window.go(f"/inbox/{CUSTOMERS['harbour-bank']}", "harbour-bank"), "inbox")
    judged(window.go("/inbox/nobody", "harbour-bank"), "no inbox")
    judged(window.shares(), "Watt Coach's picture")
    _all_of_the_budget(window)
    judged(window, "Clear Budget's picture")
    window.go("/sharings").click("Stop everything" if page.locator("html[lang=en]").count() else "Tout arrêter")
    window.click(page.locator("main form button").first)
    for app in ("watt-coach", "clear-budget"):
        window.go("/", app).click(page.locator("form[action='/refresh'] button"))
        judged(window, f"{app}, stopped")
    assert window.faults == []


def _all_of_the_budget(window: Window) -> None:
    window.at_the_question("clear-budget").choose_accounts("harbour-bank")
    boxes: Any = window.page.locator("input[name^='item:']")
    for index in range(boxes.count()):
        window.click(boxes.nth(index), stays=True)
    window.decide("allow")
    window.page.wait_for_url(f"{window.world.url('clear-budget')}/**")
