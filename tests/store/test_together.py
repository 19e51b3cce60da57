"""What processes must agree on, the same on both engines: tries, leases, who lives, who leads."""

import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway import app, retention
from gateway.errors import Unavailable
from gateway.ground.pools import within
from gateway.ground.store import Store, pruning, raw, together, turn
from gateway.ground.store.postgres import months
from gateway.ground.store.postgres.address import parameters, shown
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ground.store.sqlite.engine import SqliteStore
from gateway.ground.store.together import AtMost, Leases, Together, Tries
from gateway.settings import Settings
from tests.callers import TestClient
from tests.databases import entries, migrated
from tests.postgres import Cluster

Opens = Callable[[], Store]
MINUTE = 60

pytestmark = pytest.mark.postgres  # and SQLite beside it


@pytest.fixture
def opens_postgres(migrated_database: str) -> Iterator[Opens]:
    """Each call opens the same database as another process would."""
    where, given = shown(migrated_database), parameters(migrated_database)
    yield from _opening(lambda: PostgresStore(where, given, connections=20))


@pytest.fixture(params=["sqlite", "postgres"])
def opens(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opens]:
    if request.param == "postgres":
        yield request.getfixturevalue("opens_postgres")
        return
    path = tmp_path / "aval.sqlite3"
    _migrated(path)
    yield from _opening(lambda: SqliteStore(path, fsync=False))


def _migrated(path: Path) -> None:
    settings = Settings(data_dir=path.parent)
    settings.__dict__["database_url"] = ""  # also where all other tests are on PostgreSQL
    migrated(settings)


def _opening(opened: Opens) -> Iterator[Opens]:
    stores: list[Store] = []

    def another() -> Store:
        stores.append(opened())
        return stores[-1]

    yield another
    for store in stores:
        store.close()


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def rows(store: Store, statement: str) -> list[Any]:
    with store.read() as session:
        return [tuple(row) for row in raw(session).execute(statement).fetchall()]


def eventually(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + 20
    while not (found := true()) and time.monotonic() < until:
        time.sleep(0.02)
    return found


# ---- tries


def test_exactly_as_many_tries_pass_as_the_limit_says_however_many_come_at_once(opens: Opens) -> None:
    processes = [Tries(opens()), Tries(opens())]
    limits = (AtMost(7, MINUTE), AtMost(100, 60 * MINUTE))
    with ThreadPoolExecutor(20) as crowd:
        waits = list(crowd.map(lambda n: processes[n % 2].hit(limits, "one key"), range(20)))
    assert waits.count(0) == 7
    assert all(0 < wait <= MINUTE for wait in waits if wait)
    assert processes[0].hit(limits, "another key") == 0


def test_a_try_counts_until_it_is_as_old_as_the_window_and_no_longer(opens: Opens) -> None:
    clock = Clock()
    tries, limits = Tries(opens(), clock), (AtMost(2, MINUTE),)
    assert tries.hit(limits, "k") == 0
    clock.now += timedelta(seconds=30)
    assert tries.hit(limits, "k") == 0
    assert tries.hit(limits, "k") == tries.wait(limits, "k") == 31
    clock.now += timedelta(seconds=30.5)  # the first has faded, the second has not
    assert tries.wait(limits, "k") == 0
    assert tries.hit(limits, "k") == 0
    assert tries.hit(limits, "k") == 30
    clock.now += timedelta(seconds=29.6)
    assert tries.hit(limits, "k") == 0


def test_what_is_refused_is_not_counted_and_what_only_counts_is_never_refused(opens: Opens) -> None:
    clock = Clock()
    tries, limits = Tries(opens(), clock), (AtMost(1, MINUTE),)
    assert [tries.hit(limits, "k") for _ in range(3)] == [0, MINUTE, MINUTE]
    clock.now += timedelta(seconds=MINUTE + 1)
    for _ in range(3):
        tries.add("k", MINUTE)
    assert tries.wait(limits, "k") == MINUTE
    assert tries.take("k") == 3
    assert (tries.take("k"), tries.wait(limits, "k")) == (0, 0)


def test_tries_outlive_a_process(opens: Opens) -> None:
    first = opens()
    assert Tries(first).hit((AtMost(1, MINUTE),), "k") == 0
    first.close()
    assert Tries(opens()).hit((AtMost(1, MINUTE),), "k") > 0


def test_with_an_open_transaction_a_try_stands_and_falls(opens: Opens) -> None:
    store, limits = opens(), (AtMost(1, MINUTE),)
    tries = Tries(store)
    with pytest.raises(RuntimeError), store.write() as session:
        assert tries.hit(limits, "k", session) == 0
        assert tries.hit(limits, "k", session) > 0
        raise RuntimeError
    with store.write() as session:
        assert tries.hit(limits, "k", session) == 0
    assert tries.hit(limits, "k") > 0


def test_a_try_of_its_own_stays_counted_whatever_becomes_of_the_rest(opens: Opens) -> None:
    store, limits = opens(), (AtMost(1, MINUTE),)
    tries = Tries(store)
    with pytest.raises(RuntimeError), store.read() as _:
        assert tries.hit(limits, "k") == 0
        raise RuntimeError
    assert tries.hit(limits, "k") > 0


# ---- leases


def test_one_lease_at_a_time(opens: Opens) -> None:
    processes = [opens(), opens()]
    at_once, most = [0], [0]

    def renews(n: int) -> None:
        with Leases(processes[n % 2]).held("renewal") as held:
            assert held
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
            time.sleep(0.01)
            at_once[0] -= 1

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(renews, range(16)))
    assert most[0] == 1
    assert rows(processes[0], "SELECT * FROM lease") == []


