"""What only a browser can tell: sizes, focus, keys, contrast, printing. JavaScript is off unless the test measures."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import consent_street as street
import pytest
from axe_playwright_python.sync_playwright import Axe
from consent_cast import BANK, CLEAR_BUDGET, WATT_COACH, an_app
from consent_place import Place, Visitor, authorize
from playwright.sync_api import sync_playwright

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(street.chromium() is None, reason="chromium is not installed (apt-get install chromium)"),
]
SHAPE = """buttons => buttons.map(b => {
  const box = b.getBoundingClientRect(), s = getComputedStyle(b);
  return [box.y, box.width, box.height, [s.color, s.backgroundColor, s.borderTopColor, s.borderTopWidth, s.borderRadius,
    s.fontFamily, s.fontSize, s.fontWeight, s.textDecorationLine, s.opacity].join('|')]; })"""
LOOKS = list(itertools.product((320, 360, 1280), ("light", "dark")))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=street.chromium(), headless=True, chromium_sandbox=False, args=street.FLAGS
        )
        yield opened
        opened.close()


@pytest.fixture
def town(tmp_path: Path, keys: Any, catalogue: Any, policies: Any, translations: Any) -> Iterator[Place]:
    with street.served(tmp_path, keys, catalogue, policies, translations) as place:
        yield place


@pytest.fixture
def resident(town: Place) -> Visitor:
    return town.visitors["alice"]


def url(place: Place, path: str) -> str:
    return place.house.settings.public_url + path


def same_shape(shapes: list[list[Any]]) -> None:
    first, *others = shapes
    for other in others:
        assert all(abs(a - b) <= 1 for a, b in zip(first[:3], other[:3], strict=True)), shapes
        assert first[3] == other[3], shapes


def every_look(page: Any) -> Iterator[int]:
    """The page at each width, light and dark; yields the width."""
    for width, scheme in LOOKS:
        page.set_viewport_size({"width": width, "height": 740})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colour half way between two
        yield width


@pytest.mark.parametrize("language", ["en", "fr"])
def test_refuse_and_allow_look_the_same_everywhere(
    browser: Any, town: Place, resident: Visitor, language: str
) -> None:  # A21, F3
    resident.language = language
    with street.window(browser, resident, java_script_enabled=True) as page:
        page.goto(url(town, authorize(town.asks(resident, CLEAR_BUDGET))))
        assert page.evaluate("document.activeElement.tagName") == "BODY"  # A22: nothing has the focus
        for width in every_look(page):
            same_shape(page.eval_on_selector_all(".decision button", SHAPE))
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("language", ["en", "fr"])
def test_view_and_stop_look_the_same_on_every_card(
    browser: Any, town: Place, resident: Visitor, language: str
) -> None:  # B3
    resident.allows(town.asks(resident))
    resident.allows(town.asks(resident, CLEAR_BUDGET), **BANK)
    resident.language = language
    with street.window(browser, resident, java_script_enabled=True) as page:
        page.goto(url(town, "/sharings"))
        cards = page.query_selector_all(".sharing")
        assert len(cards) == 2
        for _ in every_look(page):
            for card in cards:
                same_shape(card.eval_on_selector_all(".actions > .button", SHAPE))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_three_items_fit_two_screens_of_a_small_phone(
    browser: Any, town: Place, resident: Visitor, language: str
) -> None:  # A27
    resident.language = language
    look = {"viewport": {"width": 360, "height": 740}, "java_script_enabled": True}
    with street.window(browser, resident, **look) as page:
        page.goto(url(town, authorize(town.asks(resident))))
        assert page.locator("li.item").count() == 3
        assert page.evaluate("document.documentElement.scrollHeight") <= 2 * 740


def test_enter_in_a_field_answers_nothing(browser: Any, town: Place, resident: Visitor) -> None:  # A22
    consent = town.asks(resident, CLEAR_BUDGET)
    with street.window(browser, resident) as page:
        page.goto(url(town, authorize(consent)))
        fields = page.locator("form.consent input:not([type=hidden]):not([disabled])")
        for position in range(fields.count()):
            with page.expect_navigation():
                fields.nth(position).press("Enter")
            assert town.consent(consent).state == "requested"
            page.goto(url(town, authorize(consent)))


def test_agreeing_and_stopping_work_without_scripts_and_stopping_takes_no_more_clicks(
    browser: Any, town: Place, resident: Visitor
) -> None:  # A24, C1, F6, F7
    consent = town.asks(resident, CLEAR_BUDGET)
    complaints: list[str] = []
    with street.window(browser, resident) as page:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda sent: complaints.extend([] if sent.url.startswith(url(town, "/")) else [sent.url]))
        page.goto(url(town, authorize(consent)))
        page.check("text=Current account ***56")
        page.click("text=Allow")
        assert page.inner_text("body") == "answered: active"
        granting = 2
        page.goto(url(town, "/sharings"))
        page.click("article >> text=Stop sharing")
        page.click("main button >> text=Stop sharing")
        stopping = 2
        assert page.inner_text("h1") == "The sharing with Clear Budget has ended"
    assert stopping <= granting
    assert town.consent(consent).state == "ended"
    assert not complaints


def test_the_keyboard_alone_is_enough(browser: Any, town: Place, resident: Visitor) -> None:  # F4
    consent = town.asks(resident)
    with street.window(browser, resident) as page:
        page.goto(url(town, authorize(consent)))
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.locator("button[value=allow]:focus").count():
                break
        page.keyboard.press("Enter")
        page.wait_for_function("document.body.innerText.startsWith('answered')", timeout=5000)
    assert town.consent(consent).state == "active"


def test_a_mistake_moves_the_focus_to_what_is_wrong(browser: Any, town: Place, resident: Visitor) -> None:  # A26
    with street.window(browser, resident, java_script_enabled=True) as page:
        page.goto(url(town, authorize(town.asks(resident, CLEAR_BUDGET))))
        page.click("text=Allow")
        page.wait_for_selector(".error-summary:focus")
        page.click(".error-summary a")
        assert page.evaluate("document.querySelector(':target').querySelectorAll('input').length") == 3


def test_the_receipt_prints_on_one_page(browser: Any, town: Place, resident: Visitor) -> None:  # F15, B22
    consent = town.asks(resident, CLEAR_BUDGET)
    resident.allows(consent, **BANK)
    resident.does(consent, "stop")
    with street.window(browser, resident) as page:
        page.goto(url(town, f"/sharings/{consent}/stopped"))
        assert page.pdf(format="A4").count(b"/Type /Page\n") == 1


@pytest.mark.parametrize("language", ["en", "fr"])
def test_axe_finds_nothing_on_any_page(browser: Any, town: Place, resident: Visitor, language: str) -> None:  # F1
    new = an_app("new", "New", ("energy-advice",), *WATT_COACH.data, verified=False)
    budget, stopped = town.asks(resident, CLEAR_BUDGET), town.asks(resident, new)
    resident.allows(budget, **BANK)
    resident.allows(stopped)
    resident.does(stopped, "stop")
    town.reads(budget)
    resident.language = language
    paths = [authorize(town.asks(resident, app)) for app in (CLEAR_BUDGET, new)]
    paths += [f"/sharings/{budget}{part}" for part in ("", "/stop", "/seen")] + [f"/sharings/{stopped}/stopped"]
    paths += [
        "/sharings?status=active",
        "/sharings?by=data",
        "/sharings/stop-all",
        "/sharings/pause-all",
        "/sharings/resume-all",
    ]
    with street.window(browser, resident, java_script_enabled=True, bypass_csp=True) as page:
        for path in paths:
            page.goto(url(town, path))
            page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
            for width in every_look(page):
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
                if width != 360:  # between the two: nothing of its own
                    found = Axe().run(page).response["violations"]
                    assert not found, (path, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found])
