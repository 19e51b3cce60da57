"""What Alice sees of her sharings afterwards, and how she ends them: clicks are counted."""

import io
import json
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path
from typing import Any

import pytest
from browser_world import Window

from tests.worlds.demo import Resident

BADGES = {"Agreement", "Access", "Refusal/alert"}


def test_alice_sees_stops_and_reads_it_all_in_her_log(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).shares()
    card = window.go("/").click("Data sharing", "link").page.locator("article.sharing")
    assert card.count() == 1
    told = card.inner_text()
    for words in ("Watt Coach", "Active", "City Energy", "Electricity use", "Agreed on", "Ends on", "Last access"):
        assert words in told
    window.click("View")
    for words in ("Watt Coach SAS", "Period of the data", "History", "For what happens next"):
        assert words in window.text(), words

    window.click("Stop sharing").click("Stop sharing", "button")
    assert window.path.endswith("/stopped") and "has ended" in window.title
    window.go("/", "watt-coach").click("Refresh")
    assert "This sharing has ended" in window.text()
    assert window.page.locator("form[action='/connect'] button").count() == 1

    window.go("/").click("Access log", "link")
    assert set(window.page.locator("main .badge").all_inner_texts()) >= BADGES
    window.click(window.page.locator("main li a[href^='/log/']").first)
    assert window.path.startswith("/log/") and window.page.locator("main h1").count() == 1


def test_stopping_takes_two_clicks_and_never_more_than_agreeing(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).go("/", "watt-coach")
    window.clicks = 0
    window.shares()
    to_agree = window.clicks
    window.go("/sharings")
    window.clicks = 0
    window.click(window.page.locator("article.sharing a[href$='/stop']")).click("Stop sharing", "button")
    assert "has ended" in window.title
    assert window.clicks <= 2 and window.clicks <= to_agree


def test_pause_refuses_and_resume_goes_on(opens: Any, linked: Resident, js: bool) -> None:
    window: Window = opens(linked, js=js).shares()
    window.go("/sharings").click("View").click("Pause", "button")
    assert "Paused" in window.text()
    assert "You paused this sharing" in window.go("/", "watt-coach").click("Refresh").text()
    window.go("/sharings").click("View").click("Resume", "button")
    assert "Paused" not in window.page.locator("p.status").inner_text()
    assert "You paused this sharing" not in window.go("/", "watt-coach").click("Refresh").text()


def test_everything_stops_at_once_in_two_clicks(opens: Any, alice: Resident, js: bool) -> None:
    alice.links("city-energy", "harbour-bank", "meadow-health")
    alice.story.agree_energy()
    alice.story.agree_budget()
    window: Window = opens(alice, js=js).go("/sharings")
    assert window.page.locator("article.sharing").count() == 2
    window.clicks = 0
    window.click("Stop everything").click("Stop everything", "button")
    assert window.clicks == 2 and window.title == "Everything has been stopped"
    assert "Watt Coach" in window.text() and "Clear Budget" in window.text()
    assert "Nothing fits" in window.go("/sharings?status=active").text()


@pytest.mark.parametrize(
    ("organisation", "ending"), [("city-energy", ".xml"), ("harbour-bank", ".json"), ("meadow-health", ".json")]
)
def test_one_click_downloads_what_an_organisation_holds(
    opens: Any, alice: Resident, organisation: str, ending: str, tmp_path: Path
) -> None:
    alice.links(organisation)
    window: Window = opens(alice, js=False, accept_downloads=True).go("/organisations")
    window.click(window.page.locator(f"a[href='/organisations/{organisation}/download']"))
    with window.page.expect_download() as awaited:
        window.click("Download my data", "button", stays=True)
    kept = tmp_path / awaited.value.suggested_filename
    awaited.value.save_as(kept)
    assert kept.suffix == ".zip" and organisation in kept.name
    with zipfile.ZipFile(io.BytesIO(kept.read_bytes())) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    data = {name: body for name, body in files.items() if name.endswith(ending)}
    assert data and any(name.endswith(".txt") for name in files)
    for body in data.values():
        assert ElementTree.fromstring(body) is not None if ending == ".xml" else json.loads(body)
    assert "download" in alice.visitor.get(f"{alice.gateway}/log").text.lower()
