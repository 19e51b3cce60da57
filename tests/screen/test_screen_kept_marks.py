"""What is kept of a form that came after the sign-in had ended, and what a stranger learns by sending one."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.consent import asking
from tests.worlds.consent import CLEAR_BUDGET, MEADOW_HEALTH, Visitor, World, authorize

CHOSEN = {"accounts:harbour-bank": ["ref-current"], "duration": ["d30"]}


def sent_signed_out(world: World, consent: str, form: dict[str, Any], **headers: str) -> tuple[int, str, str]:
    answer = world.client.post(f"/consent/{consent}", data=form, headers=headers, follow_redirects=False)
    return answer.status_code, answer.headers.get("location", ""), answer.text


def kept(world: World, consent: str) -> dict[str, list[str]]:
    return asking.draft(world.consent(consent), "alice")


def test_a_stranger_does_not_learn_whether_there_is_such_a_request(world: World, alice: Visitor) -> None:
    there, nowhere = world.asks(alice, CLEAR_BUDGET), "x" * 43
    for resume in (authorize(there), "/account", "https://evil.example", ""):
        form = {"resume": resume, "seen": "x.y"}
        assert sent_signed_out(world, there, form) == sent_signed_out(world, nowhere, form)


def test_a_foreign_page_leaves_no_marks(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    form = alice.sees(consent).form(f"/consent/{consent}") | CHOSEN
    foreign: tuple[dict[str, str], ...] = ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"})
    for headers in (*foreign, {"origin": "null"}):
        there, nowhere = (sent_signed_out(world, each, form, **headers) for each in (consent, "x" * 43))
        assert there[0] == 403 and there[:2] == nowhere[:2]
        assert kept(world, consent) == {}
    status, location, _ = sent_signed_out(world, consent, form, origin="null", **{"sec-fetch-site": "same-origin"})
    assert status == 303 and location.startswith("/sign-in?next=%2Fauthorize")
    assert kept(world, consent)["duration"] == ["d30"]


@pytest.mark.parametrize("duration", [["d365"], ["x" * 5000], ["d30"] * 80, ["\ufffd" * 20 for _ in range(80)]])
def test_only_what_is_offered_is_kept_each_once(world: World, alice: Visitor, duration: list[str]) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    form = alice.sees(consent).form(f"/consent/{consent}")
    form |= {"accounts:harbour-bank": ["ref-savings", "ref-of-mallory", "x" * 5000]}
    form |= {"item:harbour-bank:bank.transactions": ["yes", "yes", "x"], "other": ["x"], "duration": duration}
    assert sent_signed_out(world, consent, form)[0] == 303
    assert kept(world, consent) == {
        "accounts:harbour-bank": ["ref-savings"],
        "item:harbour-bank:bank.transactions": ["yes"],
        "duration": ["d30"] if "d30" in duration else [],
    }


# ---- what is only asked


def test_the_rest_can_be_agreed_to_while_an_optional_organisation_is_suspended(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    world.rooms.organisations["meadow-health"] = replace(MEADOW_HEALTH, active=False)
    ticked = alice.answers(consent, "allow", **CHOSEN, **{"item:meadow-health:health.claims": "yes"})
    assert ticked.status == 403 and "suspended" in ticked.text
    assert world.consent(consent).state == "requested"
    alice.allows(consent, **CHOSEN)
    granted = [item for item in world.terms(consent)["items"] if item["granted"]]
    assert {item["organisation"] for item in granted} == {"harbour-bank"}


def test_what_a_suspended_organisation_must_give_is_not_agreed_to(world: World, alice: Visitor) -> None:
    consent = world.asks(alice, CLEAR_BUDGET)
    world.rooms.organisations["harbour-bank"] = replace(world.rooms.organisations["harbour-bank"], active=False)
    assert alice.answers(consent, "allow", **CHOSEN).status == 403
    assert world.consent(consent).state == "requested"
