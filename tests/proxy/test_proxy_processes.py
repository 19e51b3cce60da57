"""Several processes, one database: what one of them is told holds in all."""

import asyncio
import contextlib
import os
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import psycopg
import pytest

from gateway.consent.rules import Act
from gateway.errors import Unavailable
from gateway.ground.store import migrate
from gateway.ground.store.contract import key_of
from gateway.ground.store.postgres import notices
from gateway.ground.store.postgres.engine import PostgresStore
from gateway.ledger.contract import Count, Item, Verdict
from gateway.ledger.postgres import PostgresLedger
from gateway.ledger.writer import Writer
from gateway.log import Event
from gateway.log.record import person_turn
from gateway.organisations import declare, links
from gateway.settings import Settings
from tests.postgres import Cluster, TcpFaults, until
from tests.proxy.bank import NATIVE, NOON, Bank
from tests.proxy.endings import REASONS, ends
from tests.proxy.held_key import Key
from tests.proxy.processes import Processes, served
from tests.proxy.proxy_world import World
from tests.proxy.raw import Exchange, RawOrganisation, answer, transactions
from tests.proxy.supplier import KIND, Supplier, pieces

RACES = int(os.environ.get("RACES", "60"))  # 1,000 in the long run
AT_ONCE = 20

pytestmark = pytest.mark.postgres


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
    bank = Bank(processes.world, organisation).agrees(frequency=[{"times": 7, "per": "day", "zone": NOON}])
    with ThreadPoolExecutor(10) as pool:
        calls = [pool.submit(processes.reads, bank, processes.all[number % 2]) for number in range(30)]
        statuses = sorted(call.result().status for call in calls)
    assert statuses == [200] * 7 + [429] * 23


@pytest.fixture
def feed(processes: Processes, organisation: RawOrganisation) -> Iterator[Supplier]:
    """What is asked of it is larger than is held, so it is given as a stream."""
    organisation.reset()
    organisation.says(0.1, answer(b"".join(pieces(20, 96)), kind=KIND))
    yield Supplier(processes.world, organisation)


def test_a_limit_of_uses_is_one_for_the_streams_of_all_processes(processes: Processes, feed: Supplier) -> None:
    feed.agrees(frequency=[{"times": 3, "per": "day", "zone": NOON}])
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda number: processes.reads(feed, processes.all[number % 2]), range(10)))
    assert sorted(each.status for each in answers) == [200] * 3 + [429] * 7
    assert {each.reason for each in answers if each.status == 429} == {"frequency"}
    until(lambda: set(_outcomes(processes, feed)) == {"begun", "delivered"}, "their outcomes are written")


def test_a_proof_works_once_for_all_processes_also_for_a_stream(processes: Processes, feed: Supplier) -> None:
    key = Key()
    token = processes.world.token(feed.consent, [feed.id], feed.app, cnf={"jkt": key.thumbprint})
    fields = {"Authorization": f"DPoP {token}", "DPoP": key.proof(feed, token)}
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda at: processes.reads(feed, at, **fields), processes.all))
    given, refused = sorted(answers, key=lambda each: each.status)
    assert (given.status, refused.status) == (200, 401)
    assert 'error="invalid_dpop_proof"' in refused.headers["www-authenticate"]


def test_a_sharing_for_one_use_is_used_once(processes: Processes, organisation: RawOrganisation) -> None:
    for _ in range(5):
        organisation.reset()
        bank = Bank(processes.world, organisation).agrees(once=True)
        with ThreadPoolExecutor(8) as pool:
            calls = [pool.submit(processes.reads, bank, processes.all[number % 2]) for number in range(8)]
            statuses = sorted(call.result().status for call in calls)
        assert statuses == [200] + [403] * 7
        assert [kind for kind in processes.world.kinds(bank.person) if kind != "denied"] == ["access", "consent_ended"]


