"""Counting accesses: what tallies say is what the entries say, however they were written, and few are opened."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from log_cast import Clock

from gateway import retention
from gateway.ground.store import pruning, raw
from gateway.house import House
from gateway.log import Event, Log, reading
from gateway.log.tally import BLOCK, KEPT_DAYS, WINDOW, Tally
from tests.databases import everything

CONSENTS = ("consent-of-watt-coach", "consent-of-clear-budget", "consent-of-second-app", "")
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)


def access(at: datetime, consent: str = CONSENTS[0], person: str = "alice", kind: str = "access") -> Event:
    facts = {"client": "watt-coach", **({"consent": consent} if consent else {})}
    return Event(kind, person, at, "app", facts)


def written(house: House, events: list[Event]) -> None:
    """As one batch of calls."""
    with house.store.write() as session:
        house.log.append_all(raw(session), events, {})


def told(house: House, since: datetime, person: str = "alice") -> Counter[str]:
    with house.store.read() as session:
        return reading.accesses(session, house.log, person, since)


def counted(house: House, since: datetime, person: str = "alice") -> Counter[str]:
    """The plain count over all entries, opened one by one."""
    with house.store.read() as session:
        return Counter(
            str(entry.facts.get("consent", ""))
            for entry in reading.entries(session, house.log, person)
            if entry.kind == "access" and entry.at and entry.at >= since
        )


def changed(house: House, statement: str, *values: Any) -> None:
    with house.store.write() as session:
        raw(session).execute(statement, values)


def rows(house: House) -> list[tuple[Any, ...]]:
    with house.store.read() as session:
        return (
            raw(session).execute("SELECT seq, sealed FROM logtally WHERE person_id = 'alice' ORDER BY seq").fetchall()
        )


class Counting:
    """The log as a reader uses it, and how many seals it has opened: entries and tallies."""

    def __init__(self, log: Log) -> None:
        self._log, self.opened = log, 0

    def read(self, *given: Any) -> Any:
        self.opened += 1
        return self._log.read(*given)

    def tally(self, *given: Any) -> Any:
        self.opened += 1
        return self._log.tally(*given)


def opened(house: House, since: datetime) -> int:
    """How many seals are opened to count Alice's accesses since then."""
    log: Any = Counting(house.log)
    with house.store.read() as session:
        reading.accesses(session, log, "alice", since)
    return int(log.opened)


@pytest.fixture
def busy(house: House, clock: Clock) -> list[datetime]:
    """Some forty days of Alice's, in batches of any size: several apps, refusals, outcomes, quiet weeks, instants that
    several entries share, and a clock that is set back now and then. The times of her entries."""
    chance = random.Random(10)
    now, times = clock.now - 45 * DAY, []
    while now < clock.now:
        batch = []
        for _ in range(chance.choice((1, 1, 2, 7, 40, 200))):
            kind = chance.choice(("access", "access", "access", "access_outcome", "denied"))
            batch.append(access(now, chance.choice(CONSENTS), kind=kind))
            now += chance.choice((0, 0, 1)) * timedelta(microseconds=chance.randrange(5_000_000))
        written(house, [*batch, access(now, person="bob")])
        times += [event.at for event in batch]
        now += chance.choice((MINUTE, -MINUTE, timedelta(hours=5), DAY))
    return times


def test_tallies_say_what_the_entries_say_from_any_instant_on(house: House, clock: Clock, busy: list[datetime]) -> None:
    chance = random.Random(11)
    edges = [at + timedelta(microseconds=off) for at in chance.sample(busy, 25) for off in (-1000, -1, 0, 1, 1000)]
    assert len(rows(house)) > 5
    for since in (*edges, clock.now - WINDOW, clock.now, clock.now + DAY, datetime(2020, 1, 1, tzinfo=UTC)):
        assert told(house, since) == counted(house, since), since
        assert told(house, since, "bob") == counted(house, since, "bob"), since


def test_as_time_passes_accesses_leave_the_window_one_by_one(house: House, clock: Clock) -> None:
    for number in range(2 * BLOCK + 7):
        written(house, [access(clock.now + number * MINUTE)])
    for number in (0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 6):
        edge = clock.now + number * MINUTE
        assert told(house, edge).total() == 2 * BLOCK + 7 - number
        assert told(house, edge + timedelta(microseconds=1)).total() == 2 * BLOCK + 6 - number


def test_few_seals_are_opened_however_many_entries_there_are(house: House, clock: Clock) -> None:
    start = clock.now - 40 * DAY
    every = 40 * DAY / 5000
    for at in range(0, 5000, 250):
        written(house, [access(start + (at + each) * every) for each in range(250)])
    since = clock.now - WINDOW
    assert told(house, since).total() == 3750
    most = 5000 // BLOCK + 1 + BLOCK
    assert opened(house, since) <= most
    for _ in range(BLOCK):  # wherever the newest entry stands in its block
        written(house, [access(clock.now)])
        assert opened(house, since) <= most + 1


def test_somebody_with_few_entries_opens_no_more_of_them_than_before(house: House, clock: Clock) -> None:
    for day in range(100, 0, -1):
        written(house, [access(clock.now - day * DAY)])
    assert told(house, clock.now - WINDOW).total() == 30
    assert opened(house, clock.now - WINDOW) == 33  # one tally, and a day more for a clock set back


