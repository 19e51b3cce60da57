"""What only a browser can tell: sizes, focus, keys, contrast, printing. JavaScript is off unless the test measures."""

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.worlds.chromium import listening, searched, served
from tests.worlds.consent import BANK, CLEAR_BUDGET, WATT_COACH, Visitor, World, an_app, authorize, opened

pytestmark = pytest.mark.browser
SHAPE = """buttons => buttons.map(b => {
  const box = b.getBoundingClientRect(), s = getComputedStyle(b);
  return [box.y, box.width, box.height, [s.color, s.backgroundColor, s.borderTopColor, s.borderTopWidth, s.borderRadius,
    s.fontFamily, s.fontSize, s.fontWeight, s.textDecorationLine, s.opacity].join('|')]; })"""
LOOKS = list(itertools.product((320, 360, 1280), ("light", "dark")))


@pytest.fixture
def browser(chromium: Any) -> Any:
    return chromium


@pytest.fixture
def world(tmp_path: Path, keys: Any, catalogue: Any, policies: Any, translations: Any) -> Iterator[World]:
    """The same doors, served on a free port of this machine."""
    door = listening()
    address = f"http://localhost:{door.getsockname()[1]}"
    with opened(tmp_path, keys, catalogue, policies, translations, address) as world:
        with served(world.application, door):
            yield world


@contextlib.contextmanager
def window(browser: Any, person: Visitor, **look: Any) -> Iterator[Any]:
    """A page of `person`'s browser. `look`: viewport, color_scheme, locale … of the context; JavaScript is off."""
    context = browser.new_context(java_script_enabled=look.pop("java_script_enabled", False), **look)
    page = context.new_page()
    page.goto(url(person.world, f"/enter/{person.id}/{person.language}"))
    yield page
    context.close()


def url(world: World, path: str) -> str:
    return world.house.settings.public_url + path


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
def test_refuse_and_allow_look_the_same_everywhere(browser: Any, world: World, alice: Visitor, language: str) -> None:
    alice.language = language
    with window(browser, alice, java_script_enabled=True) as page:
        page.goto(url(world, authorize(world.asks(alice, CLEAR_BUDGET))))
        assert page.evaluate("document.activeElement.tagName") == "BODY"  # nothing has the focus
        for width in every_look(page):
            same_shape(page.eval_on_selector_all(".decision button", SHAPE))
            assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("language", ["en", "fr"])
def test_view_and_stop_look_the_same_on_every_card(browser: Any, world: World, alice: Visitor, language: str) -> None:
    alice.allows(world.asks(alice))
    alice.allows(world.asks(alice, CLEAR_BUDGET), **BANK)
    alice.language = language
    with window(browser, alice, java_script_enabled=True) as page:
        page.goto(url(world, "/sharings"))
        cards = page.query_selector_all(".sharing")
        assert len(cards) == 2
        for _ in every_look(page):
            for card in cards:
                same_shape(card.eval_on_selector_all(".actions > .button", SHAPE))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_three_items_fit_two_screens_of_a_small_phone(
    browser: Any, world: World, alice: Visitor, language: str
) -> None:
    alice.language = language
    look = {"viewport": {"width": 360, "height": 740}, "java_script_enabled": True}
    with window(browser, alice, **look) as page:
        page.goto(url(world, authorize(world.asks(alice))))
        assert page.locator("li.item").count() == 3
        assert page.evaluate("document.documentElement.scrollHeight") <= 2 * 740


def test_enter_in_a_field_answers_nothing(browser: Any, world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    with window(browser, alice) as page:
        page.goto(url(world, authorize(consent)))
        fields = page.locator("form.consent input:not([type=hidden]):not([disabled])")
        for position in range(fields.count()):
            with page.expect_navigation():
                fields.nth(position).press("Enter")
            assert world.consent(consent).state == "requested"
            page.goto(url(world, authorize(consent)))


def test_agreeing_and_stopping_work_without_scripts_and_stopping_takes_no_more_clicks(
    browser: Any, world: World, alice: Visitor
) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    complaints: list[str] = []
    with window(browser, alice) as page:
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda sent: complaints.extend([] if sent.url.startswith(url(world, "/")) else [sent.url]))
        page.goto(url(world, authorize(consent)))
        page.check("text=Current account ***56")
        page.click("text=Allow")
        assert page.inner_text("body") == "answered: active"
        granting = 2
        page.goto(url(world, "/sharings"))
        page.click("article >> text=Stop sharing")
        page.click("main button >> text=Stop sharing")
        stopping = 2
        assert page.inner_text("h1") == "The sharing with Clear Budget has ended"
    assert stopping <= granting
    assert world.consent(consent).state == "ended"
    assert not complaints


def test_the_keyboard_alone_is_enough(browser: Any, world: World, alice: Visitor) -> None:  # F4
    consent = world.asks(alice)
    with window(browser, alice) as page:
        page.goto(url(world, authorize(consent)))
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.locator("button[value=allow]:focus").count():
                break
        page.keyboard.press("Enter")
        page.wait_for_function("document.body.innerText.startsWith('answered')", timeout=5000)
    assert world.consent(consent).state == "active"


def test_a_mistake_moves_the_focus_to_what_is_wrong(browser: Any, world: World, alice: Visitor) -> None:
    with window(browser, alice, java_script_enabled=True) as page:
        page.goto(url(world, authorize(world.asks(alice, CLEAR_BUDGET))))
        page.click("text=Allow")
        page.wait_for_selector(".error-summary:focus")
        page.click(".error-summary a")
        assert page.evaluate("document.querySelector(':target').querySelectorAll('input').length") == 3


def test_the_receipt_prints_on_one_page(browser: Any, world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    alice.allows(consent, **BANK)
    alice.does(consent, "stop")
    with window(browser, alice) as page:
        page.goto(url(world, f"/sharings/{consent}/stopped"))
        assert page.pdf(format="A4").count(b"/Type /Page\n") == 1


@pytest.mark.parametrize("language", ["en", "fr"])
def test_axe_finds_nothing_on_any_page(browser: Any, world: World, alice: Visitor, language: str) -> None:  # F1
    new = an_app("new", "New", ("energy-advice",), *WATT_COACH.data, verified=False)
    budget, stopped = world.asks(alice, CLEAR_BUDGET), world.asks(alice, new)
    alice.allows(budget, **BANK)
    alice.allows(stopped)
    alice.does(stopped, "stop")
    world.reads(budget)
    alice.language = language
    paths = [authorize(world.asks(alice, app)) for app in (CLEAR_BUDGET, new)]
    paths += [f"/sharings/{budget}{part}" for part in ("", "/stop", "/seen")] + [f"/sharings/{stopped}/stopped"]
    paths += [
        "/sharings?status=active",
        "/sharings?by=data",
        "/sharings/stop-all",
        "/sharings/pause-all",
        "/sharings/resume-all",
    ]
    with window(browser, alice, java_script_enabled=True, bypass_csp=True) as page:
        for path in paths:
            page.goto(url(world, path))
            page.eval_on_selector_all("details", "all => all.forEach(each => each.open = true)")
            for width, (_, scheme) in zip(every_look(page), LOOKS, strict=True):
                assert page.evaluate("document.documentElement.scrollWidth") <= width, path
                if width != 360 and searched(width, scheme, language):  # 360: nothing of its own
                    found = Axe().run(page).response["violations"]
                    assert not found, (path, [(one["id"], [node["html"] for node in one["nodes"]]) for one in found])
