"""What the data plane remembers on PostgreSQL does not grow with everybody who ever came."""

import asyncio
import random
from types import SimpleNamespace
from typing import cast

import pytest

from gateway.errors import Unavailable
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ledger import postgres_reading
from gateway.ledger.postgres_reading import StandingMemory, StandingReader
from gateway.ledger.standing import Standing


def standing(person: int, consent: int, family: int = 0) -> Standing:
    row = (f"person-{person}", "app", "active", "", 1, 1, None, "link", 1, True)
    return Standing(f"consent-{person}-{consent}", f"family-{family}", "city", -1, row)


def heard() -> StandingMemory:
    memory = StandingMemory()
    memory.believed_until = float("inf")
    return memory


def test_of_whoever_is_forgotten_nothing_is_kept() -> None:
    memory = heard()
    for person in range(1000):
        for consent in (1, 2):
            memory.keep(standing(person, consent), memory.turns)
            memory.keep(standing(person, consent, family=1), memory.turns)
        if person % 3 == 0:
            memory.notice(f"pperson-{person}")
        elif person % 3 == 1:
            memory.notice(f"cconsent-{person}-1")
            memory.notice(f"cconsent-{person}-2")
        else:
            memory.forget(standing(person, 1))
            memory.forget(standing(person, 2))
    assert memory._held == memory._of_consent == memory._of_person == {}


def test_a_try_of_a_password_makes_nobody_forgotten() -> None:
    memory = heard()
    memory.keep(standing(1, 1), memory.turns)
    memory.changed({"try 4f1c", "client 77ab", "email bob@example.org", "person person-2"})
    assert memory.get(standing(1, 1).key)
    memory.changed({"directory"})
    assert not memory.get(standing(1, 1).key)


def test_what_is_remembered_is_found_again_by_its_person(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """At random, as in a long life: the three tables agree at every moment, and none is larger than the first."""
    monkeypatch.setattr(postgres_reading, "HELD", 50)
    memory, chance = heard(), random.Random(7)
    for _ in range(5000):
        person, consent, family = (chance.randrange(most) for most in (40, 3, 2))
        act = chance.random()
        if act < 0.7:
            memory.keep(standing(person, consent, family), memory.turns)
        elif act < 0.85:
            memory.notice(f"cconsent-{person}-{consent}")
        else:
            memory.changed({f"person person-{person}"})
        held = {key for keys in memory._of_consent.values() for key in keys}
        assert held == memory._held.keys() and len(held) <= 50
        by_person = {consent: person for person, consents in memory._of_person.items() for consent in consents}
        assert by_person == {each.consent: each.person for each in memory._held.values()}


@pytest.mark.parametrize("fault", [ValueError("nobody foresaw it"), Unavailable("gone"), TimeoutError()])
def test_whatever_happens_while_it_listens_it_goes_on_and_believes_nothing_meanwhile(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Exception
) -> None:
    monkeypatch.setattr(postgres_reading, "HEAR_SECONDS", 0.001)
    memory = heard()
    reader = StandingReader(cast(PostgresStore, SimpleNamespace(process="this")), memory)
    found: list[tuple[float, bool]] = []

    async def fetch(_statement: str, *_values: object) -> list[tuple[int, bool]]:
        found.append((memory.believed_until, reader._lives))
        if len(found) in (2, 3):
            raise fault
        if len(found) == 5:
            raise asyncio.CancelledError
        return [(1, True)]

    monkeypatch.setattr(reader, "fetch", fetch)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(reader._hear())
    assert found == [(float("inf"), True)] * 2 + [(0.0, False)] * 2 + [(0.0, True)]
    assert ("ValueError in fetch" in caplog.text) == isinstance(fault, ValueError)
