"""A type of data that only one organisation has, in the words of its own file: asked for, read, agreed to, told."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from authorization_world import CALLBACK, ISSUER, WORDS, World, answered, link_row

from gateway.catalogue import Catalogue
from gateway.errors import DeclarationError
from gateway.organisations import declare
from gateway.settings import shipped_policies
from tests.callers import TestClient

FILE = Path(__file__).parents[1] / "proxy" / "declared.toml"
FIELDS = ["call.when", "call.length", "call.partner"]
ROW = {
    "organisation": "cap-mobile",
    "dataset": "telecom.calls",
    "fields": FIELDS,
    "necessity": "required",
    "reason": WORDS,
}


@pytest.fixture
def cap(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A gateway whose policies let one purpose cover what cap-mobile declares; Alice is linked with her line."""
    folder = tmp_path / "policies"
    shutil.copytree(shipped_policies(), folder)
    purpose = folder / "purposes" / "household-budget.toml"
    purpose.write_text(purpose.read_text().replace("datasets = [", 'declared = ["telecom.calls"]\ndatasets = [', 1))
    object.__setattr__(world.house, "catalogue", Catalogue(folder))
    monkeypatch.setenv("CAP_MOBILE_SECRET", "s")
    found = declare.read(
        FILE, world.house.catalogue, base_url="https://cap.example", look_up=lambda _: ["198.51.100.7"]
    )
    with world.house.store.write() as session:
        declare.add(session, world.house, found, world.clock.now)
        session.flush()
        link_row(session, world.house, "alice", "cap-mobile", ["+33600000001"], world.clock.now)
    world.register("calls", purposes=["household-budget"], redirect_uris=[CALLBACK], data=[ROW])
    return world


def asks(**changes: Any) -> dict[str, Any]:
    return {
        "type": "data_access",
        "locations": [f"{ISSUER}/data/cap-mobile"],
        "datatypes": ["telecom.calls"],
        "actions": ["read"],
        "purpose": "household-budget",
        "fields": ["call.partner"],
        "period": {"history": "P12M", "future": True},
        "valid_for": "P6M",
        "retention": "P1M",
        **changes,
    }


def shown(browser: TestClient, address: str) -> str:
    answer = browser.get(address)
    assert answer.status_code == 200, answer.text[:400]
    return answer.text


def test_the_screen_says_it_in_the_words_of_the_organisations_file(cap: World) -> None:
    address = cap.pushed("calls", [asks()])
    english = shown(cap.browser("alice"), address)
    for words in ("Your calls and messages.", "The number of the other person.", "line"):
        assert words in english
    assert "Specially protected data: your communications and places" in english and "telecom.calls" in english


def test_what_was_agreed_is_in_the_token_response_and_the_log_tells_it_by_name(cap: World) -> None:
    final = cap.agree(cap.browser("alice"), cap.pushed("calls", [asks()]), **{
        "accounts:cap-mobile": "+33600000001", "item:cap-mobile:telecom.calls": "yes"})  # fmt: skip
    answer = cap.redeem(answered(final)["code"], "calls")
    [detail] = answer.json()["authorization_details"]
    assert detail["datatypes"] == ["telecom.calls"] and detail["fields"] == ["call.when", "call.partner"]
    assert any("telecom.calls" in entry.get("datasets", ()) for entry in cap.events("alice"))


@pytest.mark.parametrize(
    ("changes", "term"),
    [({"datatypes": ["telecom.places"]}, "datatypes"), ({"fields": ["call.place"]}, "fields"),
     ({"purpose": "energy-advice"}, "purpose"), ({"locations": [f"{ISSUER}/data/harbour-bank"]}, "datatypes")],
)  # fmt: skip
def test_what_the_organisation_or_the_app_did_not_declare_is_refused(cap: World, changes: Any, term: str) -> None:
    answer = cap.push("calls", [asks(**changes)])
    assert answer.status_code == 400 and answer.json()["term"] == term


def test_an_app_cannot_register_for_a_field_that_the_organisation_does_not_have(cap: World) -> None:
    with pytest.raises(DeclarationError, match="call.color"):
        cap.register("nosy", purposes=["household-budget"], data=[{**ROW, "fields": ["call.color"]}])
    with pytest.raises(DeclarationError, match="none of the purposes covers"):
        cap.register("nosy", purposes=["energy-advice"], data=[ROW])
