"""A frozen log is ended in the open and another begins: nothing signed is lost, no name is ever signed for twice."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.app import build_house
from gateway.house import House
from gateway.log import Event, mark, restart, verify
from gateway.log.mark import Mark
from gateway.log.notes import BadNote, Checkpoint, Signer, VerifierKey, open_checkpoint, open_note
from gateway.log.restart import NotFrozen
from gateway.log.sequencer import Sequencer
from gateway.log.signed import Frozen, origin
from gateway.settings import MARK, Settings
from tests.databases import copied, migrated

pytestmark = pytest.mark.sqlite  # by changing and putting back its file

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = Settings(data_dir=tmp_path / "data", public_url="https://gateway.example")
    (tmp_path / "data").mkdir()
    migrated(settings)
    made = build_house(settings, create_keys=True)
    yield made
    made.store.close()


def signs_in(house: House, person: str, count: int = 1) -> None:
    for _ in range(count):
        with house.store.write() as session:
            house.log.record(session, Event("sign_in", person, NOW))


def beat(house: House) -> int:
    sequencer = Sequencer(house)
    try:
        return sequencer.integrate_once()
    finally:
        sequencer.stop()


def rows(house: House, statement: str) -> list[Any]:
    connection = house.store.connect()
    try:
        return list(connection.execute(statement).fetchall())
    finally:
        connection.close()


def name(house: House) -> str:
    connection = house.store.connect()
    try:
        return origin(connection, house.settings)
    finally:
        connection.close()


def report(house: House, kept: list[str] | None = None) -> verify.Report:
    settings = house.settings
    connection = verify.open_read_only(settings.database)
    try:
        key = verify.public_key(settings.keys, origin(connection, settings))
        marked = mark.read(settings.mark)
        return verify.check(connection, key=key, opener=house.log, marked=marked, kept=kept or [])
    finally:
        connection.close()


def put_back(house: House, copy: Path) -> None:
    """Three entries signed, a copy made, three more signed, the copy put back."""
    signs_in(house, "alice", 3)
    beat(house)
    copied(house.settings.database, copy)
    signs_in(house, "alice", 3)
    beat(house)
    copied(copy, house.settings.database)


@pytest.fixture
def restored(house: House, tmp_path: Path) -> House:
    """A copy put back, and Bob in it."""
    put_back(house, tmp_path / "copy")
    signs_in(house, "bob")
    with pytest.raises(Frozen):
        beat(house)
    return house


def test_a_log_that_goes_on_by_itself_is_not_ended(house: House) -> None:
    signs_in(house, "alice")
    with pytest.raises(NotFrozen):
        restart.ended(house)
    assert not (house.settings.data_dir / restart.FOLDER).exists()


def test_what_would_be_accepted_is_said_before(restored: House) -> None:
    found = restart.ended(restored)
    assert (found.origin, found.entries, found.size) == ("gateway.example/log", 4, 3)
    assert found.marked is not None and found.marked.size == 6 and "6" in found.why


def test_another_log_begins_with_what_is_there_and_names_the_one_that_ended(restored: House) -> None:
    found = restart.ended(restored)
    assert restart.restart(restored, found, NOW, 7) == "gateway.example/log/2" == name(restored)
    assert beat(restored) == 5
    [(size, note)] = rows(restored, "SELECT size, note FROM logcheckpoint")
    key = Signer("gateway.example/log/2", restored.keys.log).verifier
    assert size == 5 and open_checkpoint(note, [key], key.name).size == 5
    whole = report(restored)
    assert whole.whole and (whole.entries, whole.signed, whole.people) == (5, 5, 3), whole
    [(person, seq, sealed, sealed_key)] = rows(
        restored,
        "SELECT e.person_id, e.seq, e.sealed, c.key_sealed FROM logentry e JOIN logchain c USING (person_id)"
        " WHERE person_id = 'operator'",
    )
    entry = json.loads(restored.log.read(person, seq, sealed, sealed_key))
    assert (entry["event"], entry["actor"]) == ("log_restarted", "operator")
    assert (entry["ended"], entry["size"], entry["marked_size"], entry["held"]) == ("gateway.example/log", 3, 6, 4)
    assert entry["paused"] == 7


def test_the_log_that_ended_is_kept_and_says_so_under_its_key(restored: House) -> None:
    [(old_note,)] = rows(restored, "SELECT note FROM logcheckpoint")
    found = restart.ended(restored)
    restart.restart(restored, found, NOW)
    kept = restored.settings.data_dir / restart.FOLDER / "1"
    key = VerifierKey.parse((kept / "key.vkey").read_text().strip())
    assert key.name == "gateway.example/log"
    [checkpoint] = [json.loads(line) for line in (kept / "checkpoints.jsonl").read_text().splitlines()]
    assert checkpoint["note"] == old_note and open_checkpoint(old_note, [key], key.name).size == 3
    statement = open_note((kept / "statement.note").read_text(), [key]).text
    assert statement.splitlines()[:3] == ["gateway.example/log", "ended", "6"]
    with pytest.raises(BadNote):
        Checkpoint.parse(statement)
    leaves = [json.loads(line) for line in (kept / "leaves.jsonl").read_text().splitlines()]
    assert [leaf["index"] for leaf in leaves] == [0, 1, 2] and all(len(leaf["commitment"]) == 64 for leaf in leaves)
    assert mark.read(kept / MARK) == found.marked
    assert oct(kept.stat().st_mode)[-3:] == "700"


def test_no_checkpoint_of_the_new_log_can_be_taken_for_one_of_the_old(restored: House) -> None:
    old = Signer(name(restored), restored.keys.log).verifier
    restart.restart(restored, restart.ended(restored), NOW)
    beat(restored)
    [(note,)] = rows(restored, "SELECT note FROM logcheckpoint")
    with pytest.raises(BadNote):
        open_checkpoint(note, [old], old.name)


def test_it_goes_on_as_any_log_and_can_end_again(restored: House) -> None:
    restart.restart(restored, restart.ended(restored), NOW)
    beat(restored)
    signs_in(restored, "alice", 2)
    assert beat(restored) == 2 and report(restored).whole
    mark.write(restored.settings.mark, Mark(99, bytes(32), "gateway.example/log/2"))
    with pytest.raises(Frozen):
        beat(restored)
    assert restart.restart(restored, restart.ended(restored), NOW) == "gateway.example/log/3"
    beat(restored)
    assert report(restored).whole
    assert {path.name for path in (restored.settings.data_dir / restart.FOLDER).iterdir()} == {"1", "2"}


@pytest.mark.parametrize("step", ["_keep", "_forget", "mark.write"])
def test_a_crash_in_between_leaves_it_frozen_and_the_same_again_finishes_it(
    restored: House, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real: Callable[..., Any] = mark.write if step == "mark.write" else getattr(restart, step)
    crashed = []

    def crashes(*given: Any) -> Any:
        """After its work, the first time."""
        real(*given)
        if not crashed:
            crashed.append(step)
            raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr(f"gateway.log.{'mark.write' if step == 'mark.write' else f'restart.{step}'}", crashes)
        with pytest.raises(OSError, match="power cut"):
            restart.restart(restored, restart.ended(restored), NOW)
    if step == "mark.write":
        assert beat(restored) > 0  # it was done
    else:
        with pytest.raises(Frozen):
            beat(restored)
        restart.restart(restored, restart.ended(restored), NOW)
        beat(restored)
    assert report(restored).whole
    assert (restored.settings.data_dir / restart.FOLDER / "1" / "statement.note").exists()


def test_an_entry_that_is_gone_is_said_in_the_evidence(house: House) -> None:
    signs_in(house, "alice", 3)
    beat(house)
    connection = house.store.connect()
    connection.execute("DELETE FROM logentry WHERE id = 2")
    connection.execute("DELETE FROM logcheckpoint")
    connection.close()
    restart.restart(house, restart.ended(house), NOW)
    kept = house.settings.data_dir / restart.FOLDER / "1" / "leaves.jsonl"
    assert [json.loads(line)["commitment"] is None for line in kept.read_text().splitlines()] == [False, True, False]
    beat(house)
    assert not report(house).whole  # her chain still shows what is missing


def test_a_crash_before_the_last_step_is_finished_without_another_log(
    restored: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crashes(*_: Any) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.log.mark.write", crashes)
        with pytest.raises(OSError, match="power cut"):
            restart.restart(restored, restart.ended(restored), NOW)
    assert restart.restart(restored, restart.ended(restored), NOW) == "gateway.example/log/2"
    assert beat(restored) > 0 and report(restored).whole


def test_a_copy_from_before_the_restart_is_noticed_and_no_name_is_used_twice(house: House, tmp_path: Path) -> None:
    put_back(house, tmp_path / "copy")
    with pytest.raises(Frozen):
        beat(house)
    restart.restart(house, restart.ended(house), NOW)
    copied(tmp_path / "copy", house.settings.database)  # once more, by mistake, before the new log signed anything
    with pytest.raises(Frozen, match="gateway.example/log/2"):
        beat(house)
    assert restart.restart(house, restart.ended(house), NOW) == "gateway.example/log/3"


@pytest.mark.parametrize("spoil", [Path.unlink, lambda mark: mark.write_text("x")])
def test_no_name_is_used_twice_when_the_mark_is_lost_too(
    house: House, tmp_path: Path, spoil: Callable[[Path], object]
) -> None:
    put_back(house, tmp_path / "copy")
    assert restart.restart(house, restart.ended(house), NOW) == "gateway.example/log/2"
    signs_in(house, "bob", 2)
    beat(house)
    copied(tmp_path / "copy", house.settings.database)  # from before the second log began
    spoil(house.settings.mark)
    assert restart.restart(house, restart.ended(house), NOW) == "gateway.example/log/3"
    assert beat(house) > 0


def test_the_log_keeps_its_name_when_the_public_address_changes(house: House) -> None:
    signs_in(house, "alice")
    beat(house)
    moved = replace(house, settings=house.settings.model_copy(update={"public_url": "https://elsewhere.example"}))
    signs_in(moved, "alice")
    assert beat(moved) == 1 and name(moved) == "gateway.example/log" and report(moved).whole


def test_a_log_that_lost_its_mark_before_anything_was_signed_goes_on_under_another_name(house: House) -> None:
    assert beat(house) == 0
    house.settings.mark.unlink()
    signs_in(house, "alice", 2)
    with pytest.raises(Frozen, match="has begun"):
        beat(house)
    assert not report(house).whole, "verify says so, too"
    assert restart.restart(house, restart.ended(house), NOW) == "gateway.example/log/2"
    assert beat(house) == 3 and report(house).whole


def test_a_crash_before_the_last_step_and_a_lost_mark_leave_it_frozen(
    restored: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("gateway.log.mark.write", lambda *_: (_ for _ in ()).throw(OSError("power cut")))
        with pytest.raises(OSError, match="power cut"):
            restart.restart(restored, restart.ended(restored), NOW)
    restored.settings.mark.unlink()
    with pytest.raises(Frozen, match="gateway.example/log/2 has begun"):
        beat(restored)
    assert restart.restart(restored, restart.ended(restored), NOW) == "gateway.example/log/3"
    assert beat(restored) > 0 and report(restored).whole


@pytest.mark.parametrize("found", ["elsewhere.example/log", "elsewhere.example/log/2"])
def test_the_mark_of_another_log_is_not_written(restored: House, found: str) -> None:
    mark.write(restored.settings.mark, Mark(6, bytes(32), found))
    with pytest.raises(restart.OtherLog, match=found):
        restart.ended(restored)
    mark.write(restored.settings.mark, Mark(6, bytes(32), "gateway.example/log/7"))
    assert restart.restart(restored, restart.ended(restored), NOW) == "gateway.example/log/8", "a later one of this log"


def test_looking_writes_nothing(house: House) -> None:
    signs_in(house, "alice")
    with pytest.raises(NotFrozen):
        restart.ended(house)
    assert not house.settings.mark.exists()
    assert rows(house, "SELECT 1 FROM logname UNION ALL SELECT 1 FROM logleaf") == []
