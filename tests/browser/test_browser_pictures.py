"""The pictures of the README: `PICTURES=1 pytest tests/browser/test_browser_pictures.py` writes them anew."""

import base64
import os
import zlib
from pathlib import Path
from typing import Any

import pytest
from browser_world import Window

from tests.worlds.demo import Resident

FOLDER = Path(__file__).parent / "pictures"
NAMES = ("sign-in", "link", "consent", "watt-coach", "sharings", "log")
WIDTH = 1280
TALLEST = 1900

writing = pytest.mark.skipif(os.environ.get("PICTURES") != "1", reason="pictures are only written with PICTURES=1")


# pixels → {palette, indices}: the 256 colours most used, for each other one the nearest of these
INDEXED = """async (png) => {
  const image = await createImageBitmap(await (await fetch('data:image/png;base64,' + png)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
  canvas.drawImage(image, 0, 0);
  const {data} = canvas.getImageData(0, 0, image.width, image.height);
  const keys = new Uint32Array(data.length / 4), used = new Map();
  for (let at = 0; at < keys.length; at++) {
    keys[at] = data[4 * at] << 16 | data[4 * at + 1] << 8 | data[4 * at + 2];
    used.set(keys[at], (used.get(keys[at]) ?? 0) + 1);
  }
  const parts = (key) => [key >> 16, key >> 8 & 255, key & 255];
  const palette = [...used].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([key]) => parts(key));
  const far = (one, other) => one.reduce((sum, value, n) => sum + (value - other[n]) ** 2, 0);
  const nearest = new Map([...used.keys()].map((key) => {
    const distances = palette.map((entry) => far(entry, parts(key)));
    return [key, distances.indexOf(Math.min(...distances))];
  }));
  const indices = Uint8Array.from(keys, (key) => nearest.get(key));
  let text = '';
  for (let at = 0; at < indices.length; at += 0x8000) text += String.fromCharCode(...indices.subarray(at, at + 0x8000));
  return {palette: palette.flat(), indices: btoa(text), height: image.height};
}"""


def packed(window: Window, png: bytes) -> bytes:
    """The same picture with a palette: a third of the size."""
    blank = window.context.browser.new_page()  # type: ignore[union-attr]
    found = blank.evaluate(INDEXED, base64.b64encode(png).decode())
    blank.close()
    indices = base64.b64decode(found["indices"])
    rows = b"".join(b"\0" + indices[at : at + WIDTH] for at in range(0, len(indices), WIDTH))
    head = WIDTH.to_bytes(4, "big") + found["height"].to_bytes(4, "big") + bytes([8, 3, 0, 0, 0])
    parts = ((b"IHDR", head), (b"PLTE", bytes(found["palette"])), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, body) for kind, body in parts)


def chunk(kind: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")


def keep(window: Window, name: str, lang: str, tallest: int = TALLEST) -> None:
    """From the top of the page to the end of what it says, without the footer."""
    page = window.page
    page.wait_for_load_state("networkidle")
    end = page.evaluate("Math.ceil(document.querySelector('main').getBoundingClientRect().bottom + scrollY)")
    page.set_viewport_size({"width": WIDTH, "height": min(end, tallest)})
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": min(end, tallest)}
    (FOLDER / f"{name}-{lang}.png").write_bytes(packed(window, page.screenshot(clip=clip)))  # type: ignore[arg-type]
    page.set_viewport_size({"width": WIDTH, "height": 900})


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
    page.wait_for_url(window.world.url("watt-coach") + "/")
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
