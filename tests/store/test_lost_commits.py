"""A commit that was not answered: what is found afterwards is believed when the synchronous standby has it, too."""

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from gateway.app import build_house
from gateway.errors import Unavailable
from gateway.ground.store import migrate
from gateway.house import House
from gateway.ledger.contract import Item, Verdict
from gateway.ledger.postgres import PostgresLedger
from gateway.ledger.writer import Writer
from gateway.log import Event
from gateway.settings import Settings
from tests.postgres import Cluster, Standby, until

pytestmark = pytest.mark.postgres
COUNT = "SELECT count(*) FROM logentry WHERE person_id = 'bob'"
WAITS = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"


def event(person: str) -> Event:
    """Each test has keys of its own, so each writes of another person."""
    return Event("clock_back", person, datetime.now(UTC), "system", {"clock_before": "then"})


@pytest.fixture
def house(pair: tuple[Cluster, Standby], tmp_path: Path) -> Iterator[House]:
    made = build_house(
        Settings(database_url=pair[0].url("aval"), data_dir=tmp_path, keys_dir=tmp_path.parent / "keys"),
        create_keys=True,
    )
    yield made
    made.store.close()


def crashed_in_commit(primary: Cluster) -> threading.Thread:
    """As soon as a commit waits for the standby, the primary crashes and comes back, and shows what it had written."""

    def crash() -> None:
        until(lambda: bool(primary.execute(WAITS)), "a commit waits for the standby")
        primary.restart("immediate")

    thread = threading.Thread(target=crash)
    thread.start()
    return thread


def test_what_the_standby_has_not_is_not_told_as_written(pair: tuple[Cluster, Standby], house: House) -> None:
    primary, standby = pair

    async def calls() -> None:
        writer = Writer(PostgresLedger(house.store, house.log))  # type: ignore[arg-type]
        await writer.start(asyncio.get_running_loop())
        assert await writer.commit(Item(event("alice"))) is Verdict.WRITTEN
        standby.stop("immediate")
        crash = crashed_in_commit(primary)
        with pytest.raises(Unavailable):
            await writer.commit(Item(event("alice")))
        crash.join()
        standby.start()
        assert await writer.commit(Item(event("alice"))) is Verdict.WRITTEN
        await writer.stop()

    asyncio.run(calls())


def cancelled_in_commit(primary: Cluster) -> threading.Thread:
    """As soon as a commit waits for the standby, somebody tells it not to."""
    cancelled = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    thread = threading.Thread(target=until, args=(lambda: bool(primary.execute(cancelled)), "a commit waits"))
    thread.start()
    return thread


