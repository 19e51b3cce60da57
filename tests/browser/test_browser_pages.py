"""Every page, in both languages, light and dark, on a phone and on a desk: checked by axe-core and by measuring.

axe runs in a context of its own, in which the page's policy does not hold.
"""

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from browser_world import AXE, FIND, LANGUAGE, TAGS
from playwright.sync_api import Browser, Page

from gateway.cli.demo_setup import Demo
from tests.worlds.chromium import WAIT_MS, searched
from tests.worlds.demo import CUSTOMERS, Resident, newcomer

# what axe-core is blind to, measured in the page itself: scripts that return a list of faults as sentences

# WCAG 1.4.11: the edge of a field or a button stands out by 3:1 from what lies beside it, or its filling does.
CONTRASTS = """() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  canvas.canvas.width = canvas.canvas.height = 1;
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = '#000'; canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const light = ([r, g, b]) => {
    const line = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
    return 0.2126 * line(r) + 0.7152 * line(g) + 0.0722 * line(b);
  };
  const contrast = (one, other) => {
    const [a, b] = [light(one), light(other)].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const found = rgba(getComputedStyle(at).backgroundColor);
      if (found[3] > 0.99) return found;
    }
    return matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
  };
  const told = [];
  const typed = 'input:not([type=hidden]):not([type=checkbox]):not([type=radio]), select, textarea';
  for (const one of document.querySelectorAll(`${typed}, button:not([disabled]):not(.as-link), a.button`)) {
    const box = one.getBoundingClientRect();
    if (box.width < 2 || box.height < 2 || !one.checkVisibility()) continue;
    const style = getComputedStyle(one), around = behind(one.parentElement), inside = behind(one);
    const edged = parseFloat(style.borderTopWidth) > 0 && style.borderTopStyle !== 'none';
    const edge = edged ? rgba(style.borderTopColor) : inside;
    const best = Math.max(contrast(edge, around), contrast(inside, around));
    const name = (one.name || one.innerText || '').slice(0, 30);
    if (best < 3) told.push(`${one.tagName} "${name}" stands out by ${best.toFixed(2)} only`);
  }
  return told;
}"""

