"""Token keys that come and go under load, in two processes: no valid token is refused, and no other is taken."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.authorization import families_ending
from gateway.ground.keys import KeyRing
from gateway.ground.store import signing_keys
from gateway.ground.store.signing_keys import Rotated
from tests.postgres import Cluster, until
from tests.proxy.bank import Bank
from tests.proxy.processes import Processes, Served, served
from tests.proxy.raw import RawOrganisation

pytestmark = pytest.mark.postgres

AT_ONCE = timedelta(0)


@pytest.fixture(scope="module")
def processes(
    tmp_path_factory: pytest.TempPathFactory, postgres: Cluster, organisation: RawOrganisation
) -> Iterator[Processes]:
    postgres.create("rotation")
    with served(tmp_path_factory.mktemp("rotation"), postgres.url("rotation")) as both:
        yield both
    postgres.drop("rotation")


@pytest.fixture
def bank(processes: Processes, organisation: RawOrganisation) -> Bank:
    organisation.reset()
    return Bank(processes.world, organisation).agrees()


def now() -> datetime:
    return datetime.now(UTC)


def read(processes: Processes) -> None:
    """This process, which signs the tokens, takes the keys as they are now."""
    assert signing_keys.read(processes.world.house.store, processes.world.house.keys, time.time()) == []


def rotated(processes: Processes, settle: timedelta = AT_ONCE) -> Rotated:
    house = processes.world.house
    with house.store.write() as session:
        made = signing_keys.rotate(session, house.keys, "ES256", now(), settle)
    read(processes)
    return made


def ended(processes: Processes) -> Rotated:
    house = processes.world.house
    with house.store.write() as session:
        [made] = signing_keys.end_at_once(session, house.keys, ["ES256"], now())
    read(processes)
    return made


def signed(bank: Bank) -> str:
    return bank.world.token(bank.consent, [bank.id], bank.app)


def status(processes: Processes, bank: Bank, at: Served, token: str) -> int:
    return processes.reads(bank, at, Authorization=f"Bearer {token}").status


def test_no_token_is_refused_while_keys_rotate_under_load(processes: Processes, organisation: RawOrganisation) -> None:
    """The hardest case: each new key signs at once, in a process that no other has heard of."""
    organisation.reset()
    over, kids = threading.Event(), set[str]()
    banks = [Bank(processes.world, organisation) for _ in range(6)]

    def calls(number: int) -> int:
        bank = banks[number]
        count, early = 0, signed(bank)
        while not over.is_set():
            for token in (signed(bank), early):
                assert status(processes, bank, processes.all[(number + count) % 2], token) == 200
                count += 1
        return count

    with ThreadPoolExecutor(6) as pool:
        calling = [pool.submit(calls, number) for number in range(6)]
        for _ in range(8):
            kids.add(rotated(processes).key)
            with processes.world.house.store.write() as session:
                signing_keys.retire(session, now())
            time.sleep(0.4)
        over.set()
        assert sum(each.result() for each in calling) > 20
    assert len(kids) == 8 and processes.world.house.keys.signer.kid in kids


def test_a_key_that_is_to_come_is_known_to_both_before_it_signs(processes: Processes, bank: Bank) -> None:
    made = rotated(processes, timedelta(seconds=2))
    assert processes.world.house.keys.signer.kid != made.key
    assert made.key in {key["kid"] for key in processes.world.house.keys.jwks()["keys"]}

    def signs() -> bool:
        processes.world.house.keys.settle(time.time())
        return processes.world.house.keys.signer.kid == made.key

    until(signs, "the next key signs")
    assert [status(processes, bank, each, signed(bank)) for each in processes.all] == [200, 200]


def test_in_an_emergency_both_refuse_what_the_key_signed_and_take_what_the_next_one_signs(
    processes: Processes, bank: Bank
) -> None:
    old = signed(bank)
    assert [status(processes, bank, each, old) for each in processes.all] == [200, 200], "and both know it by now"
    made = ended(processes)
    assert made.ended and processes.world.house.keys.signer.kid == made.key
    assert [status(processes, bank, each, signed(bank)) for each in processes.all] == [200, 200]
    for each in processes.all:
        until(lambda each=each: status(processes, bank, each, old) == 401, "it is noticed")  # type: ignore[misc]
    assert [status(processes, bank, each, old) for each in processes.all for _ in range(5)] == [401] * 10
    again = processes.started()
    try:
        assert status(processes, bank, again, old) == 401, "nor one that starts later"
        assert status(processes, bank, again, signed(bank)) == 200
    finally:
        again.ends()


def test_a_token_by_a_key_of_nobody_is_refused_by_both_and_holds_nobody_up(
    processes: Processes, bank: Bank, tmp_path: Path
) -> None:
    forger = KeyRing(tmp_path, create=True)
    own, bank.world.house.keys._tokens = bank.world.house.keys._tokens, forger._tokens
    try:
        forged = [signed(bank) for _ in range(20)]
    finally:
        bank.world.house.keys._tokens = own
    with ThreadPoolExecutor(20) as pool:
        call: Callable[[str], int] = lambda token: status(processes, bank, processes.all[0], token)  # noqa: E731
        refused = pool.map(call, forged)
        assert [call(signed(bank)) for _ in range(5)] == [200] * 5
        assert set(refused) == {401}


def test_all_families_end_people_by_people_and_it_goes_on_where_it_broke_off(
    processes: Processes, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation.reset()
    house = processes.world.house
    banks = [Bank(processes.world, organisation) for _ in range(7)]
    twice, stopped = banks[0], banks[1]
    twice.agrees()
    processes.stops(stopped)
    began = now()
    assert ended(processes).ended
    monkeypatch.setattr(families_ending, "PEOPLE", 3)
    assert families_ending.next_few(house, began, now()) is not None
    with house.store.read() as session:
        assert signing_keys.emergency(session) is not None, "it is not over"
    later = Bank(processes.world, organisation)
    while families_ending.go_on(house, now()):
        pass
    with house.store.read() as session:
        assert signing_keys.emergency(session) is None
    for bank in banks:
        entries = [entry for entry in processes.world.entries(bank.person) if entry["event"] == "tokens_ended"]
        assert len(entries) == (0 if bank is stopped else 1), bank.person
        assert all(entry["actor"] == "operator" for entry in entries)
        assert status(processes, bank, processes.all[0], signed(bank)) in (401, 403), "though the new key signed it"
    assert processes.world.kinds(later.person).count("tokens_ended") == 0
    assert status(processes, later, processes.all[1], signed(later)) == 200
    assert not families_ending.go_on(house, now())
    assert processes.world.row("SELECT count(*) FROM tokenfamily WHERE ended_reason = 'keys_ended'")[0] >= 8
