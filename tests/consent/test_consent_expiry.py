"""Ends that come with time, written down beside others who write."""

import pytest
from sqlmodel import Session

from gateway.consent import expiry
from gateway.ground.store import Clash
from gateway.log import Log
from tests.worlds.consent import BANK, CLEAR_BUDGET, Visitor, World


def test_an_end_that_another_transaction_was_in_the_way_of_holds_up_no_other(
    world: World, alice: Visitor, mallory: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    hers, theirs = world.asks(alice), world.asks(mallory)
    other = world.asks(alice, CLEAR_BUDGET)
    alice.allows(other, **BANK, duration="d30")
    world.clock.passes(days=31)
    taken, clashes = Log.turn, [mallory.id]

    def turn(log: Log, session: Session, *people: str) -> None:
        if people[0] in clashes:
            clashes.clear()
            raise Clash("a deadlock")
        taken(log, session, *people)

    monkeypatch.setattr(Log, "turn", turn)
    assert expiry.write_due(world.house, world.clock()) == 3
    assert [world.consent(each).state for each in (hers, theirs, other)] == ["ended", "requested", "ended"]
    assert expiry.write_due(world.house, world.clock()) == 1, "the next run finds it"
    assert world.events(theirs) == ["requested", "lapsed"]
    assert world.logged(mallory) == ["consent_ended", "consent_asked"]
