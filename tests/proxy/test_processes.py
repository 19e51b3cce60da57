"""Several processes, one database: what one of them is told holds in all."""

import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.postgres import Cluster
from tests.proxy.bank import Bank
from tests.proxy.processes import Processes, served
from tests.proxy.raw import RawOrganisation

RACES = int(os.environ.get("RACES", "200"))  # 1,000 in the long run
AT_ONCE = 20


@pytest.fixture(scope="module")
def processes(
    tmp_path_factory: pytest.TempPathFactory, postgres: Cluster, organisation: RawOrganisation
) -> Iterator[Processes]:
    postgres.create("processes")
    with served(tmp_path_factory.mktemp("two"), postgres.url("processes")) as both:
        yield both
    postgres.drop("processes")


def test_what_one_process_ended_no_other_gives(processes: Processes, organisation: RawOrganisation) -> None:
    """Stops against reads, at random moments: nothing is given that was asked for after Alice was told, no entry of
    an access follows that of her stop, and each answer with data has its entry."""
    for _ in range(-(-RACES // AT_ONCE)):
        organisation.reset()
        _race(processes, [Bank(processes.world, organisation) for _ in range(AT_ONCE)])


def _race(processes: Processes, banks: list[Bank]) -> None:
    given: dict[str, list[float]] = {bank.person: [] for bank in banks}  # when each call that was given data began
    told: dict[str, float] = {}
    over = threading.Event()

    def reads(number: int) -> None:
        chance = random.Random(number)
        while not over.is_set():
            bank = chance.choice(banks)
            began = time.monotonic()
            answer = processes.reads(bank, chance.choice(processes.all))
            assert answer.status in (200, 403), answer.body
            if answer.status == 200:
                given[bank.person].append(began)

    def stops() -> None:
        for bank in banks:
            time.sleep(random.random() * 0.02)
            told[bank.person] = processes.stops(bank)

    with ThreadPoolExecutor(9) as pool:
        reading = [pool.submit(reads, number) for number in range(8)]
        pool.submit(stops).result()
        time.sleep(0.05)
        over.set()
        for each in reading:
            each.result()
    for bank in banks:
        entries = processes.world.entries(bank.person)
        kinds = [entry["event"] for entry in entries]
        end = kinds.index("consent_ended")
        assert "access" not in kinds[end:], "an access was recorded after the stop"
        assert kinds.count("access") == len(given[bank.person])
        assert [entry["user_seq"] for entry in entries] == list(range(1, len(entries) + 1))
        assert all(began <= told[bank.person] for began in given[bank.person])


def test_a_limit_of_uses_is_one_for_all_processes(processes: Processes, organisation: RawOrganisation) -> None:
    organisation.reset()
    bank = Bank(processes.world, organisation).agrees(frequency=[{"times": 7, "per": "day", "zone": "UTC"}])
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(processes.reads, bank, processes.all[number % 2]) for number in range(30)]
        statuses = sorted(call.result().status for call in calls)
    assert statuses == [200] * 7 + [429] * 23


def test_a_sharing_for_one_use_is_used_once(processes: Processes, organisation: RawOrganisation) -> None:
    for _ in range(5):
        organisation.reset()
        bank = Bank(processes.world, organisation).agrees(once=True)
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(processes.reads, bank, processes.all[number % 2]) for number in range(8)]
            statuses = sorted(call.result().status for call in calls)
        assert statuses == [200] + [403] * 7
        assert [kind for kind in processes.world.kinds(bank.person) if kind != "denied"] == ["access", "consent_ended"]


def test_entries_of_all_processes_are_one_chain(processes: Processes, organisation: RawOrganisation) -> None:
    organisation.reset()
    bank = Bank(processes.world, organisation)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(processes.reads, bank, processes.all[number % 2]) for number in range(200)]
        assert {call.result().status for call in calls} == {200}
    assert [entry["user_seq"] for entry in processes.world.entries(bank.person)] == list(range(1, 201))
