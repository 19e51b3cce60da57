"""The pictures of the README: `PICTURES=1 pytest tests/browser/test_browser_pictures.py` writes them anew."""

import os
import zlib
from pathlib import Path
from typing import Any

import pytest

from town import Resident
from windows import Window


FOLDER = Path(__file__).parent / "pictures"
NAMES = ("sign-in", "link", "consent", "watt-coach", "sharings", "log")
WIDTH = 1280
TALLEST = 1500

writing = pytest.mark.skipif(os.environ.get("PICTURES") != "1", reason="pictures are only written with PICTURES=1")


def keep(window: Window, name: str, lang: str, tallest: int = TALLEST) -> None:
    """From the top of the page to the end of what it says, without the footer."""
    page = window.page
    page.wait_for_load_state("networkidle")
    end = page.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom + scrollY)")
    page.set_viewport_size({"width": WIDTH, "height": min(end, tallest)})
    taken = page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": min(end, tallest)})
    (FOLDER / f"{name}-{lang}.png").write_bytes(packed(taken))
    page.set_viewport_size({"width": WIDTH, "height": 900})


def packed(png: bytes) -> bytes:
    """The same picture, compressed as far as zlib can: the browser is in a hurry when it writes."""
    at, parts, pixels = 8, [png[:8]], b""
    while at < len(png):
        size = int.from_bytes(png[at : at + 4], "big")
        kind, body = png[at + 4 : at + 8], png[at + 8 : at + 8 + size]
        at += size + 12
        pixels += body if kind == b"IDAT" else b""
        if kind == b"IEND":
            parts.append(chunk(b"IDAT", zlib.compress(zlib.decompress(pixels), 9)))
        if kind in (b"IHDR", b"IEND"):
            parts.append(chunk(kind, body))
    return b"".join(parts)


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


@writing
@pytest.mark.parametrize("lang", ["en", "fr"])
def test_the_tour_in_pictures(opens: Any, alice: Resident, lang: str) -> None:
    window: Window = opens(lang=lang, reduced_motion="reduce", color_scheme="light").connect()
    page = window.page
    page.fill("#email", "alice@example.org")
    page.locator("#email").blur()
    keep(window, "sign-in", lang)
    window.sign_in(alice)
    window.click(page.locator("a[href^='/organisations/city-energy/link']"))
    keep(window, "link", lang)
    page.go_back()
    window.link_city_energy()
    page.wait_for_selector("button[value=allow]")
    window.choose_accounts("city-energy")
    page.mouse.click(5, 5)
    keep(window, "consent", lang)
    window.decide("allow")
    page.wait_for_url(window.town.url("watt-coach") + "/")
    keep(window, "watt-coach", lang)
    alice.links("harbour-bank", "meadow-health")
    story = alice.story
    story.agree_budget()
    story.read_bank()
    story.read_health()
    story.ask_for_more()
    window.go("/sharings")
    keep(window, "sharings", lang)
    window.go("/log")
    keep(window, "log", lang, 1100)


def test_every_picture_of_the_readme_is_there_and_small() -> None:
    for name in NAMES:
        for lang in ("en", "fr"):
            picture = FOLDER / f"{name}-{lang}.png"
            assert picture.is_file() and picture.stat().st_size < 200_000, picture.name
            assert int.from_bytes(picture.read_bytes()[16:20], "big") == WIDTH, picture.name
