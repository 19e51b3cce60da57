"""What happens when things break, in a demo of its own: an organisation fails."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from gateway.cli import demo_setup, demo_story
from gateway.cli.demo_setup import Demo
from gateway.cli.demo_visitor import WebPage
from tests.worlds.demo import READING, Resident, newcomer, signed_in, started, stranger

# what City Energy does → what the app is told, any of these
TOLD = {
    "down": {"organisation_unavailable"},
    "html": {"organisation_answer_invalid"},
    "truncated": {"organisation_answer_invalid"},
    "wrong_type": {"organisation_answer_invalid"},
    "oversized": {"too_large", "organisation_answer_invalid"},
    "redirect": {"organisation_answer_invalid"},
    "slow": {"organisation_slow"},
}


@pytest.fixture(scope="module")
def weak_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """As the world of all journeys, but its organisations obey POST /_fault."""
    plain = demo_setup._command

    def command(demo: Demo, name: str) -> list[str]:
        return [*plain(demo, name), *(["--faults"] if name in demo_setup.ORGANISATIONS else [])]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(demo_setup, "_command", command)
        demo = started(tmp_path_factory.mktemp("weak"))
    yield demo
    demo_setup.stop(demo)


@pytest.fixture(scope="module")
def alice(weak_world: Demo) -> Resident:
    one = newcomer(weak_world)
    one.links("city-energy", "harbour-bank", "meadow-health")
    one.story.agree_energy()
    one.story.agree_budget()
    return one


def fault(demo: Demo, organisation: str, mode: str, **more: Any) -> None:
    answer = httpx2.post(f"{demo.url(organisation)}/_fault", json={"mode": mode, **more}, timeout=10)
    assert answer.status_code == 204


@pytest.mark.parametrize("mode", TOLD)
def test_a_failing_organisation_is_told_apart_logged_and_never_passed_on(alice: Resident, mode: str) -> None:
    before = newest(alice)
    fault(alice.demo, "city-energy", mode, seconds=14)
    try:
        began = time.monotonic()
        answer = alice.story._call("watt-coach", "city-energy", READING)
        took = time.monotonic() - began
    finally:
        fault(alice.demo, "city-energy", "none")
    assert answer.status_code in (502, 503, 504), (answer.status_code, answer.text[:300])
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["reason"] in TOLD[mode] and "IntervalReading" not in answer.text
    assert took < 13, "the organisation's own deadline is ten seconds"
    entry = newest(alice)
    assert entry["number"] > before["number"] and entry["badge"] == "Refusal/alert" and "City Energy" in entry["what"]


def newest(who: Resident) -> dict[str, Any]:
    rows = json.loads(who.visitor.get(f"{who.gateway}/log/export.json").body)
    return dict(rows[0])


def test_a_healthy_organisation_is_read_again_and_others_never_stopped(alice: Resident) -> None:
    fault(alice.demo, "meadow-health", "down")
    try:
        for _ in range(3):
            answer = alice.story._call("clear-budget", "meadow-health", "/v2/fhir/ExplanationOfBenefit")
            assert answer.json()["reason"] == "organisation_unavailable"
        answer = alice.story._call("clear-budget", "harbour-bank", "/open-banking/v4.0/aisp/accounts")
        assert answer.status_code == 200
    finally:
        fault(alice.demo, "meadow-health", "none")
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        if alice.story._call("clear-budget", "meadow-health", "/v2/fhir/ExplanationOfBenefit").status_code == 200:
            return
        time.sleep(0.5)
    raise AssertionError("Meadow Health has been well for forty seconds and is still not read")


def test_organisations_that_trickle_take_no_page_from_anybody(weak_world: Demo) -> None:
    """Nine accounts ask two organisations five times each; all three organisations begin answers and never end them."""
    dora = newcomer(weak_world, "Dora Petit")
    dora.links("city-energy", "harbour-bank", "meadow-health")
    dora.story.agree_energy()
    crowd = [newcomer(weak_world, f"Mallory {number}") for number in range(9)]
    for name in demo_setup.ORGANISATIONS:
        fault(weak_world, name, "trickle", prefix="/")
    try:
        with ThreadPoolExecutor(45) as pool:
            stuck = [pool.submit(starts_a_link, one, number) for one in crowd for number in range(5)]
            patiently(lambda: sum(each.done() for each in stuck) >= 20)
            dora.visitor._client.timeout = 8  # of the organisations the gateway waits longer
            assert dora.story.stop_sharing()
            assert "City Energy is unlinked" in unlinked(dora, "city-energy").text
            for path in ("/sharings", "/organisations", "/log", "/healthz", "/readyz"):
                assert dora.visitor.get(dora.gateway + path).status == 200, path
            assert stranger(weak_world)._client.get(f"{dora.gateway}/sign-in", timeout=8).status_code == 200
            assert signed_in(weak_world, dora.name, dora.email)
            assert dora.visitor.get(f"{dora.gateway}/organisations/harbour-bank/link").status == 200
            answers = [each.result() for each in stuck]
    finally:
        for name in demo_setup.ORGANISATIONS:
            fault(weak_world, name, "none")
    assert {answer.status_code for answer in answers} == {503, 504}
    sent_away = [answer for answer in answers if answer.status_code == 503]
    assert len(sent_away) >= 30 and all(answer.headers["retry-after"] for answer in sent_away)
    french = [answer.text for answer in sent_away if answer.headers["content-language"] == "fr"]
    english = [answer.text for answer in sent_away if answer.headers["content-language"] == "en"]
    assert all("Trop de personnes attendent" in text and "Réessayer</a>" in text for text in french)
    assert all("Too many people are waiting" in text and "Try again</a>" in text for text in english)
    assert french and english
    dora.links("city-energy")  # all is as before


def starts_a_link(who: Resident, number: int) -> httpx2.Response:
    name = ("harbour-bank", "meadow-health")[number % 2]
    url = f"{who.gateway}/organisations/{name}/link"
    jar = "; ".join(f"{one['name']}={one['value']}" for one in who.cookies() if "language" not in one["name"])
    headers = {"cookie": f"{jar}; __Host-aval-language={('fr', 'en')[number % 2]}", "origin": who.gateway}
    with httpx2.Client(timeout=90, headers=headers) as client:
        csrf = re.findall(r'name="csrf" value="([^"]+)"', client.get(url).text)[0]
        return client.post(url, data={"csrf": csrf, "customer_number": f"X-{who.email[9:-12]}-{number}"})


def unlinked(who: Resident, organisation: str) -> WebPage:
    page = who.visitor.get(f"{who.gateway}/organisations/{organisation}/unlink")
    return who.visitor.submit(page, page.form(f"/organisations/{organisation}/unlink"))


def patiently(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Until it is so, or that long: what follows says what is wrong."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)


def test_a_large_answer_is_read_whole_every_time(world: Demo) -> None:
    """Two megabytes may come in one piece or in many: it must make no difference."""
    bob = newcomer(world, "Bob Leroy")
    bob.links("city-energy")
    asked = demo_story._detail(bob.gateway, "city-energy", ["energy.electricity.usage"], "energy-advice", "P12M", 24)
    bob.story.grants["watt-coach"] = bob.story._obtain("watt-coach", [asked], accounts=2, tick=())
    answers = [bob.story._call("watt-coach", "city-energy", READING) for _ in range(10)]
    assert [answer.status_code for answer in answers] == [200] * 10, [a.text[:200] for a in answers if a.is_error]
    assert len({len(answer.content) for answer in answers}) == 1


def test_two_towns_side_by_side_know_nothing_of_each_other(alice: Resident, world: Demo) -> None:
    token = alice.story.grants["watt-coach"].token
    answer = httpx2.get(
        f"{world.url('gateway')}/data/city-energy{READING}", headers={"authorization": f"Bearer {token}"}, timeout=30
    )
    assert answer.status_code == 401
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in alice.cookies())
    page = httpx2.get(f"{world.url('gateway')}/sharings", headers={"cookie": cookie}, timeout=30)
    assert page.status_code == 303 and page.headers["location"].startswith("/sign-in")
