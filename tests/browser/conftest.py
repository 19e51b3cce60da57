"""Debian's chromium at the doors of the running demo.

Every window watches itself: an error of the page, a report of the content security policy, an answer 5xx or a request
to anybody outside the demo fails the test that opened it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_world import LANGUAGE, Window
from playwright.sync_api import Browser

from gateway.cli.demo_setup import Demo
from tests.worlds.chromium import WAIT_MS
from tests.worlds.demo import Resident, newcomer, world

__all__ = ["world"]

Opens = Callable[..., Window]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture
def opens(chromium: Browser, world: Demo) -> Iterator[Opens]:
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
        context.set_default_timeout(WAIT_MS)
        if who:
            context.add_cookies(who.cookies())
        if lang != "en":  # chosen by the switch: the account itself was opened in English
            address = world.url("gateway").replace("http:", "https:")
            context.add_cookies([{"name": LANGUAGE, "value": lang, "url": address, "secure": True}])
        window = Window(context, world)
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
def alice(world: Demo) -> Resident:
    """Alice, who has just opened an account."""
    return newcomer(world)


@pytest.fixture
def linked(alice: Resident) -> Resident:
    """Alice with her account at City Energy linked."""
    alice.links("city-energy")
    return alice
