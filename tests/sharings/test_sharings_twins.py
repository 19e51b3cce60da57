"""Two windows with the same question: once it is answered in one, the other leaves no card behind."""

import pytest

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.tables import Consent
from tests.worlds.consent import CLEAR_BUDGET, Visitor, World, named


def open_requests(visitor: Visitor) -> list[str]:
    return named(visitor.gets("/sharings?status=requested"))


def test_an_open_request_stands_on_the_page_until_it_is_answered(world: World, alice: Visitor) -> None:
    world.asks(alice)
    assert open_requests(alice) == ["Watt Coach"]


@pytest.mark.parametrize("later", [0, 1])
@pytest.mark.parametrize("decision", ["allow", "refuse"])
def test_a_twin_of_an_answered_request_is_not_shown_any_more(
    world: World, alice: Visitor, decision: str, later: int
) -> None:
    first, second = world.asks(alice), world.asks(alice)
    world.clock.passes(minutes=later)
    alice.answers(first, decision)
    assert open_requests(alice) == []
    assert world.consent(second).state == "requested", "its own window may still answer it"


def test_so_it_is_when_she_let_an_earlier_agreement_go_on(world: World, alice: Visitor) -> None:
    earlier = world.asks(alice)
    alice.allows(earlier)
    world.clock.passes(days=1)
    world.asks(alice)
    second = world.asks(alice)
    with world.house.store.write() as session:
        one, other = session.get_one(Consent, second), session.get_one(Consent, earlier)
        deciding.go_on(session, world.house.log, one, other, herself("alice"), world.clock())
    assert open_requests(alice) == []


def test_a_request_after_the_answer_is_shown(world: World, alice: Visitor) -> None:
    first = world.asks(alice)
    alice.allows(first)
    world.clock.passes(minutes=1)
    world.asks(alice)
    assert open_requests(alice) == ["Watt Coach"]
    world.clock.passes(minutes=1)
    alice.does(first, "stop")
    assert open_requests(alice) == ["Watt Coach"], "stopping the old one answers nothing of the new one"


def test_another_app_and_another_person_have_requests_of_their_own(
    world: World, alice: Visitor, mallory: Visitor
) -> None:
    world.asks(alice, CLEAR_BUDGET)
    world.asks(mallory)
    alice.answers(world.asks(alice), "refuse")
    assert open_requests(alice) == ["Clear Budget"]
    assert open_requests(mallory) == ["Watt Coach"]