def test_the_lease_of_a_process_that_died_ends(opens: Opens) -> None:
    clock = Clock()
    dead, living = Leases(opens(), clock), Leases(opens(), clock)
    assert dead.take("renewal") and not living.take("renewal")
    clock.now += timedelta(seconds=together.LEASE_SECONDS + 1)
    assert living.take("renewal")
    dead.give_back("renewal")  # it was only slow: the lease is another's by now
    assert not dead.take("renewal")


def test_nobody_waits_for_a_lease_longer_than_there_is_time(opens: Opens) -> None:
    store = opens()
    assert Leases(store).take("renewal")
    begun = time.monotonic()
    with within(0.2), Leases(store).held("renewal") as held:
        assert not held
    assert time.monotonic() - begun < 5


# ---- who lives, who leads


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(together, "LIVES_SECONDS", 1.0)


@contextlib.contextmanager
def serving(store: Store, told: Callable[[int], None] = lambda _: None) -> Iterator[Together]:
    process = Together(store, "1", told)
    process.start()
    try:
        yield process
    finally:
        process.stop()


def test_what_is_committed_stays_so_whatever_becomes_of_those_who_are_told(opens_postgres: Opens) -> None:
    store, told = opens_postgres(), []

    def fails(_: set[str]) -> None:
        raise RuntimeError("Event loop is closed")

    assert isinstance(store, PostgresStore)
    store.changed += [fails, told.append]
    with store.write() as session:
        turn(session, "person alice")
        raw(session).execute("INSERT INTO lease (id, holder, until) VALUES ('one', '', now())")
    with contextlib.closing(store.connect()) as connection:
        store.batch(
            connection,
            lambda writing: writing.execute("INSERT INTO lease (id, holder, until) VALUES ('two', '', now())"),
        )
    assert told == [{"person alice"}, set()]
    assert rows(store, "SELECT id FROM lease ORDER BY id") == [("one",), ("two",)]


def test_a_process_that_is_alone_asks_nobody(tmp_path: Path) -> None:
    _migrated(tmp_path / "aval.sqlite3")
    store = SqliteStore(tmp_path / "aval.sqlite3", fsync=False)
    with serving(store) as process:
        assert process.leads and process.sure
        assert process.living() == {store.process}
        assert process.count == 1
        assert rows(store, "SELECT * FROM process") == []
    store.close()


def test_processes_know_who_lives_and_who_left(opens_postgres: Opens, quick: None) -> None:
    first, second = opens_postgres(), opens_postgres()
    told: list[int] = []
    with serving(first, told.append) as one:
        with serving(second) as other:
            assert one.living() == other.living() == {first.process, second.process}
            assert eventually(lambda: one.count == 2)
        assert one.living() == {first.process}
        assert eventually(lambda: one.count == 1)
    assert told == [2, 1]
    assert rows(first, "SELECT * FROM process") == []


def test_a_process_that_falls_silent_lives_no_more(opens_postgres: Opens, quick: None) -> None:
    first, second = opens_postgres(), opens_postgres()
    dead = Together(second, "1")
    dead._say()  # and never again
    with serving(first) as one:
        assert second.process in one.living()
        assert eventually(lambda: one.living() == {first.process} and one.count == 1)
    dead.stop()


def test_one_process_leads_and_another_takes_over_when_it_is_gone(opens_postgres: Opens, quick: None) -> None:
    with serving(opens_postgres()) as one, serving(opens_postgres()) as other:
        assert one.leads and not other.leads
        time.sleep(0.3)
        assert one.leads and not other.leads
        one._stopped.set()
        assert one._lead is not None
        one._lead.close()
        assert eventually(lambda: other.leads)
        assert eventually(lambda: not one.leads)


