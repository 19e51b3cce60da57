"""What a data call ends is told to its app in the transaction of that call; the call itself is not."""

import json
from concurrent.futures import ThreadPoolExecutor

from sqlmodel import select

from gateway.ground.keys import fresh
from gateway.signals import rules, streams
from gateway.signals.streams import WantedStream
from gateway.signals.tables import SignalEvent
from tests.proxy.bank import NATIVE, Bank
from tests.proxy.raw import answer, transactions


def opens(bank: Bank) -> str:
    """A stream of the app that reads Alice's bank."""
    house = bank.world.house
    made = streams.made(house.keys, bank.app, WantedStream(requested=rules.TYPES), fresh(16), bank.world.clock())
    with house.store.write() as session:
        assert streams.keep(session, made)
    return made.id


def told(bank: Bank, stream: str) -> list[tuple[str, str, str]]:
    """(type, grant, reason)"""
    with bank.world.house.store.read() as session:
        rows = session.exec(select(SignalEvent).where(SignalEvent.stream_id == stream)).all()
        said = [(row.type, json.loads(row.about)) for row in rows]
    return [(kind, event["grant_id"], event.get("reason", "")) for kind, event in said]


def test_a_sharing_for_one_use_ends_with_it_and_its_app_is_told_once(bank: Bank) -> None:
    bank.agrees(once=True)
    stream = opens(bank)
    bank.organisation.says(0.05, answer(transactions(NATIVE)))
    with ThreadPoolExecutor(10) as pool:
        found = [each.status for each in pool.map(lambda _: bank.reads(), range(10))]
    assert sorted(found) == [200] + [403] * 9
    assert told(bank, stream) == [(rules.CONSENT_ENDED, bank.consent, "used_up")]


def test_a_use_that_is_given_back_ended_nothing(bank: Bank) -> None:
    bank.agrees(once=True)
    stream = opens(bank)
    bank.organisation.says(b"garbage\r\n\r\n", close=True)
    assert bank.reads().status == 502
    assert told(bank, stream) == []


def test_of_data_calls_nothing_is_told(bank: Bank) -> None:
    stream = opens(bank)
    bank.organisation.says(answer(transactions(NATIVE)))
    assert bank.reads().status == 200
    assert bank.reads(f"{bank.path}?fromBookingDateTime=garbage").status == 403
    assert told(bank, stream) == []
