"""PostgreSQL restarts, stands still, is read-only, has no connections left, breaks in the middle of a commit, or fails
over: the answer is 503 with Retry-After, never a wrong verdict; nothing acknowledged is lost; soon after it is back all
is well again."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.postgres import Cluster, Standby, TcpFaults, require, until
from tests.proxy.bank import Answer, Bank
from tests.proxy.processes import Processes, served
from tests.proxy.raw import RawOrganisation

TIMES = int(os.environ.get("FAULTS", "2"))  # 100 in the long run
BACK_SECONDS = 5.0  # within which all is well again; asked with some patience, since machines are busy
PATIENCE = 4.0

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    """Of these tests alone, and with its data safe on the disk."""
    require()
    with Cluster(durable=True) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, server: Cluster) -> Iterator[Processes]:
    server.create("gone")
    with served(tmp_path_factory.mktemp("two"), server.url("gone")) as both:
        yield both


@pytest.fixture
def processes(both: Processes, server: Cluster, organisation: RawOrganisation) -> Processes:
    """They live through one fault after the other."""
    organisation.reset()
    server.start()  # a test before this one may have failed
    return both


class Reading:
    """Calls at all processes all the time, and what they were answered."""

    def __init__(self, processes: Processes, bank: Bank) -> None:
        self.processes, self.bank = processes, bank
        self.answers: list[tuple[float, Answer]] = []
        self._over = threading.Event()

    def __enter__(self) -> "Reading":
        self._pool = ThreadPoolExecutor(4)
        self._tasks = [self._pool.submit(self._read, number) for number in range(4)]
        self.until(200)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for task in self._tasks:
            task.result()
        self._pool.shutdown()

    def _read(self, number: int) -> None:
        while not self._over.is_set():
            answer = self.processes.reads(self.bank, self.processes.all[number % 2])
            self.answers.append((time.monotonic(), answer))
            if answer.status != 200:
                time.sleep(0.02)

    def until(self, status: int, seconds: float = BACK_SECONDS * PATIENCE) -> None:
        """Waits for some answers of this status that come from now on."""
        begun = time.monotonic()
        while sum(at > begun and each.status == status for at, each in self.answers[-50:]) < 3:
            assert time.monotonic() - begun < seconds, f"no {status} within {seconds} s"
            time.sleep(0.02)

    def is_sound(self) -> None:
        """Only data or "not now"; one entry at least for every answer with data, and no gap between entries."""
        found = Counter(each.status for _, each in self.answers)
        assert set(found) <= {200, 503}, found
        assert all(each.headers.get("retry-after") for _, each in self.answers if each.status == 503)
        entries = self.processes.world.entries(self.bank.person)
        assert [entry["user_seq"] for entry in entries] == list(range(1, len(entries) + 1))
        recorded = {entry["request_id"] for entry in entries if entry["event"] == "access"}
        given = [each.headers["x-request-id"] for _, each in self.answers if each.status == 200]
        assert len(set(given)) == len(given)
        assert set(given) <= recorded


def test_restarts_lose_nothing(processes: Processes, server: Cluster, organisation: RawOrganisation) -> None:
    with Reading(processes, Bank(processes.world, organisation)) as reading:
        for _ in range(TIMES):
            server.restart(mode="immediate")
            reading.until(200)
    reading.is_sound()


def test_a_server_that_stands_still_is_waited_for(
    processes: Processes, server: Cluster, organisation: RawOrganisation
) -> None:
    with Reading(processes, Bank(processes.world, organisation)) as reading:
        server.pause()
        time.sleep(2.0)
        server.resume()
        reading.until(200)
    reading.is_sound()


def test_a_database_that_cannot_be_written_gives_nothing(
    processes: Processes, server: Cluster, organisation: RawOrganisation
) -> None:
    with Reading(processes, Bank(processes.world, organisation)) as reading:
        server.read_only("gone", True)
        reading.until(503)
        server.read_only("gone", False)
        reading.until(200)
    reading.is_sound()


def test_without_a_server_there_is_no_data_and_no_verdict(
    processes: Processes, server: Cluster, organisation: RawOrganisation
) -> None:
    with Reading(processes, Bank(processes.world, organisation)) as reading:
        server.stop()
        reading.until(503)
        server.start()
        reading.until(200)
    reading.is_sound()


def test_a_commit_that_is_not_answered_is_resolved(
    tmp_path: Path, server: Cluster, organisation: RawOrganisation
) -> None:
    """The connection breaks after COMMIT was sent: sometimes it was done, sometimes not. Nobody guesses."""
    organisation.reset()
    server.start()
    server.create("commits")
    with TcpFaults(server.port) as faults, served(tmp_path, faults.url(server.url("commits"))) as both:
        with Reading(both, Bank(both.world, organisation)) as reading:
            for number in range(TIMES * 2):
                faults.cut_at_commit(times=2, passed_on=number % 2 == 0)
                reading.until(200)
            faults.release()
            reading.until(200)
        assert faults.commits_cut >= TIMES
        reading.is_sound()
    server.drop("commits")


@pytest.mark.parametrize("how", ["crashes", "stands still"])
def test_a_fail_over_loses_nothing_that_was_acknowledged(
    tmp_path: Path, organisation: RawOrganisation, how: str
) -> None:
    require()
    organisation.reset()
    with Cluster(durable=True) as primary:
        primary.create("over")
        with Standby(primary, synchronous=True) as standby:
            address = primary.url("over")
            both_hosts = address.replace(f":{primary.port}/", f":{primary.port},127.0.0.1:{standby.port}/")
            with served(tmp_path, f"{both_hosts}?target_session_attrs=read-write") as both:
                with Reading(both, Bank(both.world, organisation)) as reading:
                    primary.stop(mode="immediate") if how == "crashes" else primary.pause()
                    reading.until(503)
                    standby.promote()
                    reading.until(200, seconds=80)
                reading.is_sound()
            if primary.running:
                primary.resume()


def test_a_commit_that_an_operator_tells_not_to_wait_gives_nothing(
    tmp_path: Path, server: Cluster, organisation: RawOrganisation
) -> None:
    """Its entry is on this server alone, and would be gone after a fail-over."""
    organisation.reset()
    server.start()
    server.create("alone")
    with served(tmp_path, server.url("alone")) as both, ThreadPoolExecutor(1) as pool:
        bank = Bank(both.world, organisation)
        assert both.reads(bank, both.all[0]).status == 200
        server.wait_for_standbys("nobody")
        try:
            call = pool.submit(both.reads, bank, both.all[0])
            waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'aval'"
            until(lambda: server.execute(f"SELECT count(*) {waiting}") != [(0,)], "its commit waits for a standby")
            while not call.done():  # other commits of the gateways wait for it too
                server.execute(f"SELECT pg_cancel_backend(pid) {waiting}")
                time.sleep(0.05)
        finally:
            server.wait_for_standbys("")
        assert call.result().status == 503
        assert both.reads(bank, both.all[0]).status == 200
    server.drop("alone")


WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def test_while_its_standby_is_away_a_call_is_answered_in_time(tmp_path: Path, organisation: RawOrganisation) -> None:
    """The first commit is waited for and then looked for; while one of a process is not answered, it begins none."""
    require()
    organisation.reset()
    with Cluster(durable=True) as primary:
        primary.create("away")
        with Standby(primary, synchronous=True) as standby, served(tmp_path, primary.url("away")) as both:
            alice, bob = Bank(both.world, organisation), Bank(both.world, organisation)
            for bank in (alice, bob):
                assert both.reads(bank, both.all[0]).status == both.reads(bank, both.all[1]).status == 200
            standby.stop("immediate")
            with ThreadPoolExecutor(8) as crowd:
                tasks = []
                for number in range(8):  # also those that come while the first is waited for
                    at = both.all[number // 4]
                    tasks.append(crowd.submit(both.reads, (alice, bob)[number % 2], at))
                    time.sleep(0.5)
                found = [task.result(timeout=20) for task in tasks]
            assert {answer.status for answer in found} == {503}
            assert all(answer.headers.get("retry-after") for answer in found)
            waiting = primary.execute(WAITING)
            assert [both.reads(bob, both.all[0]).status for _ in range(3)] == [503] * 3
            assert primary.execute(WAITING) == waiting, "no more commits wait at the server"
            standby.start()
            with Reading(both, alice) as reading, Reading(both, bob) as also:
                reading.until(200)
                also.until(200)
            reading.is_sound()
            also.is_sound()


def test_looking_for_a_commit_leaves_no_more_than_one_connection_behind(
    tmp_path: Path, server: Cluster, organisation: RawOrganisation
) -> None:
    """Its process at the server has been ended, its entry is there, and no standby is."""
    organisation.reset()
    server.start()
    server.create("looks")
    with served(tmp_path, server.url("looks"), count=1) as one, ThreadPoolExecutor(1) as pool:
        bank = Bank(one.world, organisation)
        assert one.reads(bank, one.all[0]).status == 200
        server.wait_for_standbys("nobody")
        try:
            waits = "FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND datname = 'looks'"
            call = pool.submit(one.reads, bank, one.all[0])
            until(lambda: server.execute(f"SELECT count(*) {waits} AND query = 'COMMIT'") != [(0,)], "it waits")
            assert call.result().status == 503
            server.execute(f"SELECT pg_terminate_backend(pid) {waits}")
            seen = []
            for _ in range(4):
                assert one.reads(bank, one.all[0]).status == 503
                seen.append(server.execute(f"SELECT count(*) {waits} AND application_name = 'aval'")[0][0])
        finally:
            server.wait_for_standbys("")
        assert max(seen) - seen[0] <= 1, seen
        until(lambda: one.reads(bank, one.all[0]).status == 200, "all is well again")
    server.drop("looks")
