"""A challenge of ours is good for one purpose, in one browser, for a few minutes; asking for one keeps nothing."""

from datetime import timedelta

import pytest
from people_world import START, Browser, World
from sqlmodel import select

from gateway.people.passkeys import MINUTES, Ceremony
from gateway.people.tables import Person, SpentChallenge

CHANCE = bytes(range(32))


def _ceremony(world: World, purpose: str = "sign_in", bound: str = "hers") -> Ceremony:
    return Ceremony(world.house.keys, world.house.settings, purpose, bound)


def test_a_challenge_is_good_where_it_was_asked_for(world: World) -> None:
    word = _ceremony(world).sealed(CHANCE, START)
    assert _ceremony(world).challenge(word, START) == CHANCE
    assert _ceremony(world).challenge(word, START + timedelta(minutes=MINUTES, seconds=-1)) == CHANCE
    assert _ceremony(world).challenge(word, START + timedelta(minutes=MINUTES)) is None
    assert _ceremony(world, bound="mallory's").challenge(word, START) is None
    assert _ceremony(world, purpose="register").challenge(word, START) is None


@pytest.mark.parametrize("made_up", ["", ".", "..", "a.b.c", "AAAA.9999999999.", "é.é.é", "A" * 43])
def test_what_we_did_not_make_is_no_challenge(world: World, made_up: str) -> None:
    assert _ceremony(world).challenge(made_up, START) is None
    challenge, until, mac = _ceremony(world).sealed(CHANCE, START).split(".")
    assert _ceremony(world).challenge(f"{challenge}.{int(until) + 9}.{mac}", START) is None


def test_asking_for_challenges_and_answering_nonsense_keeps_nothing(world: World, alice: Person) -> None:
    browser: Browser = world.browser()
    for _ in range(3):
        assert browser.get("/sign-in/passkey").status_code == 200
        assert browser.submit("/sign-in/passkey", answer='{"id": "nonsense"}').status_code == 400
    browser.signs_in(alice)
    assert browser.get("/account/passkeys/add").status_code == 200
    with world.house.store.read() as session:
        assert session.exec(select(SpentChallenge)).all() == []
