"""Pools: one person never holds all places of a party, and whatever the work does, whoever waits for it is answered."""

import asyncio
import threading

import pytest

from gateway.ground.pools import DUTIES, Duty, Full, Pools

SECONDS = 20  # more than any of this takes on a busy machine


def pools() -> Pools:
    return Pools({"wait": Duty(threads=2, each=1)})


def test_one_person_never_holds_all_places_of_a_party() -> None:
    made, gate = pools(), threading.Event()
    hers = made.submit("wait", "bank", lambda: gate.wait(SECONDS), "mallory")
    with pytest.raises(Full):
        made.submit("wait", "bank", lambda: True, "mallory")
    assert made.submit("wait", "bank", lambda: "answer", "alice").result(SECONDS) == "answer"
    assert made.submit("wait", "energy", lambda: "answer", "mallory").result(SECONDS) == "answer"
    gate.set()
    assert hers.result(SECONDS)
    assert made.submit("wait", "bank", lambda: "again", "mallory").result(SECONDS) == "again"


NOBODYS = {"notice"}  # no person waits for it, nor begins it


@pytest.mark.parametrize(
    "duty", [name for name, duty in DUTIES.items() if duty.line == 0 and duty.threads > 1 and name not in NOBODYS]
)
def test_where_people_wait_for_an_organisation_a_place_stays_for_others(duty: str) -> None:
    assert DUTIES[duty].each < DUTIES[duty].threads


def test_work_that_ends_an_iteration_is_answered_too() -> None:
    def work() -> None:
        next(iter(()))

    async def waited() -> None:
        await asyncio.wait_for(pools().run("wait", "bank", work), SECONDS)

    with pytest.raises(RuntimeError, match="StopIteration"):
        asyncio.run(waited())


def test_closed_pools_begin_nothing_not_even_for_a_party_they_never_had() -> None:
    made = pools()
    made.close()
    with pytest.raises(Full):
        made.submit("wait", "bank", lambda: True)
