"""No record, no data: the entry is on the disk first, and without the log nothing is given."""

import asyncio
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Unavailable
from gateway.ledger import sqlite
from gateway.ledger.contract import Item, Verdict
from gateway.log import Event, Log
from tests.proxy.bank import NOON, Bank
from tests.proxy.proxy_world import World
from tests.proxy.raw import RawOrganisation


def test_the_entry_can_be_read_by_others_before_the_answer_arrives(bank: Bank) -> None:
    for number in range(1, 20):
        assert bank.reads().status == 200
        other = bank.world.house.store.connect()
        found = other.execute("SELECT count(*) FROM logentry WHERE person_id = ?", (bank.person,)).fetchone()
        other.close()
        assert found == (number,)


@pytest.mark.inside
def test_without_the_log_nothing_is_given_and_nothing_is_counted(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.agrees(frequency=[{"times": 1, "per": "day", "zone": NOON}])

    def broken(*_: object) -> None:
        raise Unavailable("database: disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Log, "sealed", broken)
        found = bank.reads()
        assert found.status == 503 and found.headers["retry-after"]
        assert b"canary" not in found.body and b"Amount" not in found.body
    assert bank.reads().status == 200


@pytest.mark.sqlite
def test_what_may_not_be_on_the_disk_is_never_given(
    tmp_path: Path, organisation: RawOrganisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed sync the next one says nothing about what was lost: nothing is given until a restart."""
    synced: list[int] = []

    def broken(file: int) -> None:
        synced.append(file)
        raise OSError(5, "Input/output error")

    with World(tmp_path).serving() as world:
        bank = Bank(world, organisation)
        assert bank.reads().status == 200
        with monkeypatch.context() as patched:
            patched.setattr(sqlite, "_fdatasync", broken)
            with ThreadPoolExecutor(5) as pool:
                found = [each.result() for each in [pool.submit(bank.reads) for _ in range(5)]]
            assert {each.status for each in found} == {503}
            assert not any(b"canary" in each.body or b"Amount" in each.body for each in found)
        assert bank.reads().status == 503 and len(synced) == 1


@pytest.mark.inside
@pytest.mark.sqlite
def test_the_log_is_synced_after_the_entry_and_before_the_answer(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    sync, append = sqlite._fdatasync, Log.append_all

    def synced(file: int) -> None:
        seen = Path(f"/proc/self/fd/{file}").resolve()
        assert seen == bank.world.house.store.wal.resolve()
        sync(file)
        done.append("synced")

    def appended(self: Log, *rest: Any) -> None:
        append(self, *rest)
        done.append("written")

    monkeypatch.setattr(sqlite, "_fdatasync", synced)
    monkeypatch.setattr(Log, "append_all", appended)
    assert bank.reads().status == 200
    assert done == ["written", "synced"]


@pytest.mark.sqlite
@pytest.mark.parametrize("who", ["a page of ours", "another process"])
def test_a_call_waits_for_whoever_writes(bank: Bank, who: str) -> None:
    store = bank.world.house.store
    other = store.connect()
    if who == "a page of ours":
        store.lock.acquire()
    else:
        other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(bank.reads) for _ in range(3)]
        time.sleep(0.3)
        waiting = [call.done() for call in calls]
        if who == "a page of ours":
            store.lock.release()
        else:
            other.execute("ROLLBACK")
        assert [call.result().status for call in calls] == [200] * 3
    other.close()
    assert waiting == [False] * 3


@pytest.mark.sqlite
def test_a_call_does_not_wait_for_ever(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    other = bank.world.house.store.connect()
    other.execute("BEGIN IMMEDIATE")
    found = bank.reads()
    other.execute("ROLLBACK")
    other.close()
    assert found.status == 503 and found.headers["retry-after"]
    assert bank.reads().status == 200


@pytest.mark.sqlite
def test_a_stop_by_another_process_holds_from_the_next_call(bank: Bank) -> None:
    """What was read is kept only while nobody else has written."""
    assert [bank.reads().status for _ in range(3)] == [200] * 3
    ends = (
        "import sys, pathlib; from gateway.ground.store.sqlite.engine import connect;"
        "end = \"UPDATE consent SET state = 'ended', generation = generation + 1\";"
        "connect(pathlib.Path(sys.argv[1])).execute(end)"
    )
    subprocess.run([sys.executable, "-c", ends, str(bank.world.settings.database)], check=True)
    assert bank.reads().status == 403


@pytest.mark.inside
def test_one_entry_that_cannot_be_written_does_not_take_the_others_with_it(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, world: World, organisation: RawOrganisation
) -> None:
    other = Bank(world, organisation)
    whole = type(world.house.log).sealed

    def broken(self, events, heads):  # type: ignore[no-untyped-def]
        if any(event.person == other.person for event in events):
            raise ZeroDivisionError("this one")
        return whole(self, events, heads)

    monkeypatch.setattr(type(world.house.log), "sealed", broken)
    with ThreadPoolExecutor(20) as pool:
        good = [pool.submit(bank.reads) for _ in range(15)]
        bad = [pool.submit(other.reads) for _ in range(5)]
        assert {each.result().status for each in good} == {200}
        assert {each.result().status for each in bad} == {500}
    assert len(bank.log()) == 15


def test_chains_stay_whole_when_pages_and_calls_write_at_once(bank: Bank) -> None:
    from gateway.log import Event

    def page() -> None:
        with bank.world.house.store.write() as session:
            bank.world.house.log.record(session, Event("sign_in", bank.person, bank.world.clock()))

    with ThreadPoolExecutor(12) as pool:
        calls = [pool.submit(bank.reads) for _ in range(60)]
        pages = [pool.submit(page) for _ in range(60)]
        assert {each.result().status for each in calls} == {200}
        for each in pages:
            each.result()
    entries = bank.log()
    assert [entry["user_seq"] for entry in entries] == list(range(1, 121))
    from gateway.log.record import canonical, commitment

    connection = bank.world.house.store.connect()
    rows = connection.execute("SELECT salt, commitment FROM logentry WHERE person_id = ? ORDER BY seq", (bank.person,))
    previous = bytes(32)
    for entry, (salt, committed) in zip(entries, rows.fetchall(), strict=True):
        assert entry["user_prev"] == previous.hex()
        assert commitment(salt, canonical(entry)) == committed
        previous = committed
    connection.close()


def test_nothing_is_served_before_the_writer_runs(tmp_path: Path, organisation: RawOrganisation) -> None:
    import asyncio

    world = World(tmp_path)
    bank = Bank(world, organisation)
    said: list[dict[str, object]] = []

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.disconnect"}

    scope = {
        "type": "http", "method": "GET", "http_version": "1.1", "path": bank.path, "raw_path": bank.path.encode(),
        "query_string": b"", "client": ("127.0.0.1", 1),
        "headers": [
            (b"host", world.settings.host_header.encode()), (b"authorization", f"Bearer {bank.token}".encode())
        ],
    }  # fmt: skip
    asyncio.run(world.application()(scope, receive, send))
    assert said[0]["status"] == 503
    world.house.store.close()


def test_one_entry_that_cannot_be_written_fails_alone(bank: Bank) -> None:
    """Of a hundred in one batch, each with a name of its own but for two."""
    world, now = bank.world, bank.world.clock()
    assert bank.reads().status == 200

    async def written() -> list[object]:
        items = [
            Item(Event("access", bank.person, now, "app", {"outcome": "begun"}), opens=f"{bank.id} {max(number, 1)}")
            for number in range(100)
        ]
        return await asyncio.gather(*map(world.plane.writer.commit, items), return_exceptions=True)

    found = asyncio.run_coroutine_threadsafe(written(), world.loop).result(30)
    assert found[2:] == [Verdict.WRITTEN] * 98
    assert sorted(isinstance(each, Exception) for each in found[:2]) == [False, True], found[:2]
    assert [entry["user_seq"] for entry in world.entries(bank.person)] == list(range(1, 101))
