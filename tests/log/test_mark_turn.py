"""A process that was stopped while it had the turn of the mark: the others say so, and go on when it has gone."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.house import House
from gateway.log import mark, sequencer
from gateway.log.sequencer import Sequencer
from tests.postgres import until

pytestmark = pytest.mark.sqlite  # by a store that says it is not alone
STOPS = (
    "import os, pathlib, signal, sys; from gateway.log import mark;"
    "turn = mark.turn(pathlib.Path(sys.argv[1]), alone=False); turn.__enter__();"
    "print('has it', flush=True); os.kill(os.getpid(), signal.SIGSTOP)"
)


@pytest.fixture
def stopped(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[str]"]:
    monkeypatch.setattr(mark, "TURN_SECONDS", 0.3)
    monkeypatch.setattr(house.store, "alone", False)
    command = [sys.executable, "-c", STOPS, str(house.settings.mark)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "has it\n"
        yield process
        process.kill()


def test_the_turn_is_not_waited_for_for_ever_and_its_holder_is_named(
    house: House, stopped: "subprocess.Popen[str]"
) -> None:
    began = time.monotonic()
    named = f"process {stopped.pid} on {os.uname().nodename} has"
    with pytest.raises(mark.TurnHeld, match=named), mark.turn(house.settings.mark, alone=False):
        pass
    assert time.monotonic() - began < 2
    stopped.send_signal(signal.SIGCONT)
    stopped.wait(20)
    with mark.turn(house.settings.mark, alone=False):
        pass


def test_a_sequencer_without_its_turn_says_so_once_and_signs_when_it_comes(
    house: House,
    recorded: Callable[..., None],
    stopped: "subprocess.Popen[str]",
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sequencer, "BEAT_SECONDS", 0.01)
    signing = Sequencer(house)
    close, given_up = signing._lead.close, []
    monkeypatch.setattr(signing._lead, "close", lambda: given_up.append(1))  # that of SQLite cannot be had again
    signing.start()
    try:
        recorded("alice")
        until(lambda: "does not give it back" in signing.fault(), "the sequencer says why nothing is signed")
        time.sleep(0.7)
        said = [line for line in caplog.records if "log not signed" in line.message]
        assert [line.levelname for line in said] == ["ERROR"]
        assert f"process {stopped.pid}" in said[0].message and "kill -CONT" in said[0].message
        assert given_up and not signing.frozen
        stopped.kill()
        until(lambda: mark_size(house.settings.mark) == 1, "the entry is signed")
        until(lambda: not signing.fault(), "all is well")
    finally:
        stopped.kill()
        monkeypatch.setattr(signing._lead, "close", close)
        signing.stop()


def test_a_mark_that_begins_beside_a_signed_log_is_told_once(
    house: House, recorded: Callable[..., None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(house.store, "alone", False)
    signing, following = Sequencer(house), Sequencer(house)
    monkeypatch.setattr(following._lead, "taken", lambda: None)
    try:
        recorded("one")
        signing.integrate_once()
        assert not caplog.records, "a new log has its mark first"
        for beats in (signing, following):
            house.settings.mark.unlink()
            beats.integrate_once()
            [said] = caplog.records
            assert f"there was no mark at {house.settings.mark}, and 1 entries are signed" in said.message
            caplog.clear()
            beats.integrate_once()
            assert not caplog.records
    finally:
        signing.stop()
        following.stop()


def test_whoever_follows_says_nothing_while_the_leader_may_wait_for_a_commit(
    house: House,
    stopped: "subprocess.Popen[str]",
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sequencer, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(sequencer, "LONGEST_SECONDS", 1.5)
    following = Sequencer(house)
    monkeypatch.setattr(following._lead, "taken", lambda: None)
    house.log.frozen = "as it was found"
    began = time.monotonic()
    following._beat()
    following._beat()
    assert time.monotonic() - began < 1.5
    assert following._failed == "" and not caplog.records
    assert following.frozen == "as it was found"  # nobody has looked
    while time.monotonic() - began < 1.5:
        following._beat()
    assert "waits for the database" in following._failed and "log not signed" in caplog.text
    stopped.kill()
    following._beat()
    assert following._failed == "" and following.frozen == ""


def test_a_start_beside_the_beat_of_a_leader_freezes_nothing(
    house: House,
    recorded: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(house.store, "alone", False)
    leader, starting = Sequencer(house), Sequencer(house)
    leader.integrate_once()
    read, beats = mark.read, [leader.integrate_once]

    def between(path: Path) -> mark.Mark | None:
        if beats:
            recorded("alice")
            beats.pop()()
        return read(path)

    monkeypatch.setattr(mark, "read", between)
    starting._check()
    assert not beats and not starting.frozen and not caplog.records
    leader.stop()


def mark_size(path: Path) -> int:
    found = mark.read(path)
    return found.size if found else 0


def test_a_sequencer_without_its_turn_can_be_stopped(house: House, stopped: "subprocess.Popen[str]") -> None:
    signing = Sequencer(house)
    signing.start()
    began = time.monotonic()
    signing.stop()
    assert time.monotonic() - began < 3


def test_a_beat_that_hangs_is_said(
    house: House, sequencer: Sequencer, recorded: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.log.sequencer.LONGEST_SECONDS", 0.1)
    write = mark.write

    def hangs(path: Path, what: mark.Mark) -> None:
        time.sleep(0.5)
        write(path, what)

    monkeypatch.setattr(mark, "write", hangs)
    recorded("alice")
    monkeypatch.setattr("gateway.log.sequencer.BEAT_SECONDS", 0.01)
    sequencer.start()
    until(lambda: "a beat hangs" in sequencer.fault(), "it says so")
    sequencer.stop()