def test_a_commit_told_not_to_wait_for_its_standby_is_not_told_as_done_whatever_the_role_was_set_to(
    pair: tuple[Cluster, Standby], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ground.store.postgres.patient.COMMIT_SECONDS", 2.0)
    primary, standby = pair
    primary.execute("ALTER ROLE postgres SET client_min_messages = error")
    url = primary.url("aval", options="-cclient_min_messages=error")
    settings = Settings(database_url=url, data_dir=tmp_path, keys_dir=tmp_path.parent / "keys")
    house = build_house(settings, create_keys=True)

    async def calls() -> None:
        writer = Writer(PostgresLedger(house.store, house.log))  # type: ignore[arg-type]
        await writer.start(asyncio.get_running_loop())
        assert await writer.commit(Item(event("frank"))) is Verdict.WRITTEN
        standby.stop("immediate")
        cancelling = cancelled_in_commit(primary)
        with pytest.raises(Unavailable, match="not to wait for a standby"):
            await writer.commit(Item(event("frank")))
        cancelling.join()
        await writer.stop()

    try:
        asyncio.run(calls())
        cancelling = cancelled_in_commit(primary)
        with pytest.raises(Unavailable, match="nobody knows whether"), house.store.write() as session:
            house.log.record(session, event("grace"))
        cancelling.join()
    finally:
        if not standby.running:
            standby.start()  # first: the next commit waits for it
        primary.execute("ALTER ROLE postgres RESET client_min_messages")
        house.store.close()


def test_a_page_waits_until_the_standby_has_it(pair: tuple[Cluster, Standby], house: House) -> None:
    primary, standby = pair
    standby.stop("immediate")
    [(before,)] = primary.execute(COUNT, "aval")
    done: list[object] = []

    def page() -> None:
        try:
            with house.store.write() as session:
                house.log.record(session, event("bob"))
            done.append(standby.running)
        except Unavailable:
            done.append("not now")

    crash = crashed_in_commit(primary)
    writing = threading.Thread(target=page)
    writing.start()
    crash.join()
    time.sleep(1)
    assert not done
    standby.start()
    writing.join()
    assert done == [True]
    assert before == 0 and standby.execute(COUNT, "aval") == [(1,)]


def test_what_was_not_committed_is_known_at_once(pair: tuple[Cluster, Standby], house: House) -> None:
    primary, _ = pair
    connection = house.store.connect()

    def work(writing: object) -> None:
        house.log.append(connection, event("carol"))
        (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone()
        primary.execute(f"SELECT pg_terminate_backend({pid}, 5000)")

    began = time.monotonic()
    with pytest.raises(Unavailable, match="AdminShutdown|OperationalError"):
        house.store.batch(connection, work)
    assert time.monotonic() - began < 3


def test_of_many_who_wait_for_a_server_that_is_gone_the_last_waits_as_long_as_the_first(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(_parameters: object) -> None:
        await asyncio.sleep(0.2)
        raise TimeoutError

    async def calls() -> None:
        ledger = PostgresLedger(house.store, house.log)  # type: ignore[arg-type]
        began = time.monotonic()
        asked = [ledger.used([("consent", "item", "day", number)]) for number in range(20)]
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(each) for each in found} == {Unavailable}
        assert time.monotonic() - began < 1

    monkeypatch.setattr("gateway.ledger.postgres_reading.connected", gone)
    asyncio.run(calls())


def test_a_server_that_stands_still_is_waited_for_once(
    pair: tuple[Cluster, Standby], house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    primary, _ = pair
    monkeypatch.setattr("gateway.ground.store.postgres.native.COMMAND_SECONDS", 2.0)

    async def calls() -> None:
        writer = Writer(PostgresLedger(house.store, house.log))  # type: ignore[arg-type]
        await writer.start(asyncio.get_running_loop())
        assert await writer.commit(Item(event("dora"))) is Verdict.WRITTEN
        primary.pause()
        began = time.monotonic()
        try:
            with pytest.raises(Unavailable):
                await writer.commit(Item(event("dora")))
            assert time.monotonic() - began < 3.5
        finally:
            primary.resume()
        assert await writer.commit(Item(event("dora"))) is Verdict.WRITTEN
        await writer.stop()

    asyncio.run(calls())


def test_a_stream_has_one_outcome_also_when_one_batch_has_two(pair: tuple[Cluster, Standby], house: House) -> None:
    async def calls() -> None:
        writer = Writer(PostgresLedger(house.store, house.log))  # type: ignore[arg-type]
        await writer.start(asyncio.get_running_loop())
        await writer.commit(Item(event("erin"), opens="s"))
        both = await asyncio.gather(*(writer.commit(Item(event("erin"), closes="s")) for _ in range(2)))
        assert both == [Verdict.WRITTEN, Verdict.CLOSED]
        await writer.stop()

    asyncio.run(calls())


def test_who_migrates_at_the_same_moment_waits_however_long_it_takes(pair: tuple[Cluster, Standby]) -> None:
    primary, _ = pair
    primary.create("later")
    with psycopg.connect(primary.url("later")) as first:
        first.execute("SELECT pg_advisory_xact_lock(7262006)")
        over = threading.Timer(1.0, first.rollback)
        over.start()
        migrate.upgrade(Settings(database_url=primary.url("later", options="-clock_timeout=300")))
        over.join()
