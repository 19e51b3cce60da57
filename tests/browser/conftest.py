"""Debian's chromium at the doors of a running town.

Every window watches itself: an error of the page, a report of the content security policy, an answer 5xx or a request
to anybody outside the town fails the test that opened it.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Error as BrowserError
from town import Resident, newcomer, town
from windows import LANGUAGE, Window

from gateway.cli.demo_setup import Demo

__all__ = ["town"]

_FLAGS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Opens = Callable[..., Window]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


def _without(what: str) -> None:
    """A machine that could have had it (continuous integration, as root) must not stay silent."""
    if os.environ.get("CI") == "true" and os.geteuid() == 0:
        pytest.fail(f"{what}, and this run is meant to have it", pytrace=False)
    pytest.skip(what)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium")
    if program is None:
        _without("chromium is not installed (as root: apt-get install chromium)")
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=program, headless=True, chromium_sandbox=False, args=_FLAGS
            )
        except BrowserError as error:
            _without(f"chromium does not start: {error.message.splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def opens(chromium: Browser, town: Demo) -> Iterator[Opens]:
    """opens(who?, js=True, lang="en", width=1280, …): a window of its own profile, signed in as `who`."""
    windows: list[Window] = []

    def open_one(
        who: Resident | None = None,
        *,
        js: bool = True,
        lang: str = "en",
        width: int = 1280,
        height: int = 900,
        **more: Any,
    ) -> Window:
        context = chromium.new_context(
            java_script_enabled=js,
            locale={"en": "en-GB", "fr": "fr-FR"}[lang],
            viewport={"width": width, "height": height},
            **more,
        )
        context.set_default_timeout(10_000)
        if who:
            context.add_cookies(who.cookies())
        if lang != "en":  # chosen by the switch: the account itself was opened in English
            address = town.url("gateway").replace("http:", "https:")
            context.add_cookies([{"name": LANGUAGE, "value": lang, "url": address, "secure": True}])
        window = Window(context, town)
        windows.append(window)
        return window

    yield open_one
    found = [fault for window in windows for fault in window.faults]
    for window in windows:
        window.context.close()
    assert found == []


@pytest.fixture(params=[True, False], ids=["script", "noscript"])
def js(request: pytest.FixtureRequest) -> bool:
    """Every journey is walked twice: nothing may need JavaScript."""
    return bool(request.param)


@pytest.fixture
def alice(town: Demo) -> Resident:
    """Alice, who has just opened an account."""
    return newcomer(town)


@pytest.fixture
def linked(alice: Resident) -> Resident:
    """Alice with her account at City Energy linked."""
    alice.links("city-energy")
    return alice