def test_only_refusals_are_no_accesses_and_are_not_opened_either(house: House, clock: Clock) -> None:
    written(house, [access(clock.now, kind="denied") for _ in range(1000)])
    assert opened(house, clock.now - WINDOW) <= 1000 // BLOCK + 1
    assert not told(house, clock.now - WINDOW)


# ---- a tally that is not there, or not to be trusted


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM logtally",
        f"DELETE FROM logtally WHERE seq > {2 * BLOCK} AND seq < {6 * BLOCK}",
        "UPDATE logchain SET tally = NULL",
        "UPDATE logtally SET sealed = salt FROM logentry e WHERE e.person_id = logtally.person_id AND e.seq = 1",
        "UPDATE logchain SET tally = key_sealed",
        # of another block of hers, and of another person's
        f"UPDATE logtally SET sealed = t.sealed FROM logtally t WHERE t.person_id = 'alice' AND t.seq = {BLOCK}",
        "UPDATE logchain SET tally = c.tally FROM logchain c WHERE c.person_id = 'bob'",
    ],
)
def test_what_no_tally_covers_is_counted_entry_by_entry_and_the_next_is_sound(
    house: House, clock: Clock, busy: list[datetime], statement: str
) -> None:
    changed(house, statement)
    since = clock.now - WINDOW
    assert told(house, since) == counted(house, since)
    written(house, [access(clock.now) for _ in range(5 * BLOCK)])
    assert told(house, since) == counted(house, since)
    latest = clock.now - timedelta(seconds=1)
    assert opened(house, latest) <= len(rows(house)) + 2 + 2 * BLOCK


def test_a_transaction_that_was_rolled_back_left_no_count(house: House, clock: Clock) -> None:
    written(house, [access(clock.now) for _ in range(BLOCK - 1)])

    class Undone(Exception):
        pass

    with pytest.raises(Undone), house.store.write() as session:
        house.log.append_all(raw(session), [access(clock.now) for _ in range(3)], {})
        raise Undone
    assert told(house, clock.now - WINDOW).total() == BLOCK - 1 and not rows(house)
    written(house, [access(clock.now)])
    assert told(house, clock.now - WINDOW).total() == BLOCK and len(rows(house)) == 1


def test_every_entry_of_a_block_is_in_its_tally(house: House, clock: Clock) -> None:
    written(house, [access(clock.now, CONSENTS[each % 3]) for each in range(3 * BLOCK)])
    with house.store.read() as session:
        key = raw(session).execute("SELECT key_sealed FROM logchain WHERE person_id = 'alice'").fetchone()[0]
    tallies = [house.log.tally("alice", seq, sealed, key) for seq, sealed in rows(house)]
    assert [tally.size for tally in tallies if tally] == [BLOCK] * 3
    assert sum((Counter(tally.counts) for tally in tallies if tally), Counter[str]()) == {
        consent: BLOCK for consent in CONSENTS[:3]
    }


def test_no_two_seals_of_a_batch_share_a_nonce_wherever_blocks_end(house: House, clock: Clock) -> None:
    """Of three people, some of whom end a block with this batch, or in the middle of it."""
    before = {"alice": BLOCK - 1, "bob": BLOCK - 2, "carol": 5}
    for person, number in before.items():
        written(house, [access(clock.now, person=person) for _ in range(number)])
    people = ["alice", "bob", "carol"] * 2
    written(house, [access(clock.now, person=person) for person in people[1:]])
    written(house, [access(clock.now, person=person) for person in people * BLOCK])
    with house.store.read() as session:
        seals = [
            row[0]
            for statement in ("sealed FROM logentry", "sealed FROM logtally", "tally FROM logchain")
            for row in raw(session).execute(f"SELECT {statement}").fetchall()
            if row[0]
        ]
    assert len({sealed[:12] for sealed in seals}) == len(seals) > 6 * BLOCK
    for person in before:
        assert told(house, clock.now, person) == counted(house, clock.now, person)


def test_a_tally_knows_the_earliest_and_the_latest_of_its_entries_in_any_order() -> None:
    tally = Tally()
    for at in ("2026-04-02T00:00:00.000Z", "2026-04-01T00:00:00.000Z", "2026-04-03T00:00:00.000Z"):
        tally.add("denied", {}, at)
    assert (tally.size, tally.first[:10], tally.last[:10], tally.counts) == (3, "2026-04-01", "2026-04-03", {})


# ---- what is hers


def test_tallies_leave_by_themselves_and_no_page_misses_them(house: House, clock: Clock, busy: list[datetime]) -> None:
    written(house, [access(clock.now) for _ in range(BLOCK)])
    for days in (5, 15, KEPT_DAYS, KEPT_DAYS + 2):
        now = clock.now + days * DAY
        while pruning.prune(house.store, retention.LEAVING, now):
            pass
        assert told(house, now - WINDOW) == counted(house, now - WINDOW)
    assert rows(house) == []


def test_the_database_does_not_tell_who_read(house: House, busy: list[datetime]) -> None:
    assert rows(house) and b"consent-of-" not in everything(house.store)


def test_her_counts_are_lost_with_the_key_of_her_entries(house: House, clock: Clock, busy: list[datetime]) -> None:
    changed(house, "UPDATE logchain SET key_sealed = NULL WHERE person_id = 'alice'")
    assert not told(house, clock.now - WINDOW) and not counted(house, clock.now - WINDOW)
