"""A mark that is older than a crash can explain was put back, or written by hand: the log is frozen, and says so.

And nothing that freezes the log at the next beat is called ready before it.
"""

from collections.abc import Callable

import pytest

from gateway.house import House
from gateway.log import mark, readiness, restart
from gateway.log.mark import Mark
from gateway.log.sequencer import Sequencer
from gateway.log.signed import Frozen

pytestmark = pytest.mark.sqlite  # by changing and putting back its file

Recorded = Callable[..., None]
NAME = "gateway.example/log"


def signed(house: House, sequencer: Sequencer, recorded: Recorded, *counts: int) -> list[Mark]:
    """One beat for each count of entries. The mark after each."""
    marks = []
    for count in counts:
        recorded("alice", count=count)
        sequencer.integrate_once()
        found = mark.read(house.settings.mark)
        assert found is not None
        marks.append(found)
    return marks


def checkpoints(house: House) -> list[int]:
    connection = house.store.connect()
    try:
        return [size for (size,) in connection.execute("SELECT size FROM logcheckpoint ORDER BY size").fetchall()]
    finally:
        connection.close()


@pytest.mark.parametrize("old", [mark.nothing(NAME), "first"])
def test_a_mark_from_before_the_last_two_trees_freezes_the_log(
    house: House, sequencer: Sequencer, recorded: Recorded, old: Mark | str
) -> None:
    first, *_ = signed(house, sequencer, recorded, 3, 2, 4)
    left = first if isinstance(old, str) else old
    mark.write(house.settings.mark, left)
    recorded("alice")
    with pytest.raises(Frozen, match=f"is of a tree of {left.size}, and 5 and 9 were signed") as frozen:
        sequencer.integrate_once()
    assert frozen.value.do == "put the newest mark back"
    assert "5 and 9 were signed" in readiness.frozen(house)
    assert checkpoints(house) == [3, 5, 9] and mark.read(house.settings.mark) == left
    found = restart.ended(house)
    assert restart.restart(house, found, house.clock()) == f"{NAME}/2"


def test_a_mark_that_a_crash_left_one_tree_behind_is_written_before_anything_more_is_signed(
    house: House, sequencer: Sequencer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, before, last = signed(house, sequencer, recorded, 3, 2, 4)
    mark.write(house.settings.mark, before)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    recorded("alice", count=2)
    with monkeypatch.context() as patched:
        patched.setattr("gateway.log.sequencer.mark.write", full)
        for _ in range(3):
            with pytest.raises(OSError):
                sequencer.integrate_once()
    assert checkpoints(house) == [3, 5, last.size], "no tree is signed while the one before is not marked"
    assert readiness.frozen(house) == ""
    assert sequencer.integrate_once() == 2
    assert mark.read(house.settings.mark) == Mark(11, mark.read(house.settings.mark).root, NAME)  # type: ignore[union-attr]


def test_a_mark_of_nothing_has_the_root_of_nothing(house: House, sequencer: Sequencer, recorded: Recorded) -> None:
    signed(house, sequencer, recorded, 3)
    mark.write(house.settings.mark, Mark(0, b"x" * 32, NAME))
    with pytest.raises(Frozen, match="not the root of a tree of that size"):
        sequencer.integrate_once()


def test_an_entry_that_is_gone_before_it_was_signed_is_not_ready_and_nothing_more_is_numbered(
    house: House, sequencer: Sequencer, recorded: Recorded
) -> None:
    signed(house, sequencer, recorded, 3)
    recorded("alice", count=2)
    sequencer._number(house.store.connect())  # a beat that a crash ended before it signed
    assert readiness.frozen(house) == ""
    connection = house.store.connect()
    one = "DELETE FROM logentry WHERE id = 4"
    house.store.batch(connection, lambda writing: writing.execute(one))
    assert "the entry of index 3 is missing" in readiness.frozen(house)
    recorded("bob", count=2)
    for _ in range(2):
        with pytest.raises(Frozen, match="the entry of index 3 is missing"):
            sequencer.integrate_once()
    assert connection.execute("SELECT count(*) FROM logleaf").fetchone() == (5,)
    connection.close()
