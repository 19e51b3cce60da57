"""A frozen log gives nothing, whoever asks and however far the call has come."""

import threading
from collections.abc import Iterator

import pytest

from tests.proxy.bank import NATIVE, Bank
from tests.proxy.raw import Exchange, answer, transactions

WHY = "a tree of 9 was signed; the database only knows one of 3"


@pytest.fixture(autouse=True)
def thawed(bank: Bank) -> Iterator[None]:
    yield
    bank.world.house.log.frozen = ""


def test_a_frozen_log_gives_nothing_says_so_and_thaws(bank: Bank) -> None:
    bank.world.house.log.frozen = WHY
    refused = bank.reads()
    assert (refused.status, refused.reason) == (503, "log_frozen") and int(refused.headers["retry-after"]) > 0
    assert "title" in refused.json and WHY not in refused.body.decode()
    assert not bank.organisation.seen
    assert [(entry["event"], entry["reason"]) for entry in bank.log()] == [("denied", "log_frozen")]
    bank.world.house.log.frozen = ""
    assert bank.reads().status == 200


def test_frozen_while_the_organisation_answers_gives_nothing(bank: Bank) -> None:
    arrived, frozen = threading.Event(), threading.Event()

    async def behave(exchange: Exchange) -> None:
        arrived.set()
        while not frozen.is_set():
            await exchange.say(0.01)
        await exchange.say(answer(transactions(NATIVE)))

    bank.organisation.behaviour = behave
    found = []
    call = threading.Thread(target=lambda: found.append(bank.reads()))
    call.start()
    assert arrived.wait(10)
    bank.world.house.log.frozen = WHY
    frozen.set()
    call.join(10)
    assert (found[0].status, found[0].reason) == (503, "log_frozen") and b"Amount" not in found[0].body
    assert [entry["event"] for entry in bank.log()] == ["denied"]
