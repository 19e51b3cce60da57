"""Alice meets an app, and decides. From the app's own page and back to it."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from town import Resident, newcomer
from windows import Window

from gateway.cli.demo_setup import Demo


def test_alice_connects_signs_in_links_agrees_and_sees_her_chart(opens: Any, alice: Resident, js: bool) -> None:
    window: Window = opens(js=js).connect()
    assert window.is_at("gateway") and window.path == "/sign-in"
    window.sign_in(alice)
    assert window.title == "Link your account first"
    window.link_city_energy()
    assert window.is_at("gateway")
    assert all(words in window.title for words in ("Watt Coach", "read your data", "City Energy"))
    window.choose_accounts("city-energy").last_for("d30").decide("allow")
    window.page.wait_for_url(window.town.url("watt-coach") + "/")
    assert window.page.locator("svg.chart rect").count() >= 12
    assert "hours read" in window.text()
