"""The consent screen plays fair: equal answers, no push, short, light; and all of it works by keyboard."""

import json
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from browser_world import Window
from playwright.sync_api import Page

from tests.worlds.demo import Resident

PHONE = {"width": 360, "height": 740}
TWO_SCREENS = 2 * PHONE["height"]

# All that makes two buttons look alike.
LOOK = """(one) => {
  const style = getComputedStyle(one), box = one.getBoundingClientRect();
  const names = ['color', 'backgroundColor', 'borderTopColor', 'borderTopWidth', 'borderTopStyle', 'borderRadius',
                 'fontFamily', 'fontSize', 'fontWeight', 'textTransform', 'opacity', 'boxShadow', 'cursor'];
  const look = Object.fromEntries(names.map((name) => [name, style[name]]));
  return {look, top: box.top, width: box.width, height: box.height};
}"""


def three_items(who: Resident) -> str:
    """The address of a question by Clear Budget with three items of one bank."""
    gateway, story = who.gateway, who.story
    details = [
        {
            "type": "data_access",
            "locations": [f"{gateway}/data/harbour-bank"],
            "datatypes": [dataset],
            "actions": ["read"],
            "purpose": "household-budget",
            "period": {"history": "P3M", "future": True},
            "frequency": {"times": 12, "per": "day"},
            "valid_for": "P6M",
            "retention": "P1M",
        }
        for dataset in ("bank.accounts", "bank.transactions", "bank.balances")
    ]
    form = {
        "response_type": "code",
        "redirect_uri": f"{who.demo.url('clear-budget')}/callback",
        "state": "a-state-of-sufficient-length",
        "code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
        "code_challenge_method": "S256",
        "authorization_details": json.dumps(details),
    }
    pushed = story.http.post(f"{gateway}/par", data=form, auth=story._client("clear-budget")["auth"])
    assert pushed.status_code == 201, pushed.text
    query = urlencode({"client_id": "clear-budget", "request_uri": pushed.json()["request_uri"]})
    return f"{gateway}/authorize?{query}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_refuse_and_allow_weigh_the_same_at_every_width(opens: Any, linked: Resident, scheme: str) -> None:
    window: Window = opens(linked, color_scheme=scheme, reduced_motion="reduce").at_the_question()
    order = window.page.locator(".decision button").evaluate_all("(all) => all.map((one) => one.value)")
    assert order == ["refuse", "allow"]
    for width in (320, 360, 1280):
        window.page.set_viewport_size({"width": width, "height": 800})
        refuse, allow = (window.page.locator(f"button[value={one}]").evaluate(LOOK) for one in order)
        assert refuse["look"] == allow["look"], width
        assert abs(refuse["width"] - allow["width"]) <= 1 and abs(refuse["height"] - allow["height"]) <= 1, width
        assert abs(refuse["top"] - allow["top"]) <= 1, f"not in one row at {width} px"


def test_nothing_has_the_focus_and_enter_in_a_field_decides_nothing(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).at_the_question()
    assert window.page.evaluate("document.activeElement.tagName") == "BODY"
    question = window.page.url
    fields = window.page.locator("form.consent input:not([type=hidden]):not([disabled])")
    for index in range(fields.count()):
        fields.nth(index).focus()
        window.page.keyboard.press("Enter")
        window.page.wait_for_timeout(150)
        window.page.wait_for_load_state()
        window.page.locator(".decision button[value=allow]").wait_for()  # the question is still there, or again
        assert window.is_at("gateway")
    assert window.page.url == question or window.path.startswith(("/authorize", "/consent/"))
    assert "Nothing fits" in window.go("/sharings?status=active").text()


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_question_fits_in_two_screens_of_a_phone_and_is_light(opens: Any, alice: Resident, lang: str) -> None:
    alice.links("city-energy", "harbour-bank")
    window: Window = opens(alice, lang=lang, **PHONE)
    answers: list[Any] = []
    window.page.on("response", lambda answer: answers.append(answer))
    heights = {}
    for name, address in {"three items": three_items(alice), "Watt Coach": ""}.items():
        if address:
            window.go(address)
            window.page.wait_for_load_state("networkidle")
            loaded = [len(answer.body()) for answer in answers]
            assert len(loaded) <= 6 and sum(loaded) <= 60_000, loaded
        else:
            window.at_the_question()
        assert window.page.locator("html").get_attribute("lang") == lang
        heights[name] = window.page.evaluate("document.documentElement.scrollHeight")
    assert max(heights.values()) <= TWO_SCREENS, heights


def test_the_page_says_what_it_must(opens: Any, linked: Resident) -> None:
    window: Window = opens(linked).at_the_question()
    text = window.text()
    for words in (
        "You: Alice Martin",
        "Not you?",
        "Watt Coach SAS",
        "Required",
        "Optional",
        "Period of the data",
        "How long the sharing lasts",
        "How often",
        "will not be passed on",
        "What Watt Coach has received by then stays with it",
        "None of these companies needs your password",
        "You will go back to localhost",
    ):
        assert words in text, words
    assert not re.search(r"\b(energy|interval|summary)\.[a-z]", text), "a raw identifier outside the technical details"
    assert window.page.locator("input[name=duration]").count() <= 4
    headers = window.page.request.get(window.page.url).headers
    assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "no-referrer"
    assert "'unsafe" not in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


# ---- by keyboard alone


def tab_to(page: Page, selector: str) -> None:
    """Press Tab until the focus is there, seeing at each stop where it is."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", f"the focus on {selector} cannot be seen"
            return
    raise AssertionError(f"no way to {selector} by Tab")


def press(page: Page, selector: str, key: str = "Enter") -> None:
    tab_to(page, selector)
    with page.expect_navigation():
        page.keyboard.press(key)


def test_agree_look_and_stop_by_keyboard_alone(opens: Any, linked: Resident) -> None:
    window: Window = opens(linked).go("/", "watt-coach")
    page = window.page
    press(page, "form[action='/connect'] button")
    tab_to(page, "input[name='accounts:city-energy']")
    page.keyboard.press("Space")
    press(page, "button[value=allow]")
    page.wait_for_url(window.world.url("watt-coach") + "/")
    press(page, "a[href*='/sharings/']")
    assert window.is_at("gateway") and window.path.startswith("/sharings/")
    press(page, "main a[href$='/stop']")
    press(page, "form[action$='/stop'] button")
    assert window.path.endswith("/stopped")


def test_the_receipt_prints_on_one_page_without_navigation(opens: Any, linked: Resident) -> None:
    window: Window = opens(linked).shares()
    window.go("/sharings")
    window.click(window.page.locator("article.sharing a[href$='/stop']")).click("Stop sharing", "button")
    printed = window.page.pdf(format="A4")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1
    window.page.emulate_media(media="print")
    for what in ("nav.main", "form.language", "form.theme"):
        assert window.page.locator(what).first.is_hidden(), what
