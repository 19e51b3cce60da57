"""Apps without a server: libraries for single-page apps in Chromium, on an origin of their own."""

from collections.abc import Iterator
from typing import Any

import pytest
from clients_world import Robot, World
from play import Stumble, need_node
from playwright.sync_api import Browser
from spa_served import SinglePageApp, single_page_app, walked
from stories import check_read

pytestmark = pytest.mark.browser
PUSHES = {"oidc_client_ts": False, "oauth4webapi": True}  # script: whether it pushes its request


@pytest.fixture(scope="module")
def spa() -> Iterator[SinglePageApp]:
    need_node()
    with single_page_app() as app:
        yield app


def settings_of(world: World, spa: SinglePageApp, script: str) -> dict[str, Any]:
    metadata = {
        "token_endpoint_auth_method": "none",
        "redirect_uris": [f"{spa.origin}/callback"],
        "require_pushed_authorization_requests": PUSHES[script],
    }
    app = world.app(f"spa-{script.replace('_', '-')}", **metadata)
    return world.arguments(app) | app.arguments() | {"script": f"/spa/{script}.mjs"}


@pytest.mark.parametrize("script", PUSHES)
def test_a_single_page_app_asks_reads_and_renews(
    world: World, alice: Robot, spa: SinglePageApp, chromium: Browser, script: str
) -> None:
    seen = walked(chromium, spa, alice, settings_of(world, spa, script))
    check_read(seen["data"])
    check_read(seen["again"])
    assert seen["rotated"] and seen["after"]["status"] == 401


def test_a_page_of_mallory_reads_no_answer(world: World, alice: Robot, spa: SinglePageApp, chromium: Browser) -> None:
    """She calls her page by the name of the app; its origin is not one that the app registered."""
    settings = settings_of(world, spa, "oauth4webapi")
    with single_page_app() as hers:
        assert hers.origin != spa.origin
        with pytest.raises(Stumble) as stumble:
            walked(chromium, hers, alice, settings)
    assert "/par" in stumble.value.steps[0]["console"][0] and alice.seen == []