@pytest.fixture
def clashes(processes: Processes, postgres: Cluster) -> Iterator[None]:
    """Of two transactions that write an entry the first is undone, as if it had been in the way of another."""
    for statement in (
        "CREATE SEQUENCE clashes",
        "CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('clashes') % 2 = 1 THEN RAISE EXCEPTION 'in the way' USING ERRCODE = '40P01'; END IF;"
        " RETURN NULL; END $$",
        "CREATE TRIGGER clash AFTER INSERT ON logchain FOR EACH STATEMENT EXECUTE FUNCTION clash()",
    ):
        postgres.execute(statement, "processes")
    yield
    postgres.execute("DROP TRIGGER clash ON logchain", "processes")
    postgres.execute("DROP FUNCTION clash", "processes")
    postgres.execute("DROP SEQUENCE clashes", "processes")


@pytest.mark.parametrize("once", [False, True], ids=["often", "once"])
def test_a_call_that_another_transaction_was_in_the_way_of_is_written_again(
    processes: Processes, organisation: RawOrganisation, clashes: None, once: bool
) -> None:
    organisation.reset()
    bank = Bank(processes.world, organisation).agrees(once=once)
    assert processes.reads(bank, processes.all[0]).status == 200
    kinds = ["access", "consent_ended"] if once else ["access"]
    assert processes.world.kinds(bank.person) == kinds


def test_entries_of_all_processes_are_one_chain(processes: Processes, organisation: RawOrganisation) -> None:
    organisation.reset()
    bank = Bank(processes.world, organisation)
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(processes.reads, bank, processes.all[number % 2]) for number in range(200)]
        assert {call.result().status for call in calls} == {200}
    assert [entry["user_seq"] for entry in processes.world.entries(bank.person)] == list(range(1, 201))


# ---- what is remembered, and what is on its way


@pytest.fixture(params=["notices", "no notices"])
def noticed(request: pytest.FixtureRequest, processes: Processes, postgres: Cluster) -> Iterator[str]:
    """With and without the notices by which processes tell one another: nothing may rest on them."""
    tables = ("consent", "tokenfamily", "link", "person", "directory") if request.param == "no notices" else ()
    for table in tables:
        postgres.execute(f"ALTER TABLE {table} DISABLE TRIGGER aval_notice", "processes")
    yield request.param
    for table in tables:
        postgres.execute(f"ALTER TABLE {table} ENABLE TRIGGER aval_notice", "processes")


def test_a_stop_holds_from_the_next_call_in_every_process(
    processes: Processes, organisation: RawOrganisation, noticed: str
) -> None:
    organisation.reset()
    bank = Bank(processes.world, organisation)
    assert [processes.reads(bank, at).status for at in processes.all * 2] == [200] * 4
    processes.stops(bank)
    organisation.seen.clear()
    answers = [processes.reads(bank, at) for at in processes.all * 2]
    assert [(each.status, each.reason) for each in answers] == [(403, "ended")] * 4
    if noticed == "notices":
        assert organisation.seen == []