def test_the_lead_is_taken_over_when_its_holder_falls_silent(opens_postgres: Opens) -> None:
    first, second = opens_postgres().lead("work"), opens_postgres().lead("work")
    assert first.taken() is not None and second.taken() is None
    assert eventually(lambda: second.taken() is not None)  # after four seconds
    assert first.taken() is None
    second.close()
    assert eventually(lambda: first.taken() is not None)  # the server may need a moment to end a session
    first.close()


def test_silence_means_nothing_after_the_database_was_away(
    opens_postgres: Opens, postgres: Cluster, quick: None
) -> None:
    """Nobody could be heard: that the others are silent does not mean that they have ended."""
    with serving(opens_postgres()) as one:
        assert not one.sure  # it has only just begun to listen
        assert eventually(lambda: one.sure)
        postgres.stop("immediate")
        assert eventually(lambda: not one.sure)
        time.sleep(1)
        with pytest.raises(Unavailable):
            one.living()
        postgres.start()
        assert not one.sure
        assert eventually(lambda: one.sure and one.leads)


def test_the_streams_of_a_process_that_ended_get_an_outcome_by_whoever_leads(
    migrated_database: str, tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "RECOVER_SECONDS", 0.1)
    settings = Settings(database_url=migrated_database, data_dir=tmp_path)
    house = app.build_house(settings, create_keys=True)
    store = house.store
    with store.write() as session:
        for process in ("ended", store.process):
            raw(session).execute(
                "INSERT INTO openstream (id, person_id, process, facts, begun_at) VALUES (?, ?, ?, ?, ?)",
                (process, "alice", process, '{"organisation": "bank"}', "2026-01-01 10:00:00.000000"),
            )
    with TestClient(app.Application(house), base_url=settings.public_url):
        assert len(rows(store, "SELECT * FROM openstream")) == 2  # it has not listened for long enough to know
        assert eventually(lambda: rows(store, "SELECT id FROM openstream") == [(store.process,)])
        assert rows(store, "SELECT count(*) FROM process") == [(1,)]
    assert [entry["outcome"] for entry in entries(house, "alice")] == ["unknown"]
    assert rows(store, "SELECT count(*) FROM process") == [(0,)]
    store.close()


# ---- months, and what leaves


def test_the_months_to_come_are_made_ready_while_others_write(opens_postgres: Opens) -> None:
    store = opens_postgres()
    made = [months.name_of(month) for month in months.upcoming(date(2031, 11, 1), months.AHEAD)]
    store.prepare_months(date(2031, 11, 1))
    store.prepare_months(date(2031, 11, 1))
    found = rows(store, "SELECT indexname FROM pg_indexes WHERE indexname LIKE 'logentry_203%_person_seq'")
    assert {name for (name,) in found} == {f"{name}_person_seq" for name in made}
    with store.write() as session:  # somebody writes in the log: what is there already is not waited for
        raw(session).execute("LOCK TABLE logentry IN ROW EXCLUSIVE MODE")
        begun = time.monotonic()
        opens_postgres().prepare_months(date(2031, 11, 1))
        with pytest.raises(Unavailable):
            opens_postgres().prepare_months(date(2032, 11, 1))
        assert time.monotonic() - begun < 10


def test_where_one_table_holds_all_months_nothing_is_made(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "aval.sqlite3", fsync=False)
    store.prepare_months(date(2031, 11, 1))
    store.close()


def test_what_processes_agreed_on_leaves_by_itself(opens: Opens) -> None:
    store, clock = opens(), Clock()
    Tries(store, clock).hit((AtMost(1, MINUTE),), "k")
    Leases(store, clock).take("renewal")
    with store.write() as session:
        for table in ("spentproof", "listing"):
            statement = f"INSERT INTO {table} (id, expires_at) VALUES (?, '2026-05-04 09:00:00.000000')"
            raw(session).execute(statement, (b"0" * 16,))
        raw(session).execute("INSERT INTO process VALUES ('p', '1', '2026-05-04 09:00:00.000000')")
    tables = ("try", "lease", "process", "spentproof", "listing")

    def left() -> list[int]:
        return [rows(store, f'SELECT count(*) FROM "{table}"')[0][0] for table in tables]

    pruning.prune(store, retention.LEAVING, clock.now - timedelta(seconds=1))
    assert left() == [1] * 5
    pruning.prune(store, retention.LEAVING, clock.now + timedelta(days=2))
    assert left() == [0] * 5