# WCAG 1.4.12: the spacing a reader may set.
SPACED_OUT = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important;
                         word-spacing: 0.16em !important; }
                     p { margin-bottom: 2em !important; }`);
  document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
}"""
CLIPPED = """() => {
  const told = [];
  for (const one of document.body.querySelectorAll('*')) {
    const style = getComputedStyle(one), box = one.getBoundingClientRect();
    if (box.width < 8 || box.height < 8 || !one.innerText || !one.checkVisibility()) continue;
    const cut = (axis) => ['hidden', 'clip'].includes(style[`overflow${axis}`]);
    if ((cut('X') && one.scrollWidth > one.clientWidth + 1) || (cut('Y') && one.scrollHeight > one.clientHeight + 1))
      told.push(`${one.tagName}.${one.className}: ${one.innerText.slice(0, 40)}`);
  }
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) told.push(`the page is ${wide} px wide`);
  return told;
}"""


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
def furnished(world: Demo) -> tuple[Resident, dict[str, str]]:
    """Alice with everything: links, a running sharing, an ended one, accesses and a refusal in the log."""
    alice = newcomer(world)
    alice.links("city-energy", "harbour-bank", "meadow-health")
    story = alice.story
    for step in (story.agree_energy, story.read_energy, story.agree_budget, story.read_bank, story.ask_for_more):
        step()
    story.stop_sharing()
    alice.is_asked("Till 4, 12.50 EUR")
    path = alice.is_asked("Till 7", "other-till")
    page = alice.visitor.get(alice.gateway + path)
    alice.visitor.submit(page, page.form("/consent/"), press="refuse")
    return alice, {"active": story.grants["clear-budget"].consent, "ended": story.grants["watt-coach"].consent}


@pytest.fixture(scope="module")
def beginner(world: Demo) -> Resident:
    return newcomer(world, "Bob Leroy")


@pytest.fixture(scope="module")
def under_age(world: Demo) -> Resident:
    return newcomer(world, "Chloé Petit", born=date(date.today().year - 10, 1, 1))


# ---- ways to the pages that no address alone leads to

Reach = Callable[[Page, Demo], None]


def _connect(app: str) -> Reach:
    def reach(page: Page, world: Demo) -> None:
        page.goto(world.url(app))
        with page.expect_navigation():
            page.locator("form[action='/connect'] button").click()

    return reach


def _ask_without_choosing(page: Page, world: Demo) -> None:
    _connect("watt-coach")(page, world)
    with page.expect_navigation():
        page.locator("button[value=allow]").click()


def _waiting(page: Page, world: Demo) -> None:
    page.goto(f"{world.url('gateway')}/sharings")
    with page.expect_navigation():
        page.locator("a[href^='/requests/']").click()


def _code(page: Page, world: Demo) -> None:
    page.goto(f"{world.url('gateway')}/organisations/meadow-health/link")
    page.fill("#customer_number", CUSTOMERS["meadow-health"])
    with page.expect_navigation():
        page.locator("form[action$='/link'] button").last.click()


def _wrong_password(page: Page, world: Demo) -> None:
    page.goto(f"{world.url('gateway')}/sign-in")
    page.fill("#email", "nobody@example.org")
    page.fill("#password", "not the password")
    with page.expect_navigation():
        page.locator("form[action^='/sign-in'] button").last.click()


def _weak_account(page: Page, world: Demo) -> None:
    page.goto(f"{world.url('gateway')}/register")
    page.fill("#name", "Zoé")
    page.fill("#email", "zoe@example.org")
    page.fill("#password", "password")
    with page.expect_navigation():
        page.locator("form[action^='/register'] button").last.click()


@pytest.fixture(params=["en", "fr"])
def lang(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bare(chromium: Browser, world: Demo, lang: str) -> Iterator[Callable[[Resident | None], Page]]:
    contexts = []

    def open_one(who: Resident | None) -> Page:
        context = chromium.new_context(
            bypass_csp=True, reduced_motion="reduce", locale={"en": "en-GB", "fr": "fr-FR"}[lang]
        )
        context.set_default_timeout(WAIT_MS)
        address = world.url("gateway").replace("http:", "https:")
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
            for found in page.evaluate(FIND, TAGS)["violations"] if searched(width, scheme, lang) else ():
                yield f"{where}: {found['id']}: {found['help']}: {found['nodes'][0]['html'][:160]}"
            for told in page.evaluate(CONTRASTS):
                yield f"{where}: {told}"
        wide = page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            yield f"{name} ({lang}): {wide} px wide in a window of {width} px"
    page.set_viewport_size({"width": 320, "height": 800})
    page.evaluate(SPACED_OUT)
    yield from (f"{name} ({lang}): with more space between letters, cut off: {told}" for told in page.evaluate(CLIPPED))


def looked_at(page: Page, addresses: list[str], world: Demo, lang: str, **ids: str) -> tuple[list[str], dict[str, str]]:
    """(faults, title by address)"""
    faults: list[str] = []
    titles: dict[str, str] = {}
    for address in addresses:
        answer = page.goto(world.url("gateway") + address.format(**ids))
        assert answer is not None and (answer.status == 200) == (address not in ("/nowhere", "/authorize")), address
        titles[address] = page.title()
        faults += faults_of(page, address, lang)
    return faults, titles


def test_pages_before_signing_in(bare: Any, world: Demo, lang: str) -> None:
    page = bare(None)
    faults, titles = looked_at(page, SIGNED_OUT, world, lang)
    for reach in (_wrong_password, _weak_account):
        reach(page, world)
        assert page.title().startswith({"en": "Error", "fr": "Erreur"}[lang])
        faults += faults_of(page, reach.__name__, lang)
    assert not faults, "\n".join(faults)
    assert len(set(titles.values())) == len(titles), titles


@pytest.mark.parametrize("half", [0, 1])
def test_pages_of_someone_who_shares(bare: Any, world: Demo, furnished: Any, lang: str, half: int) -> None:
    alice, ids = furnished
    faults, titles = looked_at(bare(alice), OF_ALICE[half::2], world, lang, **ids)
    assert not faults, "\n".join(faults)
    assert len(set(titles.values())) >= len(titles) - 1, titles  # the list in its two orders is one page


def test_pages_of_someone_who_begins(bare: Any, world: Demo, beginner: Resident, lang: str) -> None:
    page = bare(beginner)
    faults, _ = looked_at(page, OF_A_BEGINNER, world, lang)
    for name, reach in {"link first": _connect("watt-coach"), "code": _code}.items():
        reach(page, world)
        faults += faults_of(page, name, lang)
    assert not faults, "\n".join(faults)


def test_the_question_in_all_its_forms(bare: Any, world: Demo, furnished: Any, under_age: Resident, lang: str) -> None:
    page = bare(furnished[0])
    faults: list[str] = []
    for name, reach in {
        "asked by Watt Coach": _connect("watt-coach"),
        "asked by Clear Budget": _connect("clear-budget"),
        "nothing chosen": _ask_without_choosing,
        "sent by an app that is not there": _waiting,
    }.items():
        reach(page, world)
        assert page.locator(".decision button").count() == 2, name
        faults += faults_of(page, name, lang)
    child = bare(under_age)
    _connect("watt-coach")(child, world)
    faults += faults_of(child, "under age", lang)
    assert not faults, "\n".join(faults)
