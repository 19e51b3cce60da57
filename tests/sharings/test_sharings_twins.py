"""Two windows with the same question: once it is answered in one, the other leaves no card behind."""

import pytest
from consent_cast import CLEAR_BUDGET
from consent_place import Place, Visitor, named

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.tables import Consent


def open_requests(visitor: Visitor) -> list[str]:
    return named(visitor.gets("/sharings?status=requested"))


def test_an_open_request_stands_on_the_page_until_it_is_answered(place: Place, alice: Visitor) -> None:
    place.asks(alice)
    assert open_requests(alice) == ["Watt Coach"]


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("decision", ["allow", "refuse"])
def test_a_twin_of_an_answered_request_is_not_shown_any_more(
    place: Place, alice: Visitor, decision: str, later: int
) -> None:
    first, second = place.asks(alice), place.asks(alice)
    place.clock.passes(minutes=later)
    alice.answers(first, decision)
    assert open_requests(alice) == []
    assert place.consent(second).state == "requested", "its own window may still answer it"


def test_so_it_is_when_she_let_an_earlier_agreement_go_on(place: Place, alice: Visitor) -> None:
    earlier = place.asks(alice)
    alice.allows(earlier)
    place.clock.passes(days=1)
    place.asks(alice)
    second = place.asks(alice)
    with place.house.store.write() as session:
        one, other = session.get_one(Consent, second), session.get_one(Consent, earlier)
        deciding.go_on(session, place.house, one, other, herself("alice"), place.clock())
    assert open_requests(alice) == []


def test_a_request_after_the_answer_is_shown(place: Place, alice: Visitor) -> None:
    first = place.asks(alice)
    alice.allows(first)
    place.clock.passes(minutes=1)
    place.asks(alice)
    assert open_requests(alice) == ["Watt Coach"]
    place.clock.passes(minutes=1)
    alice.does(first, "stop")
    assert open_requests(alice) == ["Watt Coach"], "stopping the old one answers nothing of the new one"


def test_another_app_and_another_person_have_requests_of_their_own(
    place: Place, alice: Visitor, mallory: Visitor
) -> None:
    place.asks(alice, CLEAR_BUDGET)
    place.asks(mallory)
    alice.answers(place.asks(alice), "refuse")
    assert open_requests(alice) == ["Clear Budget"]
    assert open_requests(mallory) == ["Watt Coach"]
