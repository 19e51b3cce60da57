"""What a newcomer meets: her own language everywhere, why she is to sign in, no dead link, pages on paper."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

import pytest
from browser_world import Window
from playwright.sync_api import Browser, Page

from gateway.cli.demo_setup import PASSWORD, Demo
from tests.worlds.chromium import WAIT_MS
from tests.worlds.demo import CUSTOMERS, Resident

FORGED = "0" * 43


@pytest.fixture
def stranger(chromium: Browser, world: Demo) -> Iterator[Callable[[str], Window]]:
    """A browser that nobody ever told a language but its owner's system."""
    windows: list[Window] = []

    def arrives(locale: str) -> Window:
        context = chromium.new_context(locale=locale)
        context.set_default_timeout(WAIT_MS)
        windows.append(Window(context, world))
        return windows[-1]

    yield arrives
    for window in windows:
        window.context.close()
        assert window.faults == []


@pytest.mark.parametrize(
    ("locale", "lang", "city", "bank", "customer"),
    [
        ("fr-FR", "fr", "Énergie de la Ville", "Banque du Port", "Numéro de client"),
        ("en-GB", "en", "City Energy", "Harbour Bank", "Customer number"),
    ],
)
def test_every_page_of_the_tour_speaks_the_browsers_language(
    stranger: Any, world: Demo, locale: str, lang: str, city: str, bank: str, customer: str
) -> None:
    window: Window = stranger(locale)
    page = window.page

    def spoken() -> str:
        assert page.locator("html").get_attribute("lang") == lang, page.url
        return str(page.inner_text("body"))

    window.go("/", "clear-budget")
    assert bank in spoken()
    window.connect()
    spoken()
    page.fill("#email", "bob@example.org")
    page.fill("#password", PASSWORD)
    window.click(page.locator("form[action^='/sign-in'] button").last)
    for path in ("/", "/account", "/account/details", "/organisations"):
        window.go(path)
        spoken()
    window.go("/organisations/city-energy/link")
    window.click(page.locator("form[action='/organisations/city-energy/link'] button").last)
    page.wait_for_url(f"{world.url('city-energy')}/**")
    assert city in spoken() and customer in spoken()
    page.fill("#n", "CE-1002")
    page.fill("#p", "wrong")
    window.click(page.locator("form[action='/oauth/sign-in'] button"))
    spoken()
    page.fill("#n", "CE-1002")
    page.fill("#p", PASSWORD)
    window.click(page.locator("form[action='/oauth/sign-in'] button"))
    refuse, allow = (page.locator(f"button[value={value}]") for value in ("no", "yes"))
    assert refuse.evaluate("b => getComputedStyle(b).backgroundColor") == allow.evaluate(
        "b => getComputedStyle(b).backgroundColor"
    )
    assert city in spoken()
    window.go(f"/inbox/{CUSTOMERS['harbour-bank']}", "harbour-bank")
    spoken()


def test_who_is_sent_by_an_app_is_told_why_she_is_to_sign_in(opens: Any, js: bool) -> None:
    window: Window = opens(js=js).connect()
    assert "An app asks for your data" in window.text()
    window.click("Open an account", "link")
    assert "An app asks for your data" in window.text()
    window.click("Sign in", "link")
    assert urlsplit(window.page.url).query.startswith("next=%2Fauthorize"), "the request is still hers to answer"
    assert "An app asks" not in window.go("/sign-in").text()


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_no_link_of_ours_is_dead(opens: Any, linked: Resident, lang: str) -> None:
    linked.story.agree_energy()
    linked.story.read_energy()
    window: Window = opens(linked, lang=lang, js=False)
    page, gateway = window.page, linked.gateway
    waiting, seen = [gateway + "/"], set[str]()
    while waiting:
        address = waiting.pop()
        if address in seen or len(seen) > 120:
            continue
        seen.add(address)
        answer = page.goto(address)
        assert answer is not None and answer.status == 200, address
        assert page.locator("html").get_attribute("lang") == lang, address
        assert page.locator("h1").count() == 1 and page.title(), address
        waiting += _ours(page, gateway)
    assert {"/", "/sharings", "/log", "/organisations", "/account"} <= {urlsplit(address).path for address in seen}
    assert any(address.endswith("/stop") for address in seen)


def _ours(page: Page, gateway: str) -> list[str]:
    """The pages of ours that this page leads to. A link into a page must find its place there."""
    found = []
    for link in page.locator("a[href]").all():
        address, place = urldefrag(urljoin(page.url, link.get_attribute("href") or ""))
        if place and address == urldefrag(page.url)[0]:
            assert page.locator(f"[id='{place}']").count() == 1, (page.url, place)
        elif address.startswith(gateway) and not _file(page, address):
            found.append(address)
    return found


def _file(page: Page, address: str) -> bool:
    """Downloads open no page: they only have to be there."""
    path = urlsplit(address).path
    if not (path.startswith("/log/export.") or path.endswith(".json") or "/receipts/" in path):
        return False
    assert page.request.get(address).status == 200, address
    return True


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_what_leads_nowhere_is_a_page_with_a_way_home(opens: Any, alice: Resident, lang: str) -> None:
    window: Window = opens(alice, lang=lang)
    for path in ("/nothing", f"/sharings/{FORGED}", "/log/999999", "/organisations/nobody/link", f"/consent/{FORGED}"):
        answer = window.page.goto(alice.gateway + path)
        assert answer is not None and answer.status in (404, 405), path
        assert window.page.locator("html").get_attribute("lang") == lang
        assert window.page.locator("main a[href='/']").count() == 1, path
    for path, status in (("/nothing", 404), ("/refresh", 405)):
        answer = window.go("/", "watt-coach").page.goto(alice.demo.url("watt-coach") + path)
        assert answer is not None and answer.status == status
        assert window.page.locator("form[action='/connect'] button").count() == 1, path


def test_what_is_folded_on_the_screen_is_on_the_paper(opens: Any, linked: Resident) -> None:
    linked.story.agree_energy()
    window: Window = opens(linked).go("/sharings").click("View")
    technical = window.page.locator("details.technical dl")
    assert not technical.is_visible()
    window.page.emulate_media(media="print")
    assert technical.is_visible() and not window.page.locator("nav.main").is_visible()
