"""Whatever waits is numbered in the order of the running numbers, wherever its month lies."""

import contextlib
import random

import pytest

from gateway.ground.store import Connection
from gateway.ground.store.postgres.months import BITS, RUNNING
from gateway.house import House
from gateway.log import numbering


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


def test_what_is_written_meanwhile_waits_for_the_next_time(house: House) -> None:
    with contextlib.closing(house.store.connect()) as connection:
        wait(house, connection, [1 << BITS | 1, 2 << BITS | 2])
        within = numbering.first(connection, 10)
        wait(house, connection, [3 << BITS | 3, 1 << BITS | 4])
        number(house, connection, within, -1, 10)
        assert connection.execute("SELECT entry_id FROM logwaiting ORDER BY 1").fetchall() == [
            (1 << BITS | 4,),
            (3 << BITS | 3,),
        ]


def test_where_nothing_waits_nothing_is_numbered(house: House) -> None:
    with contextlib.closing(house.store.connect()) as connection:
        assert numbering.first(connection, 10) == []
