"""Evidence: what was shown, the versions of terms and the chain of events; and that no form makes more of an ask."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from gateway.consent import ending, events, evidence, terms
from gateway.consent.facts import Offered
from gateway.consent.request import Ask, AskItem, Period
from gateway.consent.tables import ConsentEvent, Terms
from gateway.errors import Unavailable
from gateway.screen import choices, rendering
from tests.worlds.consent import BANK, CLEAR_BUDGET, SUMMARY_BOX, WATT_COACH, Visitor, World

# ---- what was shown


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("app", [WATT_COACH, CLEAR_BUDGET])
def test_what_was_shown_can_be_shown_again_to_the_letter(world: World, alice: Visitor, language: str, app: Any) -> None:
    alice.language = language
    consent = world.asks(alice, app)
    page = alice.sees(consent)
    world.clock.passes(minutes=3)
    alice.answers(consent, "allow", page, **(BANK if app is CLEAR_BUDGET else {}))
    kept, terms = world.evidence(consent), world.terms(consent)
    html = rendering.text(evidence.shown(kept, world.house.keys), language, world.house.translations.of(language))
    assert rendering.sha256(html) == kept.text_sha256 == terms["notice"]["text_sha256"]
    assert str(html) in page.body
    assert kept.language == language == terms["notice"]["language"]
    assert kept.template_sha256 == rendering.version_sha256()
    assert (kept.decided_at - kept.shown_at).total_seconds() == 180


def test_the_evidence_holds_what_was_offered_and_chosen_and_no_secret(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    page = alice.sees(consent)
    alice.answers(consent, "allow", page, **{SUMMARY_BOX: "yes"})
    kept = world.evidence(consent)
    assert len(json.loads(kept.offered_json)["items"]) == 3
    assert json.loads(kept.chosen_json)["granted"] == [
        ["city-energy", "energy.electricity.summary"],
        ["city-energy", "energy.electricity.usage"],
    ]
    shown = evidence.shown(kept, world.house.keys)
    assert shown["chosen"] == {"duration": ["d30"]}  # as it was when first displayed
    assert alice.csrf() not in str(shown) and "request_uri" not in str(shown)


def test_what_she_read_is_kept_sealed_and_opens_for_its_own_consent_only(world: World, alice: Visitor) -> None:
    first, second = world.asks(alice), world.asks(alice, CLEAR_BUDGET)
    alice.allows(first)
    alice.allows(second, **BANK)
    kept = world.evidence(first)
    assert b"Mill Lane" not in kept.shown_sealed
    assert "Home, 4 Mill Lane" in alice.gets(f"/sharings/{first}").text
    kept.shown_sealed = world.evidence(second).shown_sealed
    with pytest.raises(Unavailable):
        evidence.shown(kept, world.house.keys)


def test_the_terms_name_the_sign_in_the_agreement_rests_on(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    alice.allows(consent)
    indication = world.terms(consent)["indication"]
    assert indication["method"] == "button" and indication["auth"]["amr"] == ["pwd"]


# ---- what was agreed, and what happened


def test_each_version_of_the_terms_names_the_one_before(world: World, alice: Visitor, consent: str) -> None:
    alice.does(consent, "remove", remove=SUMMARY_BOX)
    with world.house.store.read() as session:
        first, second = session.exec(select(Terms).where(Terms.consent_id == consent).order_by(Terms.version))  # type: ignore[arg-type]
        for row in (first, second):
            assert terms.sha256(row.json_) == row.sha256
            assert terms.canonical(json.loads(row.json_)) == row.json_
        assert (first.previous, second.previous) == (None, first.sha256)


def test_the_events_are_a_chain_in_which_every_change_shows(world: World, alice: Visitor, consent: str) -> None:
    for act in ("pause", "resume", "stop"):
        alice.does(consent, act)
    with world.house.store.read() as session:
        rows = list(session.exec(select(ConsentEvent).where(ConsentEvent.consent_id == consent)))
        previous = "0" * 64
        for position, row in enumerate(sorted(rows, key=lambda row: row.seq), 1):
            assert (row.seq, row.prev_sha256, events.digest(row)) == (position, previous, row.sha256)
            previous = row.sha256
        session.expunge_all()
    rows[1].actor = "app"
    assert events.digest(rows[1]) != rows[1].sha256


def test_a_sharing_for_one_use_ends_with_it_and_keeps_the_chain(world: World, alice: Visitor) -> None:
    consent = world.asks(alice)
    alice.allows(consent, duration="once")
    connection = world.house.store.connect()
    end = ending.used_up(connection, consent, world.clock())
    assert end is not None and end.facts["datasets"] == ["energy.electricity.usage"]  # as every other end says it
    assert ending.used_up(connection, consent, world.clock()) is None
    connection.close()
    assert world.events(consent) == ["requested", "granted", "ended"]
    assert "used once, as agreed" in alice.gets("/sharings").text
    with world.house.store.read() as session:
        last = session.get_one(ConsentEvent, (consent, 3))
        assert events.digest(last) == last.sha256


# ---- granted is never more than asked


def _item(dataset: str, necessity: str) -> AskItem:
    return AskItem("city-energy", dataset, ("a",), Period(history="P1M"), None, None, necessity, {}, "none")


ITEMS = (_item("one", "required"), _item("two", "optional"), _item("three", "optional"))
ASK = Ask("app", "ab", "purpose", 1, ITEMS, "P6M", False, "P1M")
ACCOUNTS = {
    "city-energy": [
        Offered("ref-a", "A", "", True),
        Offered("ref-b", "B", "", True),
        Offered("ref-c", "C", "", False, "closed"),
    ]
}
NAMES = """item:city-energy:two item:city-energy:three item:city-energy:four item:other:two accounts:city-energy
accounts:other duration decision client_id""".split()
VALUES = ["", *"yes no ref-a ref-b ref-c ref-x d30 d365 once".split()]


@given(st.dictionaries(st.sampled_from(NAMES), st.lists(st.sampled_from(VALUES), max_size=4)))
def test_no_form_makes_more_of_it_than_was_offered(form: dict[str, list[str]]) -> None:
    found = choices.parse(form, ASK, ACCOUNTS, {"city-energy"})
    if isinstance(found, list):
        assert {problem.field for problem in found} <= {"items", "accounts:city-energy", "duration"}
        return
    assert ("city-energy", "one") in found.granted
    assert found.granted <= {("city-energy", name) for name in ("one", "two", "three")}
    assert set(found.accounts) == {"city-energy"} and set(found.accounts["city-energy"]) <= {"ref-a", "ref-b"}
    assert found.duration in terms.offered_durations(ASK)
