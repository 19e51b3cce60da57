"""Every page, in both languages, light and dark, on a phone and on a desk: checked by axe-core and by measuring.

axe runs in a context of its own, in which the page's policy does not hold.
"""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import axe_playwright_python
import pytest
from measures import CLIPPED, CONTRASTS, SPACED_OUT
from playwright.sync_api import Browser, Page
from town import CUSTOMERS, Resident, newcomer
from windows import LANGUAGE

from gateway.cli.demo_setup import Demo

AXE = Path(axe_playwright_python.__file__).with_name("axe.min.js")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
FIND = "(tags) => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})"

SIGNED_OUT = ["/", "/sign-in", "/sign-in/passkey", "/register", "/nowhere", "/authorize"]
OF_ALICE = [
    "/",
    "/sharings",
    "/sharings?by=data",
    "/sharings/{active}",
    "/sharings/{active}/seen",
    "/sharings/{active}/stop",
    "/sharings/{ended}",
    "/sharings/{ended}/stopped",
    "/sharings/stop-all",
    "/log",
    "/log/1",
    "/organisations",
    "/organisations/harbour-bank/download",
    "/organisations/harbour-bank/unlink",
    "/account",
    "/account/details",
    "/account/password",
    "/account/codes",
    "/account/passkeys/add",
    "/sign-in?again=1",
    "/nowhere",
]
OF_A_BEGINNER = ["/", "/sharings", "/log", "/organisations", "/organisations/city-energy/link"]


# ---- who has what


@pytest.fixture(scope="module")
def furnished(town: Demo) -> tuple[Resident, dict[str, str]]:
    """Alice with everything: links, a running sharing, an ended one, accesses and a refusal in the log."""
    alice = newcomer(town)
    alice.links("city-energy", "harbour-bank", "meadow-health")
    story = alice.story
    for step in (story.agree_energy, story.read_energy, story.agree_budget, story.read_bank, story.ask_for_more):
        step()
    story.stop_sharing()
    return alice, {"active": story.grants["clear-budget"].consent, "ended": story.grants["watt-coach"].consent}


@pytest.fixture(scope="module")
def beginner(town: Demo) -> Resident:
    return newcomer(town, "Bob Leroy")


@pytest.fixture(scope="module")
def under_age(town: Demo) -> Resident:
    return newcomer(town, "Chloé Petit", born=date(date.today().year - 10, 1, 1))


# ---- ways to the pages that no address alone leads to

Reach = Callable[[Page, Demo], None]


def _connect(app: str) -> Reach:
    def reach(page: Page, town: Demo) -> None:
        page.goto(town.url(app))
        with page.expect_navigation():
            page.locator("form[action='/connect'] button").click()

    return reach


def _ask_without_choosing(page: Page, town: Demo) -> None:
    _connect("watt-coach")(page, town)
    with page.expect_navigation():
        page.locator("button[value=allow]").click()


def _code(page: Page, town: Demo) -> None:
    page.goto(f"{town.url('gateway')}/organisations/meadow-health/link")
    page.fill("#customer_number", CUSTOMERS["meadow-health"])
    with page.expect_navigation():
        page.locator("form[action$='/link'] button").last.click()


def _wrong_password(page: Page, town: Demo) -> None:
    page.goto(f"{town.url('gateway')}/sign-in")
    page.fill("#email", "nobody@example.org")
    page.fill("#password", "not the password")
    with page.expect_navigation():
        page.locator("form[action^='/sign-in'] button").last.click()


def _weak_account(page: Page, town: Demo) -> None:
    page.goto(f"{town.url('gateway')}/register")
    page.fill("#name", "Zoé")
    page.fill("#email", "zoe@example.org")
    page.fill("#password", "password")
    with page.expect_navigation():
        page.locator("form[action^='/register'] button").last.click()


