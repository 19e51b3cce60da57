"""The sequencer: indices without gaps, one history, and the same result after a crash at any point."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from log_cast import Clock

from gateway.errors import Unavailable
from gateway.ground.keys import KeyRing
from gateway.ground.store import threads
from gateway.ground.store.sqlite.engine import connect
from gateway.house import House
from gateway.log import mark, readiness, sequencer, signed, tree
from gateway.log.mark import Mark
from gateway.log.notes import VerifierKey, open_checkpoint
from gateway.log.sequencer import Beat, Sequencer
from gateway.log.signed import Frozen, leaf
from tests.databases import copied

Recorded = Callable[..., None]


def rows(house: House, sql: str, *values: Any) -> list[Any]:
    with house.store.read() as session:
        return [tuple(row) for row in session.connection().exec_driver_sql(sql, values).all()]


def change(house: House, sql: str, *values: Any) -> None:
    with house.store.write() as session:
        session.connection().exec_driver_sql(sql, values)


def marked(house: House) -> Mark | None:
    return mark.read(house.settings.mark)


@pytest.mark.sqlite
def test_entries_get_indices_in_the_order_of_their_commit(
    house: House, sequencer: Sequencer, recorded: Recorded
) -> None:
    for person in ("alice", "bob", "alice"):
        recorded(person, count=2)
    assert sequencer.integrate_once() == 6
    recorded("bob")
    assert sequencer.integrate_once() == 1
    assert rows(house, 'SELECT "index", entry_id FROM logleaf ORDER BY 1') == [(i, i + 1) for i in range(7)]


def test_a_checkpoint_is_signed_over_exactly_the_entries(
    house: House, sequencer: Sequencer, recorded: Recorded, vkey: VerifierKey
) -> None:
    recorded("alice", count=5)
    sequencer.integrate_once()
    [(note,)] = rows(house, "SELECT note FROM logcheckpoint")
    leaves = [leaf(commitment) for (commitment,) in rows(house, "SELECT commitment FROM logentry ORDER BY id")]
    checkpoint = open_checkpoint(note, [vkey], "gateway.example/log")
    assert (checkpoint.size, checkpoint.root) == (5, tree.root(leaves))
    assert marked(house) == Mark(5, checkpoint.root, "gateway.example/log")


def test_without_new_entries_nothing_is_signed(house: House, sequencer: Sequencer, recorded: Recorded) -> None:
    assert sequencer.integrate_once() == 0
    recorded("alice")
    sequencer.integrate_once()
    assert sequencer.integrate_once() == 0
    assert len(rows(house, "SELECT size FROM logcheckpoint")) == 1


def test_every_checkpoint_is_consistent_with_the_one_before(
    house: House, sequencer: Sequencer, recorded: Recorded
) -> None:
    for count in (1, 2, 3, 7, 1, 13):
        recorded("alice", count=count)
        sequencer.integrate_once()
    leaves = [leaf(commitment) for (commitment,) in rows(house, "SELECT commitment FROM logentry ORDER BY id")]
    signed = rows(house, "SELECT size, root FROM logcheckpoint ORDER BY size")
    assert len(signed) == 6
    for (old, old_root), (new, new_root) in zip(signed, signed[1:], strict=False):
        proof = tree.consistency_proof(old, leaves[:new])
        tree.check_consistency(old, new, old_root, new_root, proof)


def test_many_waiting_entries_are_taken_in_several_beats(
    house: House, sequencer: Sequencer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.log.sequencer.CHUNK", 4)
    recorded("alice", count=10)
    assert [sequencer.integrate_once() for _ in range(4)] == [4, 4, 2, 0]


class Crash(Exception):
    pass


STEPS = ["_number", "extended", "_sign", "_mark"]


@pytest.mark.sqlite
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_crash_at_any_step_is_finished_by_the_next_start(
    house: House, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, step: str, when: str
) -> None:
    recorded("alice", count=3)
    first = Sequencer(house)
    first.integrate_once()
    recorded("bob", count=4)
    owner = Sequencer if step.startswith("_") else sequencer
    real = getattr(owner, step)

    def crashing(*arguments: Any) -> None:
        if when == "after":
            real(*arguments)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(owner, step, crashing)
        with pytest.raises(Crash):
            first.integrate_once()
    first.stop()
    recorded("alice", count=2)
    second = Sequencer(house)
    second.integrate_once()
    second.stop()
    leaves = [leaf(commitment) for (commitment,) in rows(house, "SELECT commitment FROM logentry ORDER BY id")]
    assert rows(house, 'SELECT "index", entry_id FROM logleaf ORDER BY 1') == [(i, i + 1) for i in range(9)]
    for size, root in rows(house, "SELECT size, root FROM logcheckpoint"):
        assert root == tree.root(leaves[:size])
    assert marked(house) == Mark(9, tree.root(leaves), "gateway.example/log")


def test_a_crash_before_the_first_mark_is_no_loss_of_the_mark(
    house: House, sequencer: Sequencer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded("alice")
    with monkeypatch.context() as patch:
        patch.setattr(Sequencer, "_mark", lambda *_: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            sequencer.integrate_once()
    assert marked(house) == mark.nothing("gateway.example/log")
    assert sequencer.integrate_once() == 0
    assert marked(house) != mark.nothing("gateway.example/log")


@pytest.mark.sqlite
@pytest.mark.parametrize("crash", ["before the mark", "between mark and name", "after the name"])
def test_a_crash_while_the_log_begins_is_finished_by_the_next_beat(
    house: House, sequencer: Sequencer, recorded: Recorded, monkeypatch: pytest.MonkeyPatch, crash: str
) -> None:
    recorded("alice")
    step = {
        "before the mark": "gateway.log.sequencer.mark.write",
        "between mark and name": "gateway.ground.store.sqlite.engine.SqliteStore.batch",
        "after the name": "gateway.log.sequencer.Sequencer._number",
    }[crash]
    with monkeypatch.context() as patch:
        patch.setattr(step, lambda *_: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            sequencer.integrate_once()
    assert rows(house, "SELECT origin FROM logname") == ([("gateway.example/log",)] if "after" in crash else [])
    assert marked(house) == (None if "before" in crash else mark.nothing("gateway.example/log"))
    assert readiness.frozen(house) == ""
    assert sequencer.integrate_once() == 1
    assert rows(house, "SELECT origin FROM logname") == [("gateway.example/log",)]


@pytest.mark.sqlite
def test_a_log_that_has_begun_and_lost_its_mark_begins_no_second_history(
    house: House, sequencer: Sequencer, recorded: Recorded, tmp_path: Path
) -> None:
    assert sequencer.integrate_once() == 0  # the first beat, of a gateway that nobody has used
    copied(house.settings.database, tmp_path / "backup")
    recorded("alice")
    sequencer.integrate_once()
    copied(tmp_path / "backup", house.settings.database)
    house.settings.mark.unlink()
    recorded("bob", count=3)
    with pytest.raises(Frozen, match="is missing, and gateway.example/log has begun") as frozen:
        sequencer.integrate_once()
    assert "move the mark to where it is looked for" in frozen.value.do
    assert "has begun" in readiness.frozen(house)
    assert rows(house, "SELECT count(*) FROM logleaf") == [(0,)] and marked(house) is None


def test_before_it_has_its_name_a_log_under_another_address_says_that_the_mark_may_be_removed(
    house: House, sequencer: Sequencer
) -> None:
    mark.write(house.settings.mark, mark.nothing("elsewhere.example/log"))
    with pytest.raises(Frozen, match="the log signed last is elsewhere") as frozen:
        sequencer.integrate_once()
    assert "if this gateway begins anew" in frozen.value.do


@pytest.mark.sqlite
def test_an_older_database_put_back_freezes_the_log(
    house: House, sequencer: Sequencer, recorded: Recorded, tmp_path: Path
) -> None:
    recorded("alice", count=3)
    sequencer.integrate_once()
    copied(house.settings.database, tmp_path / "backup")
    recorded("alice", count=3)
    sequencer.integrate_once()
    copied(tmp_path / "backup", house.settings.database)
    recorded("mallory", count=9)  # more entries than were lost: size alone would not tell
    with pytest.raises(Frozen, match="a tree of 6 was signed; the database only knows one of 3"):
        sequencer.integrate_once()
    assert rows(house, 'SELECT max("index") FROM logleaf') == [(2,)]
    assert rows(house, "SELECT max(size) FROM logcheckpoint") == [(3,)]


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("tampering", "reason"),
    [
        ("UPDATE logcheckpoint SET root = zeroblob(32)", "contradicts itself"),
        ("UPDATE logcheckpoint SET note = replace(note, 'gateway', 'catdoor')", "is of the log 'catdoor.example/log'"),
        ("UPDATE logcheckpoint SET note = substr(note, 1, length(note) - 9) || 'AAAAAAA=' || x'0a'", "checkpoint 3:"),
        ("UPDATE logcheckpoint SET frontier = CAST(frontier || frontier AS BLOB)", "compact range"),
        ("DELETE FROM logcheckpoint", "holds no checkpoint"),
        ('DELETE FROM logleaf WHERE "index" = 4', "index 4 is missing"),
        ("DELETE FROM logentry WHERE id = 5", "the entry of index 4 is missing"),
    ],
)
def test_what_was_changed_behind_its_back_freezes_the_log(
    house: House, recorded: Recorded, tampering: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded("alice", count=3)
    first = Sequencer(house)
    first.integrate_once()
    recorded("alice", count=3)
    with monkeypatch.context() as patch:  # numbered, not yet signed
        patch.setattr(Sequencer, "_sign", lambda *_: (_ for _ in ()).throw(Crash))
        with pytest.raises(Crash):
            first.integrate_once()
    change(house, tampering)
    with pytest.raises(Frozen, match=reason):
        first.integrate_once()
    first.stop()


def test_a_mark_that_cannot_be_read_freezes_the_log(house: House, sequencer: Sequencer, recorded: Recorded) -> None:
    recorded("alice", count=3)
    sequencer.integrate_once()
    house.settings.mark.unlink()
    house.settings.mark.mkdir()
    with pytest.raises(Frozen, match="high-water: .*directory"):
        sequencer.integrate_once()


def test_an_entry_that_is_gone_is_known_before_the_first_call(
    house: House, sequencer: Sequencer, recorded: Recorded
) -> None:
    recorded("alice", count=3)
    sequencer.integrate_once()
    recorded("alice", count=2)
    sequencer._number(house.store.connect())  # a beat that a crash ended before it signed
    change(house, "DELETE FROM logentry WHERE id = (SELECT max(id) FROM logentry)")
    sequencer.start()
    assert "the entry of index 4 is missing" in house.log.frozen


@pytest.mark.sqlite
@pytest.mark.parametrize("content", [None, b"", b"aval-log-mark/v1\n3\nAAAA\n", b"\xff", b"aval-log-mark/v1\n03\n"])
def test_a_lost_or_spoilt_mark_freezes_the_log(
    house: House, sequencer: Sequencer, recorded: Recorded, content: bytes | None
) -> None:
    recorded("alice", count=3)
    sequencer.integrate_once()
    path = house.settings.mark
    path.unlink() if content is None else path.write_bytes(content)
    recorded("alice")
    with pytest.raises(Frozen, match="high-water"):
        sequencer.integrate_once()


def test_a_mark_of_another_tree_freezes_the_log(house: House, sequencer: Sequencer, recorded: Recorded) -> None:
    recorded("alice", count=3)
    sequencer.integrate_once()
    mark.write(house.settings.mark, Mark(3, bytes(32), "gateway.example/log"))
    with pytest.raises(Frozen, match="not the one in the database"):
        sequencer.integrate_once()


@pytest.mark.sqlite
def test_a_mark_that_is_a_link_is_written_where_it_points_to(
    house: House, sequencer: Sequencer, recorded: Recorded, tmp_path: Path
) -> None:
    there = tmp_path / "another-disk" / "mark"
    there.parent.mkdir()
    house.settings.mark.symlink_to(there)
    recorded("alice", count=3)
    sequencer.integrate_once()
    assert house.settings.mark.is_symlink() and [path.name for path in there.parent.iterdir()] == ["mark"]
    assert mark.read(there) == marked(house) and marked(house) != mark.nothing("gateway.example/log")


def test_a_mark_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "high-water"
    mark.write(path, Mark(1, bytes(32)))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        mark.write(path, Mark(2, bytes(32)))
    monkeypatch.undo()
    assert mark.read(path) == Mark(1, bytes(32))
    mark.write(path, Mark(3, bytes(32)))
    assert mark.read(path) == Mark(3, bytes(32))


def test_the_thread_integrates_what_comes_and_a_last_time_when_it_stops(house: House, recorded: Recorded) -> None:
    running = Sequencer(house)
    running.start()
    recorded("alice", count=2)
    running.stop()
    assert rows(house, "SELECT max(size) FROM logcheckpoint") == [(2,)]


def test_a_fault_that_lasts_is_told_once_and_when_it_is_over(
    house: House, recorded: Recorded, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Sequencer(house)
    recorded("alice")
    away = Unavailable("database: OperationalError")
    with monkeypatch.context() as without:
        without.setattr(running, "integrate_once", lambda: _raised(away))
        for _ in range(5):
            running._beat()
        assert [record.message for record in caplog.records] == ["log: not signed: database: OperationalError"]
        assert caplog.records[0].exc_info is None and "the last beat failed: Unavailable" in running._failed
        without.setattr(threads, "AGAIN_SECONDS", 0.0)
        running._beat()
        assert "log: not signed, 6 times by now: database: OperationalError" in caplog.text
    running._beat()
    running._beat()
    assert [record.message for record in caplog.records][2:] == ["log: signed again"] and not running._failed
    running.stop()


def test_a_fault_that_nobody_foresaw_is_told_with_where_it_came_from(
    house: House, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = Sequencer(house)
    monkeypatch.setattr(running, "integrate_once", lambda: _raised(ZeroDivisionError()))
    running._beat()
    running._beat()
    [told] = caplog.records
    assert told.message == "log: not signed: ZeroDivisionError" and told.exc_info
    running.stop()


def _raised(error: Exception) -> int:
    raise error


def test_who_watches_hears_what_each_beat_has_left_behind(
    house: House, recorded: Recorded, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequencer, "MOST_WAITING", 4)
    heard: list[Beat] = []
    running = Sequencer(house, watch=heard.append)
    running._beat()
    assert heard[-1] == Beat(True, 0, clock.now, None)
    recorded("alice", count=3)
    running._beat()
    assert heard[-1] == Beat(True, 0, clock.now, clock.now)
    recorded("alice", count=3)
    away = house.settings.mark.rename(house.settings.mark.with_suffix(".away"))
    for waiting in (3, 5):  # and no more are counted
        running._beat()
        if house.store.alone:
            assert heard[-1] == Beat(True, waiting, None, clock.now), "frozen"
        recorded("alice", count=10)
    away.rename(house.settings.mark)
    signed, clock.now = clock.now, clock.now + timedelta(hours=1)
    running._beat()
    assert heard[-1] == Beat(True, 0, clock.now, clock.now) and signed < clock.now
    running.stop()


def test_the_log_goes_on_whatever_becomes_of_who_watches(
    house: House, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(_: Beat) -> None:
        raise ZeroDivisionError

    running = Sequencer(house, watch=fails)
    recorded("alice", count=2)
    running._beat()
    assert running._failed == "" and rows(house, "SELECT max(size) FROM logcheckpoint") == [(2,)]
    assert "is not known: ZeroDivisionError" in caplog.text
    running.stop()


@pytest.mark.sqlite
def test_a_frozen_log_says_so_once_and_thaws_when_the_newest_database_is_back(
    house: House, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    recorded("alice", count=3)
    running = Sequencer(house)
    running.integrate_once()
    path = house.settings.mark
    away = path.rename(path.with_suffix(".away"))
    running._beat()
    running._beat()
    assert "is missing" in running.frozen
    assert len([record for record in caplog.records if "frozen" in record.message]) == 1
    away.rename(path)
    running._beat()
    assert running.frozen == ""
    running.stop()


def test_writers_and_the_sequencer_do_not_disturb_one_another(
    house: House, sequencer: Sequencer, recorded: Recorded
) -> None:
    threads = [threading.Thread(target=lambda: [recorded("alice") for _ in range(25)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        sequencer.integrate_once()
    sequencer.integrate_once()
    assert rows(house, 'SELECT count(*), max("index") FROM logleaf') == [(100, 99)]
    assert rows(house, "SELECT seq FROM logentry ORDER BY id") == [(n,) for n in range(1, 101)]


KILLED = """
    import sys
    from datetime import UTC, datetime
    from pathlib import Path
    from gateway.house import House
    from gateway.ground.keys import KeyRing
    from gateway.log import Event, Log
    from gateway.log.sequencer import Sequencer
    from gateway.settings import Settings
    from gateway.ground.store import open_store, raw
    folder, keys, marked = map(Path, sys.argv[1:])
    settings = Settings(data_dir=folder, public_url="https://gateway.example", keys_dir=keys, mark_file=marked)
    store, keys = open_store(settings), KeyRing(settings.keys)
    house = House(settings, store, keys, Log(keys, settings.mark), None, None, None, None)
    sequencer = Sequencer(house)
    while True:
        with store.write() as session:
            house.log.record(session, Event("access", "alice", datetime.now(UTC)))
        with store.read() as session:
            print(raw(session).execute("SELECT max(seq) FROM logchain").fetchone()[0], flush=True)
        sequencer.integrate_once()
