"""What an example app does when it is refused: it says why in its own log, and offers what helps."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient
from test_example_apps import Played

from examples.apps import watt_coach
from examples.apps.client import Aval
from examples.apps.web import Sessions, build


@pytest.fixture
def played() -> Iterator[Played]:
    one = Played()
    yield one
    one.server.shutdown()
    one.server.server_close()


@pytest.fixture
def browser(played: Played, tmp_path: Path) -> TestClient:
    aval = Aval(played.url, watt_coach.DECLARED, "", "http://testserver/callback")
    site = build(watt_coach.SITE, aval, Sessions(tmp_path))
    return TestClient(site, headers={"accept-language": "en"})


def connects(browser: TestClient, played: Played) -> None:
    address = browser.post("/connect", follow_redirects=False).headers["location"]
    back = played.authorize(dict(re.findall(r"[?&]([a-z_]+)=([^&]*)", address.replace("%3A", ":"))))
    browser.get(back if isinstance(back, str) else back[1])


def buttons(page: str) -> list[str]:
    return re.findall(r"<button[^>]*>([^<]+)<", page)


@pytest.mark.parametrize("reason", ["ended", "no_consent", "max_uses"])
def test_once_the_sharing_is_over_it_offers_to_ask_again_and_not_to_refresh(
    browser: TestClient, played: Played, reason: str
) -> None:
    connects(browser, played)
    assert "Refresh" in buttons(browser.get("/").text)
    played.refuse = (403, reason, {})
    page = browser.post("/refresh").text
    assert "Refresh" not in buttons(page)
    assert '<button class="go">Ask again with Aval' in page


@pytest.mark.parametrize("reason", ["paused", "frequency", "organisation_slow", "not_linked"])
def test_what_passes_by_can_be_refreshed(browser: TestClient, played: Played, reason: str) -> None:
    connects(browser, played)
    played.refuse = (403, reason, {})
    assert '<button class="go">Refresh' in browser.post("/refresh").text


def test_its_log_says_why_its_request_was_refused(
    browser: TestClient, played: Played, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = {"error": "invalid_authorization_details", "error_description": "above the purpose's cap."}
    monkeypatch.setattr(played, "par", lambda form, headers: (400, refused))
    assert browser.post("/connect").status_code == 502
    assert 'watt_coach: asking was refused: "invalid_authorization_details (above' in capfd.readouterr().err


def test_what_a_browser_brings_back_makes_one_line_of_the_log(
    browser: TestClient, capfd: pytest.CaptureFixture[str]
) -> None:
    browser.get("/callback", params={"error": "x\nwatt_coach: all is well"})
    assert len(capfd.readouterr().err.splitlines()) == 1