@pytest.fixture(params=["en", "fr"])
def lang(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bare(chromium: Browser, town: Demo, lang: str) -> Iterator[Callable[[Resident | None], Page]]:
    contexts = []

    def open_one(who: Resident | None) -> Page:
        context = chromium.new_context(
            bypass_csp=True, reduced_motion="reduce", locale={"en": "en-GB", "fr": "fr-FR"}[lang]
        )
        context.set_default_timeout(20_000)
        address = town.url("gateway").replace("http:", "https:")
        context.add_cookies([{"name": LANGUAGE, "value": lang, "url": address, "secure": True}])
        if who:
            context.add_cookies([c for c in who.cookies() if c["name"] != LANGUAGE])
        contexts.append(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


def faults_of(page: Page, name: str, lang: str) -> Iterator[str]:
    """What is wrong with the page as it stands, as sentences."""
    assert page.locator("html").get_attribute("lang") == lang, name
    if page.locator("h1").count() != 1:
        yield f"{name}: {page.locator('h1').count()} h1"
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            where = f"{name} ({lang}, {width} px, {scheme})"
            for found in page.evaluate(FIND, TAGS)["violations"]:
                yield f"{where}: {found['id']}: {found['help']}: {found['nodes'][0]['html'][:160]}"
            for told in page.evaluate(CONTRASTS):
                yield f"{where}: {told}"
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            yield f"{name} ({lang}): {wide} px wide in a window of {width} px"
    page.set_viewport_size({"width": 320, "height": 800})
    page.evaluate(SPACED_OUT)
    yield from (f"{name} ({lang}): with more space between letters, cut off: {told}" for told in page.evaluate(CLIPPED))


def looked_at(page: Page, addresses: list[str], town: Demo, lang: str, **ids: str) -> tuple[list[str], dict[str, str]]:
    """(faults, title by address)"""
    faults: list[str] = []
    titles: dict[str, str] = {}
    for address in addresses:
        answer = page.goto(town.url("gateway") + address.format(**ids))
        assert answer is not None and (answer.status == 200) == (address not in ("/nowhere", "/authorize")), address
        titles[address] = page.title()
        faults += faults_of(page, address, lang)
    return faults, titles


def test_pages_before_signing_in(bare: Any, town: Demo, lang: str) -> None:
    page = bare(None)
    faults, titles = looked_at(page, SIGNED_OUT, town, lang)
    for reach in (_wrong_password, _weak_account):
        reach(page, town)
        assert page.title().startswith({"en": "Error", "fr": "Erreur"}[lang])
        faults += faults_of(page, reach.__name__, lang)
    assert not faults, "\n".join(faults)
    assert len(set(titles.values())) == len(titles), titles


@pytest.mark.parametrize("half", [0, 1])
def test_pages_of_someone_who_shares(bare: Any, town: Demo, furnished: Any, lang: str, half: int) -> None:
    alice, ids = furnished
    faults, titles = looked_at(bare(alice), OF_ALICE[half::2], town, lang, **ids)
    assert not faults, "\n".join(faults)
    assert len(set(titles.values())) >= len(titles) - 1, titles  # the list in its two orders is one page


def test_pages_of_someone_who_begins(bare: Any, town: Demo, beginner: Resident, lang: str) -> None:
    page = bare(beginner)
    faults, _ = looked_at(page, OF_A_BEGINNER, town, lang)
    for name, reach in {"link first": _connect("watt-coach"), "code": _code}.items():
        reach(page, town)
        faults += faults_of(page, name, lang)
    assert not faults, "\n".join(faults)


def test_the_question_in_all_its_forms(bare: Any, town: Demo, furnished: Any, under_age: Resident, lang: str) -> None:
    page = bare(furnished[0])
    faults: list[str] = []
    for name, reach in {
        "asked by Watt Coach": _connect("watt-coach"),
        "asked by Clear Budget": _connect("clear-budget"),
        "nothing chosen": _ask_without_choosing,
    }.items():
        reach(page, town)
        assert page.locator(".decision button").count() == 2, name
        faults += faults_of(page, name, lang)
    child = bare(under_age)
    _connect("watt-coach")(child, town)
    faults += faults_of(child, "under age", lang)
    assert not faults, "\n".join(faults)
