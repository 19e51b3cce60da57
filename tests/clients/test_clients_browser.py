"""Apps without a server: libraries for single-page apps in Chromium, on an origin of their own."""

from collections.abc import Iterator
from typing import Any

import pytest
from clients_world import Robot, World
from play import Stumble, need_node
from playwright.sync_api import Browser
from spa_served import SinglePageApp, single_page_app, walked
from stories import check_read

from tests.worlds.chromium import PROGRAM, QUIET

pytestmark = pytest.mark.browser
NOT_YET = pytest.mark.xfail(strict=True, raises=Stumble, reason="no CORS yet")
PUSHES = {"oidc_client_ts": False, "oauth4webapi": True}  # script: whether it pushes its request


@pytest.fixture(scope="module")
def spa() -> Iterator[SinglePageApp]:
    need_node()
    with single_page_app() as app:
        yield app


@pytest.fixture(scope="module")
def lawless(chromium: Browser) -> Iterator[Browser]:
    """Chromium without its rule that a page of one origin may not read the answers of another."""
    browser = chromium.browser_type.launch(
        executable_path=PROGRAM, headless=True, chromium_sandbox=False, args=[*QUIET, "--disable-web-security"]
    )
    yield browser
    browser.close()


def settings_of(world: World, spa: SinglePageApp, script: str) -> dict[str, Any]:
    metadata = {
        "token_endpoint_auth_method": "none",
        "redirect_uris": [f"{spa.origin}/callback"],
        "require_pushed_authorization_requests": PUSHES[script],
    }
    app = world.app(f"spa-{script.replace('_', '-')}", **metadata)
    return world.arguments(app) | app.arguments() | {"script": f"/spa/{script}.mjs"}


def check(seen: dict[str, Any]) -> None:
    check_read(seen["data"])
    check_read(seen["again"])
    assert seen["rotated"] and seen["after"]["status"] == 401


@NOT_YET
@pytest.mark.parametrize("script", PUSHES)
def test_a_single_page_app_asks_reads_and_renews(
    world: World, alice: Robot, spa: SinglePageApp, chromium: Browser, script: str
) -> None:
    check(walked(chromium, spa, alice, settings_of(world, spa, script)))


@pytest.mark.parametrize("script", PUSHES)
def test_nothing_but_cors_is_in_its_way(
    world: World, alice: Robot, spa: SinglePageApp, lawless: Browser, script: str
) -> None:
    """To be removed with the mark above."""
    check(walked(lawless, spa, alice, settings_of(world, spa, script)))