"""


@pytest.mark.sqlite
def test_killed_at_random_nothing_acknowledged_is_lost(house: House, keys: KeyRing) -> None:
    acknowledged = 0
    for _ in range(3):
        places = map(str, (house.settings.data_dir, keys.folder, house.settings.mark))
        command = [sys.executable, "-c", textwrap.dedent(KILLED), *places]
        root = Path(__file__).parents[2]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
            assert process.stdout is not None
            for _ in range(7):
                acknowledged = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
    after = Sequencer(house)
    after.integrate_once()
    after.stop()
    [(count, last)] = rows(house, 'SELECT count(*), max("index") FROM logleaf')
    assert count == last + 1 >= acknowledged
    connection = connect(house.settings.database)
    key = VerifierKey("gateway.example/log", keys.log.public_key().public_bytes_raw())
    assert signed.standing(connection, house.settings.mark, key, alone=True)[0].range.size == count
    connection.close()


def test_a_clock_that_is_set_back_is_marked_once_and_time_goes_on_from_there(
    house: House, sequencer: Sequencer, recorded: Recorded, clock: Clock
) -> None:
    recorded("alice")
    sequencer.integrate_once()
    right = clock.now
    clock.now = right + timedelta(days=3653)  # one start with a wrong clock
    recorded("alice")
    assert sequencer.integrate_once() == 1, "ahead is no fault: who knows how long nobody wrote"
    clock.now = right + timedelta(minutes=1)
    assert [sequencer.integrate_once() for _ in range(3)] == [1, 0, 0], "although nobody wrote meanwhile"
    [marked] = [json.loads(payload) for payload in payloads(house, "operator")]
    assert (marked["event"], marked["clock_before"]) == ("clock_back", "2036-04-01T09:30:00.000Z")
    assert marked["time"] == "2026-04-01T09:31:00.000Z"
    at_ms = int(clock.now.timestamp() * 1000)
    assert rows(house, "SELECT at_ms FROM logcheckpoint ORDER BY size DESC LIMIT 1") == [(at_ms,)]


def test_a_clock_that_is_set_back_marks_a_frozen_log_no_more_than_once(
    house: House, sequencer: Sequencer, recorded: Recorded, clock: Clock
) -> None:
    recorded("alice", count=2)
    sequencer.integrate_once()
    change(house, "INSERT INTO logleaf VALUES (7, 99)")
    clock.now -= timedelta(days=1)
    for _ in range(3):
        with pytest.raises(Frozen, match="index 2 is missing"):
            sequencer.integrate_once()
    assert payloads(house, "operator") == []


def test_a_clock_that_is_corrected_by_seconds_is_not_marked(
    house: House, sequencer: Sequencer, recorded: Recorded, clock: Clock
) -> None:
    recorded("alice")
    sequencer.integrate_once()
    clock.now -= timedelta(seconds=60)
    assert sequencer.integrate_once() == 0
    clock.now -= timedelta(seconds=1)
    assert sequencer.integrate_once() == 1, "more than a minute"


def test_what_another_key_signed_says_which_file_to_put_back(house: House, recorded: Recorded, tmp_path: Path) -> None:
    recorded("alice")
    first = Sequencer(house)
    first.integrate_once()
    first.stop()
    foreign = Sequencer(replace(house, keys=KeyRing(tmp_path / "other", create=True)))
    with pytest.raises(Frozen, match="no known key") as refused:
        foreign.integrate_once()
    foreign.stop()
    assert "log.pem" in refused.value.do


def payloads(house: House, person: str) -> list[bytes]:
    statement = (
        "SELECT e.seq, e.sealed, c.key_sealed FROM logentry e JOIN logchain c USING (person_id) WHERE person_id = ?"
    )
    connection = house.store.connect()
    try:
        return [house.log.read(person, *row) for row in connection.execute(statement, (person,)).fetchall()]
    finally:
        connection.close()