@pytest.mark.parametrize("how", REASONS)
def test_whoever_was_told_of_an_end_knows_that_every_process_has_heard_of_it(
    processes: Processes, organisation: RawOrganisation, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    organisation.reset()
    bank = Bank(processes.world, organisation)
    assert [processes.reads(bank, at).status for at in processes.all] == [200] * 2
    heard: list[bool] = []
    asked = notices._all_heard
    monkeypatch.setattr(notices, "_all_heard", lambda *given: heard.append(asked(*given)) or heard[-1])
    ends(processes.world, bank, how)
    assert heard == [True]
    organisation.seen.clear()
    assert [processes.reads(bank, at).status for at in processes.all] == [403] * 2
    assert organisation.seen == []
    with processes.world.house.store.write() as session:
        declare.resume(session, bank.id, processes.world.clock())


def test_a_process_that_hears_nothing_asks_no_organisation_after_the_stop_was_told(
    processes: Processes, organisation: RawOrganisation, postgres: Cluster
) -> None:
    """Its way to the database carries nothing any more, and it has not noticed yet."""
    organisation.reset()
    bank = Bank(processes.world, organisation)
    with TcpFaults(postgres.port) as faults:
        deaf = processes.started(database_url=faults.url(processes.url))
        try:
            assert processes.reads(bank, deaf).status == 200
            faults.hold()
            processes.stops(bank)
            organisation.seen.clear()
            assert processes.reads(bank, deaf).status == 503
            assert organisation.seen == []
        finally:
            faults.release()
            deaf.ends()


def test_what_is_resumed_is_given_again_at_once(
    processes: Processes, organisation: RawOrganisation, noticed: str
) -> None:
    """A refusal is told by what the database holds now, never by what is remembered."""
    organisation.reset()
    bank = Bank(processes.world, organisation)
    for act, status in ((Act.PAUSED, 403), (Act.RESUMED, 200), (Act.PAUSED, 403), (Act.RESUMED, 200)):
        processes.world.change(bank.consent, act)
        assert [processes.reads(bank, at).status for at in processes.all] == [status] * 2


def test_a_suspended_organisation_gives_nothing_from_the_next_call(
    processes: Processes, organisation: RawOrganisation, noticed: str
) -> None:
    organisation.reset()
    bank = Bank(processes.world, organisation)
    assert [processes.reads(bank, at).status for at in processes.all] == [200] * 2
    processes.world.run("UPDATE organisation SET status = 'suspended' WHERE id = :id", id=bank.id)
    assert [processes.reads(bank, at).status for at in processes.all] == [403] * 2
    processes.world.run("UPDATE organisation SET status = 'active' WHERE id = :id", id=bank.id)
    assert [processes.reads(bank, at).status for at in processes.all] == [200] * 2


def test_a_running_stream_is_cut_in_every_process(
    processes: Processes, organisation: RawOrganisation, noticed: str
) -> None:
    async def feeds(exchange: Exchange) -> None:
        await exchange.say(f"HTTP/1.1 200 OK\r\nContent-Type: {KIND}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            for piece in pieces(600, 720):
                await exchange.say(b"%x\r\n%b\r\n" % (len(piece), piece), 0.02)
            await exchange.say(b"0\r\n\r\n")

    organisation.reset()
    organisation.behaviour = feeds
    supplier = Supplier(processes.world, organisation)
    with contextlib.ExitStack() as streams:
        running = [streams.enter_context(processes.opened(supplier, at)) for at in processes.all]
        for connection in running:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        processes.stops(supplier)
        for connection in running:
            while connection.recv(2**20):
                continue
    until = time.monotonic() + 10
    while (outcomes := _outcomes(processes, supplier)).count("stopped") < 2 and time.monotonic() < until:
        time.sleep(0.05)
    assert sorted(outcomes) == ["begun", "begun", "stopped", "stopped"]


def _outcomes(processes: Processes, bank: Bank) -> list[str]:
    return [str(each["outcome"]) for each in processes.world.entries(bank.person) if "outcome" in each]


@pytest.mark.parametrize("once", [False, True], ids=["often", "once"])
def test_a_person_who_is_busy_holds_up_nobody_else(
    processes: Processes, organisation: RawOrganisation, once: bool
) -> None:
    """Her turn is held by somebody: her own call waits for it, other people's do not."""
    organisation.reset()
    alice, bob = (Bank(processes.world, organisation) for _ in range(2))
    alice.agrees(once=once)
    at, house = processes.all[0], processes.world.house
    assert processes.reads(bob, at).status == 200
    with ThreadPoolExecutor(8) as pool:
        with house.store.write() as session:
            house.log.turn(session, alice.person)
            hers = pool.submit(processes.reads, alice, at)
            time.sleep(0.3)
            others = [pool.submit(processes.reads, bob, at) for _ in range(6)]
            assert [call.result(timeout=15).status for call in others] == [200] * 6
            assert not hers.done()
        assert hers.result(timeout=15).status == 200
    assert processes.world.kinds(alice.person).count("access") == 1


def test_a_person_whose_turn_is_not_to_be_had_is_told_to_come_again(
    processes: Processes, organisation: RawOrganisation
) -> None:
    organisation.reset()
    alice = Bank(processes.world, organisation)
    house = processes.world.house
    with house.store.write() as session:
        house.log.turn(session, alice.person)
        answer = processes.reads(alice, processes.all[0])
        assert answer.status == 503 and answer.headers["retry-after"]
    assert processes.reads(alice, processes.all[0]).status == 200
    assert processes.world.kinds(alice.person).count("access") == 1


def test_many_calls_that_end_their_consents_hold_up_nobody_else(
    processes: Processes, organisation: RawOrganisation
) -> None:
    organisation.reset()
    mallory, bob = (Bank(processes.world, organisation) for _ in range(2))
    at, house, tokens = processes.all[0], processes.world.house, []
    for _ in range(30):
        mallory.agrees(once=True)
        tokens.append(mallory.token)
    assert processes.reads(bob, at).status == 200
    with ThreadPoolExecutor(30) as pool:
        with house.store.write() as session:
            house.log.turn(session, mallory.person)
            hers = [pool.submit(processes.reads, mallory, at, Authorization=f"Bearer {token}") for token in tokens]
            time.sleep(0.3)
            end, given = time.monotonic() + 2.0, 0
            while time.monotonic() < end:
                given += processes.reads(bob, at).status == 200
            assert not any(call.done() for call in hers)
        assert {call.result(timeout=15).status for call in hers} <= {200, 503}
    assert given > 4, "each of his calls waited for hers"


def test_the_limit_that_is_told_is_the_one_that_is_used_up(
    processes: Processes, organisation: RawOrganisation, postgres: Cluster
) -> None:
    """Each process has counted a use that the other has not seen. No other limit is taken for used up."""
    organisation.reset()
    limits = [{"times": 2, "per": "day", "zone": NOON}, {"times": 50, "per": "month", "zone": "UTC"}]
    bank = Bank(processes.world, organisation).agrees(frequency=limits)
    one, other = processes.all
    assert [processes.reads(bank, at).status for at in (one, other)] == [200, 200]
    for at in (one, one, other):
        refused = processes.reads(bank, at)
        assert (refused.status, refused.json["allowed"]) == (429, "2 per day"), refused.body
    statement = f"""UPDATE "use" SET used = 1 WHERE "window" = 'day' AND consent_id = '{bank.consent}'"""
    postgres.execute(statement, "processes")
    assert [processes.reads(bank, at).status for at in (other, one)] == [200, 429]


def test_a_call_waits_for_who_is_at_the_tables(
    processes: Processes, organisation: RawOrganisation, postgres: Cluster
) -> None:
    """Such as whoever prepares the months to come. The time that a call has for a turn is not the time for this."""
    organisation.reset()
    bank = Bank(processes.world, organisation)
    assert processes.reads(bank, processes.all[0]).status == 200
    with ThreadPoolExecutor(1) as pool, psycopg.connect(postgres.url("processes")) as at_work:
        at_work.execute("LOCK TABLE logentry IN SHARE ROW EXCLUSIVE MODE")
        call = pool.submit(processes.reads, bank, processes.all[0])
        time.sleep(0.8)
        assert not call.done()
        at_work.rollback()
        assert call.result(timeout=15).status == 200


# ---- what two of them must not both do

RENEWED = b'{"access_token": "renewed", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "rotated"}'


def _expire(bank: Bank) -> None:
    keys = bank.world.house.keys
    with bank.world.house.store.write() as session:
        link = links.current(session, bank.person, bank.id)
        assert link is not None
        held = links.credentials(keys, link)
        assert held is not None
        assert links.store_credentials(session, keys, link.id, held, replace(held, expires_at=0))


def test_a_credential_is_renewed_by_one_of_them_and_used_by_both(
    processes: Processes, organisation: RawOrganisation
) -> None:
    """Two renewals with one refresh token would end the link."""
    organisation.reset()
    bank = Bank(processes.world, organisation)
    _expire(bank)

    async def behave(exchange: Exchange) -> None:
        if exchange.target != "/oauth/token":
            await exchange.say(answer(transactions(NATIVE)))
            return
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(RENEWED)
        await exchange.say(0.5, head + RENEWED)

    organisation.behaviour = behave
    with ThreadPoolExecutor(8) as crowd:
        answers = list(crowd.map(lambda n: processes.reads(bank, processes.all[n % 2]), range(8)))
    assert [each.status for each in answers] == [200] * 8
    assert sum(each.target == "/oauth/token" for each in organisation.seen) == 1
    assert processes.world.row("SELECT count(*) FROM lease") == (0,)


@pytest.mark.parametrize("once", [False, True], ids=["often", "once"])
def test_a_row_that_somebody_has_locked_holds_up_nobody_else(
    processes: Processes, organisation: RawOrganisation, postgres: Cluster, once: bool
) -> None:
    """Such as a process that stands still while it renews her link's credentials, for which it takes no turn."""
    organisation.reset()
    alice, bob = (Bank(processes.world, organisation) for _ in range(2))
    alice.agrees(once=once)
    at = processes.all[0]
    assert processes.reads(bob, at).status == 200
    with ThreadPoolExecutor(1) as pool, psycopg.connect(postgres.url("processes")) as at_work:
        at_work.execute("SELECT 1 FROM link WHERE person_id = %s FOR UPDATE", [alice.person])
        hers = pool.submit(processes.reads, alice, at)
        time.sleep(0.3)
        assert [processes.reads(bob, at).status for _ in range(5)] == [200] * 5
        assert not hers.done()
        at_work.rollback()
        assert hers.result(timeout=15).status == 200


@pytest.mark.parametrize("there", [True, False], ids=["goes on", "gone"])
def test_after_a_commit_that_nobody_knows_others_go_on_when_its_process_is_gone(
    postgres: Cluster, organisation: RawOrganisation, tmp_path: Path, there: bool
) -> None:
    """Whoever has that person's turn by then: it is no more the commit's."""
    organisation.reset()
    postgres.create("unknown")
    migrate.upgrade(Settings(database_url=postgres.url("unknown")))
    world = World(tmp_path, database_url=postgres.url("unknown"))
    with psycopg.connect(postgres.url("unknown")) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [key_of(person_turn("alice"))])
        [backend] = other.execute("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")

        async def written() -> object:
            ledger = PostgresLedger(cast(PostgresStore, world.house.store), world.house.log)
            writer = Writer(ledger)
            await writer.start(asyncio.get_running_loop())
            ledger._commits.unanswered = (
                ("alice", 1, b"commitment"),
                backend if there else (backend[0], datetime.now(UTC)),
            )
            [found] = await asyncio.gather(
                writer.commit(Item(Event("sign_in", "bob", datetime.now(UTC)))), return_exceptions=True
            )
            await writer.stop()
            return found

        found = asyncio.run(written())
        assert isinstance(found, Unavailable) if there else found is Verdict.WRITTEN
    world.house.store.close()
    postgres.drop("unknown")


def test_who_was_judged_by_what_has_changed_takes_nobodys_last_use(
    postgres: Cluster, organisation: RawOrganisation, tmp_path: Path
) -> None:
    organisation.reset()
    postgres.create("last_use")
    migrate.upgrade(Settings(database_url=postgres.url("last_use")))
    world = World(tmp_path, database_url=postgres.url("last_use"))
    bank = Bank(world, organisation)

    async def written() -> list[Verdict]:
        ledger = PostgresLedger(cast(PostgresStore, world.house.store), world.house.log)
        writer = Writer(ledger)
        await writer.start(asyncio.get_running_loop())
        standing = await ledger.standing(bank.consent, f"family-{bank.consent}", bank.id)
        assert standing is not None
        before = replace(standing, row=(*standing.row[:4], -1, *standing.row[5:]))
        count = Count((bank.consent, "item", "day", 0), 1, 1)
        event = Event("access", bank.person, datetime.now(UTC), "app", {"consent": bank.consent})
        items = [Item(event, each, counts=(count,)) for each in (before, standing, standing)]
        found = await asyncio.gather(*map(writer.commit, items))
        await writer.stop()
        return found

    assert asyncio.run(written()) == [Verdict.CHANGED, Verdict.WRITTEN, Verdict.USED_UP]
    world.house.store.close()
    postgres.drop("last_use")
