"""Whatever waits is numbered in the order of the running numbers, wherever its month lies."""

import contextlib
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from gateway.app import build_house
from gateway.ground.store import Connection, migrate
from gateway.ground.store.postgres.months import BITS, RUNNING
from gateway.house import House
from gateway.log import Event, numbering
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings
from tests.postgres import Cluster


def wait(house: House, connection: Connection, ids: list[int]) -> None:
    house.store.batch(
        connection, lambda writing: writing.executemany("INSERT INTO logwaiting VALUES (?)", [(each,) for each in ids])
    )


def number(house: House, connection: Connection, within: list[numbering.Ids], index: int, count: int) -> None:
    house.store.batch(connection, lambda writing: numbering.numbered(writing, within, index, count))


def number_all(house: House, connection: Connection, count: int) -> list[int]:
    """The entries in the order of their indices, numbered so many at a time."""
    index = -1
    while within := numbering.first(connection, count):
        number(house, connection, within, index, count)
        (last,) = connection.execute('SELECT max("index") FROM logleaf').fetchone()
        assert 0 < last - index <= count
        index = last
    found = connection.execute('SELECT "index", entry_id FROM logleaf ORDER BY "index"').fetchall()
    assert [row[0] for row in found] == list(range(len(found)))
    assert connection.execute("SELECT count(*) FROM logwaiting").fetchone()[0] == 0
    return [row[1] for row in found]


@pytest.mark.parametrize("count", [1, 3, 10, 1000])
@pytest.mark.parametrize("months", [1, 2, 7])
def test_months_that_overlap_are_numbered_as_if_there_were_none(house: House, count: int, months: int) -> None:
    chance = random.Random(count * 10 + months)
    # mostly in the order of the months, but for some around the end of each, and a clock that was far off
    ids = [(min(n * months // 60, months - 1) + chance.choice([0, 0, 0, 1, months])) << BITS | n for n in range(1, 60)]
    chance.shuffle(ids)
    with contextlib.closing(house.store.connect()) as connection:
        wait(house, connection, ids)
        assert number_all(house, connection, count) == sorted(ids, key=lambda entry: entry & RUNNING)


def test_of_months_that_are_over_no_more_is_read_than_is_wanted(house: House) -> None:
    with contextlib.closing(house.store.connect()) as connection:
        wait(house, connection, [(month << BITS) + month * 10 + n for month in range(20) for n in range(1, 11)])
        assert numbering.first(connection, 8) == [(1, 8)]
        assert [begin >> BITS for begin, _ in numbering.first(connection, 15)] == [0, 1]


def test_where_nothing_waits_nothing_is_numbered(house: House) -> None:
    with contextlib.closing(house.store.connect()) as connection:
        assert numbering.first(connection, 10) == []


@pytest.mark.postgres
def test_two_entries_of_one_transaction_stay_in_their_order(
    tmp_path: Path, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One before and one behind those of others, committed at any moment of the numbering."""
    postgres.create("order")
    settings = Settings(database_url=postgres.url("order"), data_dir=tmp_path)
    migrate.upgrade(settings)
    house = build_house(settings, create_keys=True)

    def writes(session: Session, person: str) -> None:
        house.log.record(session, Event("sign_in", person, datetime.now(UTC)))

    def write(person: str) -> None:
        with house.store.write() as session:
            writes(session, person)

    for at in ("first", "numbered"):
        with contextlib.ExitStack() as alice:
            hers = alice.enter_context(house.store.write())
            writes(hers, "alice")
            write("bob")
            writes(hers, "alice")
            hers.flush()
            write("carol")
            real = getattr(numbering, at)

            def then(*given: Any, real: Any = real, alice: contextlib.ExitStack = alice) -> Any:
                alice.close()  # her commit
                return real(*given)

            with monkeypatch.context() as patch, contextlib.ExitStack() as ends:
                sequencer = Sequencer(house)
                ends.callback(sequencer.stop)
                patch.setattr(numbering, at, then)
                sequencer.integrate_once()
                sequencer.integrate_once()
    order = """SELECT e.seq FROM logleaf l JOIN logentry e ON e.id = l.entry_id
                WHERE e.person_id = 'alice' ORDER BY l."index" """
    assert postgres.execute(order, "order") == [(1,), (2,), (3,), (4,)]
    house.store.close()
    postgres.drop("order")
