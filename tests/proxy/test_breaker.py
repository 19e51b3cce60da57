"""The circuit breaker of an organisation: what counts as its fault, what does not, and who can open it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from gateway.ground.http.connector import ConnectorError, OutboundRequest, Target
from gateway.ground.http.transport import FAULTS_TO_OPEN, OPEN_SECONDS, Breaker, Transport
from gateway.ground.pools import within
from gateway.settings import Settings
from tests.proxy.raw import Exchange, RawOrganisation, answer

BEGUN = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(clock)


def is_open(breaker: Breaker) -> bool:
    try:
        breaker.check()
    except ConnectorError:
        return True
    return False


def test_it_opens_after_faults_in_a_row_and_one_good_answer_between_begins_the_row_anew(breaker: Breaker) -> None:
    for _ in range(3):
        for _ in range(FAULTS_TO_OPEN - 1):
            breaker.bad()
        assert not is_open(breaker)
        breaker.good()
    for _ in range(FAULTS_TO_OPEN):
        breaker.bad()
    assert is_open(breaker)


def test_calls_that_were_under_way_when_it_opened_keep_it_open_no_longer(breaker: Breaker, clock: Clock) -> None:
    for _ in range(32):  # all that were out fail together
        breaker.bad()
    clock.now += OPEN_SECONDS[0]
    assert not is_open(breaker), "one opening was counted as many"


def test_each_probe_that_fails_keeps_it_open_for_longer_and_one_that_succeeds_closes_it(
    breaker: Breaker, clock: Clock
) -> None:
    for _ in range(FAULTS_TO_OPEN):
        breaker.bad()
    for seconds in (*OPEN_SECONDS, OPEN_SECONDS[-1]):
        clock.now += seconds - 0.1
        assert is_open(breaker)
        clock.now += 0.1
        assert not is_open(breaker)  # the probe
        assert is_open(breaker)  # one at a time
        breaker.bad()
    clock.now += OPEN_SECONDS[-1]
    assert not is_open(breaker)
    breaker.good()
    assert not any(is_open(breaker) for _ in range(3))


def test_a_probe_of_which_nothing_is_heard_is_followed_by_another(breaker: Breaker, clock: Clock) -> None:
    for _ in range(FAULTS_TO_OPEN):
        breaker.bad()
    clock.now += OPEN_SECONDS[0]
    assert not is_open(breaker) and is_open(breaker)
    clock.now += OPEN_SECONDS[0]
    assert not is_open(breaker)


# ---- what counts, on real connections


def on(organisation: RawOrganisation, play: Callable[[Transport, Target], Awaitable[Any]], **settings: Any) -> Any:
    organisation.reset()

    async def run() -> Any:
        transport = Transport(Settings(**settings))
        try:
            return await play(transport, Target("bank", organisation.url, ("127.0.0.0/8",), 1.0))
        finally:
            await transport.close()

    return asyncio.run(run())


async def read(transport: Transport, target: Target, whose: str = "") -> str:
    try:
        await (await transport.get(OutboundRequest(target, "GET", "/", [], whose=whose))).read(2**30)
    except ConnectorError as fault:
        return fault.detail
    return "good"


def test_answers_that_begin_and_never_end_open_it(organisation: RawOrganisation) -> None:
    async def play(transport: Transport, target: Target) -> None:
        organisation.says(BEGUN, *[part for _ in range(100) for part in (b" ", 0.05)])
        assert await asyncio.gather(*(read(transport, target) for _ in range(FAULTS_TO_OPEN))) == (
            ["deadline"] * FAULTS_TO_OPEN
        )
        assert await read(transport, target) == "breaker open"

    on(organisation, play, total_seconds=1.2)


def test_one_persons_slow_calls_do_not_open_it_for_others_and_those_of_many_do(organisation: RawOrganisation) -> None:
    async def play(transport: Transport, target: Target) -> None:
        organisation.says(BEGUN, 20.0)
        mallory = [read(transport, target, whose="mallory's link") for _ in range(2 * FAULTS_TO_OPEN)]
        assert set(await asyncio.gather(*mallory)) == {"deadline"}
        organisation.says(answer(b"{}"))
        assert await read(transport, target, whose="alice's link") == "good"
        organisation.says(BEGUN, 20.0)
        others = [read(transport, target, whose=f"link {number}") for number in range(FAULTS_TO_OPEN)]
        assert set(await asyncio.gather(*others)) == {"deadline"}
        assert await read(transport, target, whose="alice's link") == "breaker open"

    on(organisation, play, total_seconds=1.0)


def test_pages_of_one_person_that_are_slow_there_do_not_open_it_for_others(organisation: RawOrganisation) -> None:
    async def play(transport: Transport, target: Target) -> None:
        def page(whose: str) -> str:
            try:
                transport.ask(OutboundRequest(target, "GET", "/", [], whose=whose))
            except ConnectorError as fault:
                return fault.detail
            return "good"

        organisation.says(BEGUN.replace(b"99999999", b"99"), 20.0)
        transport.start(asyncio.get_running_loop())
        mallory = [asyncio.to_thread(page, "mallory's link") for _ in range(2 * FAULTS_TO_OPEN)]
        assert set(await asyncio.gather(*mallory)) == {"deadline"}
        organisation.says(answer(b"{}"))
        assert await asyncio.to_thread(page, "alice's link") == "good"

    on(organisation, play, total_seconds=1.0)


def test_an_app_that_reads_slowly_does_not_open_it_for_others(organisation: RawOrganisation) -> None:
    async def play(transport: Transport, target: Target) -> None:
        organisation.says(BEGUN, *[b" " * 100_000] * 100)
        for _ in range(FAULTS_TO_OPEN + 1):
            exchange = await transport.get(OutboundRequest(target, "GET", "/", []))
            await exchange.chunks().__anext__()
            while exchange.fault is None:  # nobody takes what comes
                await asyncio.sleep(0.05)
        organisation.says(answer(b"{}"))
        assert await read(transport, target) == "good"

    on(organisation, play, total_seconds=1.0)


def test_an_app_that_hangs_up_does_not_open_it_for_others(organisation: RawOrganisation) -> None:
    async def play(transport: Transport, target: Target) -> None:
        organisation.says(20.0)
        for _ in range(FAULTS_TO_OPEN + 1):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await read(transport, target)
        organisation.says(answer(b"{}"))
        assert await read(transport, target) == "good"

    on(organisation, play)


def test_a_page_that_had_little_time_left_says_nothing_about_the_organisation(organisation: RawOrganisation) -> None:
    async def play(transport: Transport, target: Target) -> None:
        def hurried() -> None:
            with within(0.1), pytest.raises(ConnectorError) as fault:
                transport.ask(OutboundRequest(target, "GET", "/", []))
            assert fault.value.detail == "deadline"

        organisation.says(20.0)
        transport.start(asyncio.get_running_loop())
        for _ in range(FAULTS_TO_OPEN + 1):
            await asyncio.to_thread(hurried)
        organisation.says(answer(b"{}"))
        assert await read(transport, target) == "good"

    on(organisation, play)


def test_a_probe_that_meets_a_dead_connection_tries_a_new_one(organisation: RawOrganisation) -> None:
    async def play(transport: Transport, target: Target) -> None:
        async def once(exchange: Exchange) -> None:
            """The first call of a connection is answered; the second finds it closed."""
            if sum(each.connection == exchange.connection for each in organisation.seen) > 1:
                await exchange.reset()
            else:
                await exchange.say(answer(b"{}"))

        organisation.behaviour = once
        assert await read(transport, target) == "good"
        pool = transport._pools[target]
        for _ in range(FAULTS_TO_OPEN):
            pool.breaker.bad()
        pool.breaker._until = 0.0  # its time is over
        assert await read(transport, target) == "good"

    on(organisation, play)
