"""What only a real browser shows: passkeys, contrast, width, axe, no script, no word from the CSP."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from people_world import PASSWORD, World, serving
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.worlds.chromium import searched

pytestmark = pytest.mark.browser

OUT = ("/", "/register", "/sign-in", "/sign-in?registered=1", "/sign-in/passkey", "/nowhere")
IN = ("/", "/account", "/account/details", "/account/password", "/account/codes", "/account/passkeys/add")
IN += ("/sign-in?again=1",)
FIND = """() => axe.run(document, {resultTypes: ['violations'], runOnly: {type: 'tag',
  values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']}})"""
LOOKS = list(itertools.product((320, 1280), ("light", "dark")))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with serving(tmp_path_factory.mktemp("people")) as made:
        made.person("Alice Martin")
        yield made


@pytest.fixture
def context(chromium: Browser, world: World) -> Iterator[BrowserContext]:
    made = chromium.new_context(base_url=world.house.settings.public_url, locale="en")
    yield made
    made.close()


def _signs_in(page: Page) -> None:
    page.goto("/sign-in")
    page.fill("#email", "alice@example.org")
    page.fill("#password", PASSWORD)
    page.click("main button")


# ---- passkeys


def _authenticator(page: Page, *, verified: bool = True) -> Any:
    """A virtual one, of the kind a phone has inside."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": verified, "automaticPresenceSimulation": True}
    made = devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return devtools, made["authenticatorId"]


def _add_passkey(page: Page, name: str = "My phone") -> None:
    page.goto("/account/passkeys/add")
    page.fill("#name", name)
    page.click("#ask")


def test_alice_adds_a_passkey_and_signs_in_with_it_without_typing(context: BrowserContext, world: World) -> None:
    page = context.new_page()
    _authenticator(page)
    _signs_in(page)
    _add_passkey(page)
    page.wait_for_url("**/account?done=passkey")
    expect(page.locator("main")).to_contain_text("My phone")
    page.click("footer >> text=Sign out")
    page.goto("/sign-in/passkey?next=/account")
    page.click("#ask")
    page.wait_for_url("**/account")
    expect(page.locator("main")).to_contain_text("Signed in by passkey")
    with world.house.store.read() as session:
        from gateway.people import accounts

        alice = accounts.find(session, "alice@example.org")
    assert alice
    assert world.events(alice)[-4:] == ["sign_in", "passkey_added", "signed_out", "sign_in"]


def test_an_answer_is_taken_once(context: BrowserContext) -> None:
    """Replay of the very form that signed in: its challenge is spent."""
    page = context.new_page()
    _authenticator(page)
    _signs_in(page)
    _add_passkey(page)
    page.wait_for_url("**/account?done=passkey")
    page.click("footer >> text=Sign out")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.post_data or "") if request.method == "POST" else None)
    page.goto("/sign-in/passkey")
    page.click("#ask")
    page.wait_for_url("**/")
    expect(page.locator("h1")).to_contain_text("Hello Alice")
    page.click("footer >> text=Sign out")
    form = next(body for body in sent if "answer=" in body)
    page.goto("/sign-in/passkey")
    csrf = page.locator("main input[name=csrf]").input_value()
    fields = "&".join(part for part in form.split("&") if not part.startswith("csrf=")) + f"&csrf={csrf}"
    again = page.request.post(
        "/sign-in/passkey", data=fields, headers={"content-type": "application/x-www-form-urlencoded"}, max_redirects=0
    )
    assert again.status == 400
    assert page.request.get("/mine", max_redirects=0).status == 303


def _passkey_of_somebody_unverified(context: BrowserContext) -> Page:
    """At the sign-in with a passkey that Alice added, which asks nobody for a finger or PIN any more."""
    page = context.new_page()
    devtools, authenticator = _authenticator(page)
    _signs_in(page)
    _add_passkey(page)
    page.wait_for_url("**/account?done=passkey")
    page.click("footer >> text=Sign out")
    devtools.send("WebAuthn.setUserVerified", {"authenticatorId": authenticator, "isUserVerified": False})
    page.goto("/sign-in/passkey")
    return page


def test_a_passkey_of_someone_unverified_is_not_taken(context: BrowserContext) -> None:
    page = _passkey_of_somebody_unverified(context)
    page.click("#ask")
    expect(page.locator("[data-failed]")).to_be_visible()
    assert page.request.get("/mine", max_redirects=0).status == 303


def test_a_page_that_asks_for_no_verification_gets_nobody_in(context: BrowserContext) -> None:
    """What a script of Mallory's would ask of a key she has found: her touch alone, and neither finger nor PIN."""
    page = _passkey_of_somebody_unverified(context)
    page.locator("form[data-passkey]").evaluate(
        "f => f.dataset.options = JSON.stringify({...JSON.parse(f.dataset.options), userVerification: 'discouraged'})"
    )
    page.click("#ask")
    expect(page.locator(".error-summary")).to_contain_text("The passkey was not accepted.")
    assert page.request.get("/mine", max_redirects=0).status == 303


def test_a_copy_of_a_passkey_is_noticed_by_its_counter(context: BrowserContext) -> None:
    page = context.new_page()
    devtools, authenticator = _authenticator(page)
    _signs_in(page)
    _add_passkey(page)
    page.wait_for_url("**/account?done=passkey")
    page.click("footer >> text=Sign out")
    (copied,) = devtools.send("WebAuthn.getCredentials", {"authenticatorId": authenticator})["credentials"]
    page.goto("/sign-in/passkey?next=/account")
    page.click("#ask")
    page.wait_for_url("**/account")
    page.click("footer >> text=Sign out")
    devtools.send("WebAuthn.clearCredentials", {"authenticatorId": authenticator})
    devtools.send("WebAuthn.addCredential", {"authenticatorId": authenticator, "credential": copied})
    page.goto("/sign-in/passkey")
    page.click("#ask")
    expect(page.locator(".error-summary")).to_contain_text("The passkey was not accepted.")
    assert page.request.get("/mine", max_redirects=0).status == 303


def test_the_same_authenticator_is_not_added_twice(context: BrowserContext) -> None:
    page = context.new_page()
    _authenticator(page)
    _signs_in(page)
    _add_passkey(page)
    page.wait_for_url("**/account?done=passkey")
    _add_passkey(page)
    expect(page.locator("[data-failed]")).to_contain_text("No passkey was made.")


def test_a_removed_passkey_opens_nothing(context: BrowserContext) -> None:
    page = context.new_page()
    _authenticator(page)
    _signs_in(page)
    _add_passkey(page, "Lost phone")
    page.wait_for_url("**/account?done=passkey")
    page.click("role=button[name='Remove Lost phone']")
    page.click("footer >> text=Sign out")
    page.goto("/sign-in/passkey")
    page.click("#ask")
    expect(page.locator(".error-summary")).to_contain_text("The passkey was not accepted.")
    expect(page.locator(".error-summary")).to_be_focused()


# ---- without JavaScript


def test_everything_but_passkeys_works_without_javascript(chromium: Browser, world: World) -> None:
    context = chromium.new_context(
        base_url=world.house.settings.public_url, java_script_enabled=False, locale="fr", color_scheme="dark"
    )
    page = context.new_page()
    page.goto("/register")
    page.fill("#name", "Germaine Dupont")
    page.fill("#email", "germaine@example.org")
    page.fill("#password", "trois hérons calmes")
    page.click("main button")
    page.fill("#email", "germaine@example.org")
    page.fill("#password", "trois hérons calmes")
    page.click("main button")
    assert "Bonjour Germaine Dupont" in page.content()
    page.click("text=English")
    assert "Hello Germaine Dupont" in page.content()
    page.click("footer >> text=Light")
    assert page.get_attribute("html", "data-theme") == "light"
    page.click("footer >> text=Sign out")
    assert "Your data goes where you agree" in page.content()
    page.goto("/sign-in/passkey")
    assert "Passkeys need JavaScript." in page.content()
    context.close()


# ---- looks


@pytest.mark.parametrize("language", ["fr", "en"])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(chromium: Browser, world: World, language: str) -> None:
    context = chromium.new_context(
        base_url=world.house.settings.public_url,
        locale=language,
        reduced_motion="reduce",  # no colour half way between two
        bypass_csp=True,
    )
    page = context.new_page()
    found = []
    for path in OUT:
        page.goto(path)
        found += _faults(page, path, language)
    page.goto("/register")
    page.fill("#name", "x")
    page.fill("#email", "x@y")
    page.fill("#password", "password")
    page.click("main button")
    found += _faults(page, "/register with mistakes", language)
    _signs_in(page)
    page.goto("/")
    page.click(".language button" if page.get_attribute("html", "lang") != language else ".brand")
    for path in IN:
        page.goto(path)
        assert page.get_attribute("html", "lang") == language
        found += _faults(page, path, language)
    context.close()
    assert found == []


def _faults(page: Page, path: str, language: str) -> list[str]:
    """In every look."""
    told = []
    if page.locator("h1").count() != 1 or page.title().startswith("–"):
        told.append(f"{path}: h1 or title")
    page.evaluate(AXE_SCRIPT)
    for width, theme in LOOKS:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        where = f"{path} ({width} px, {theme})"
        if page.evaluate("document.documentElement.scrollWidth") > width:
            told.append(f"{where}: scrolls sideways")
        for fault in page.evaluate(FIND)["violations"] if searched(width, theme, language) else ():
            told += [f"{where}: {fault['id']}: {node['html'][:120]}" for node in fault["nodes"]]
    return told


EDGES = """() => {
  const lum = (c) => { const [r, g, b] = c.match(/[\\d.]+/g).slice(0, 3).map(Number).map(v => v / 255)
      .map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b }
  const ratio = (a, b) => { const [x, y] = [lum(a), lum(b)].sort((p, q) => q - p); return (x + .05) / (y + .05) }
  const ground = (e) => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor
      if (!/, 0\\)$|transparent/.test(c)) return c } return 'rgb(255,255,255)' }
  return [...document.querySelectorAll('input:not([type=hidden]):not(.hidden), button, .button, select')].map(e => {
      e.focus(); const s = getComputedStyle(e)
      return [e.outerHTML.slice(0, 60), ratio(s.borderTopColor, ground(e.parentElement)),
              ratio(s.outlineColor, ground(e.parentElement)), e.getBoundingClientRect().height] })
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_edges_and_focus_stand_out_and_targets_are_large_enough(chromium: Browser, world: World, theme: Any) -> None:
    """WCAG 1.4.11, to which axe is blind, and 2.5.8."""
    context = chromium.new_context(base_url=world.house.settings.public_url, color_scheme=theme)
    page = context.new_page()
    for path in ("/", "/register", "/sign-in"):
        page.goto(path)
        page.keyboard.press("Tab")
        for element, edge, focus, height in page.evaluate(EDGES):
            assert edge >= 3 and focus >= 3 and height >= 24, (path, element, edge, focus, height)
    context.close()


def test_the_policy_blocks_nothing_and_nobody_else_is_asked(context: BrowserContext, world: World) -> None:
    page = context.new_page()
    told: list[str] = []
    asked: set[str] = set()
    page.on("console", lambda message: told.append(message.text) if "Content Security" in message.text else None)
    page.on("request", lambda request: asked.add(request.url.split("/")[2]) if "://" in request.url else None)
    for path in OUT:
        page.goto(path)
    _signs_in(page)
    for path in IN:
        page.goto(path)
    assert told == []
    assert asked == {world.house.settings.host_header}


def test_the_keyboard_alone_signs_in(context: BrowserContext) -> None:
    page = context.new_page()
    page.goto("/sign-in")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("alice@example.org")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text("Hello Alice")


def test_wide_spacing_of_text_and_zoom_clip_nothing(context: BrowserContext) -> None:
    page = context.new_page()
    page.set_viewport_size({"width": 320, "height": 600})
    for path in OUT:
        page.goto(path)
        page.evaluate(
            "document.body.style.cssText = 'line-height:1.5!important;letter-spacing:.12em!important;"
            "word-spacing:.16em!important'"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
