"""What ends while a call waits for its turn at the organisation is not asked for any more."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.proxy.bank import Bank
from tests.proxy.endings import REASONS, ends
from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, RawOrganisation, answer, transactions


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("waiting")).serving() as world:
        yield world


@pytest.fixture
def held(organisation: RawOrganisation) -> Iterator[threading.Event]:
    """The organisation answers nobody before this is set."""
    organisation.reset()
    free = threading.Event()
    yield free
    free.set()
    organisation.reset()


def seen(organisation: RawOrganisation, count: int) -> bool:
    for _ in range(500):
        if len(organisation.seen) >= count:
            return True
        threading.Event().wait(0.01)
    return False


@pytest.mark.parametrize("how", REASONS)
def test_a_call_that_waits_for_a_place_is_not_made(
    world: World, organisation: RawOrganisation, held: threading.Event, how: str
) -> None:
    async def waits(exchange: Exchange) -> None:
        await asyncio.to_thread(held.wait, 20)
        await exchange.say(answer(transactions(exchange.target.split("/accounts/")[-1].split("/")[0])))

    bank = Bank(world, organisation, max_calls=1)
    organisation.behaviour = waits
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(bank.reads)
        assert seen(organisation, 1)
        second = pool.submit(bank.reads)
        threading.Event().wait(0.3)  # it waits for the only place
        ends(world, bank, how)
        held.set()
        answers = [first.result(), second.result()]
    assert [(each.status, each.reason) for each in answers] == [(403, REASONS[how])] * 2
    assert len(organisation.seen) == 1


def test_a_call_whose_connection_turned_out_dead_is_not_made_again(
    world: World, organisation: RawOrganisation, held: threading.Event
) -> None:
    bank = Bank(world, organisation)
    assert bank.reads().status == 200  # a connection is kept

    async def dies(exchange: Exchange) -> None:
        await asyncio.to_thread(held.wait, 20)
        exchange.writer.transport.abort()

    organisation.behaviour = dies
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(bank.reads)
        assert seen(organisation, 2)
        ends(world, bank, "stopped")
        organisation.behaviour = None
        held.set()
        assert (call.result().status, call.result().reason) == (403, "ended")
    assert len(organisation.seen) == 2


def test_what_goes_on_is_asked_for_after_waiting(
    world: World, organisation: RawOrganisation, held: threading.Event
) -> None:
    """Another person's end in between changes nothing."""

    async def waits(exchange: Exchange) -> None:
        await asyncio.to_thread(held.wait, 20)
        await exchange.say(answer(transactions(exchange.target.split("/accounts/")[-1].split("/")[0])))

    bank, other = Bank(world, organisation, max_calls=1), Bank(world, organisation)
    organisation.behaviour = waits
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(bank.reads) for _ in range(2)]
        assert seen(organisation, 1)
        ends(world, other, "stopped")
        held.set()
        assert [call.result().status for call in calls] == [200, 200]


@pytest.mark.parametrize("how", ["stopped", "revoked"])
def test_a_call_whose_terms_had_to_be_compiled_is_not_made(
    world: World, organisation: RawOrganisation, held: threading.Event, how: str
) -> None:
    """It was judged before it got into that line; the app's giving up its tokens changes nothing that is compiled."""
    bank = Bank(world, organisation)
    assert bank.reads().status == 200  # a connection is kept
    bank.agrees()
    busy = world.house.pools.submit("compile", "", partial(held.wait, 20))
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(bank.reads)
        threading.Event().wait(0.3)  # it waits in the line
        ends(world, bank, how)
        held.set()
        assert busy.result()
        assert (call.result().status, call.result().reason) == ((403, "ended") if how == "stopped" else (401, ""))
    assert len(organisation.seen) == 1
