"""No record, no data: the entry is on the disk first, and without the log nothing is given."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import Unavailable
from gateway.store.engine import Store
from tests.proxy.bank import Bank
from tests.proxy.raw import RawOrganisation
from tests.proxy.world import World


def test_the_entry_can_be_read_by_another_process_before_the_answer_arrives(bank: Bank) -> None:
    for number in range(1, 20):
        assert bank.reads().status == 200
        other = sqlite3.connect(f"file:{bank.world.settings.database}?mode=ro", uri=True)
        found = other.execute("SELECT count(*) FROM logentry WHERE person_id = ?", (bank.person,)).fetchone()
        other.close()
        assert found == (number,)


def test_without_the_log_nothing_is_given_and_nothing_is_counted(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    bank.agrees(frequency=[{"times": 1, "per": "day", "zone": "UTC"}])

    def broken(self: Store, connection: object, work: object) -> None:
        raise Unavailable("database: disk full")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "batch", broken)
        found = bank.reads()
        assert found.status == 503 and found.headers["retry-after"]
        assert b"canary" not in found.body and b"Amount" not in found.body
    assert bank.reads().status == 200


def test_one_entry_that_cannot_be_written_does_not_take_the_others_with_it(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, world: World, organisation: RawOrganisation
) -> None:
    other = Bank(world, organisation)
    whole = type(world.house.log).append_all

    def broken(self, connection, events, heads):  # type: ignore[no-untyped-def]
        events = list(events)
        if any(event.person == other.person for event in events):
            raise ZeroDivisionError("this one")
        whole(self, connection, events, heads)

    monkeypatch.setattr(type(world.house.log), "append_all", broken)
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
