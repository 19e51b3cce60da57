"""Asking about a restart writes nothing, and nothing is written to a mark that another gateway signs by."""

import hashlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner, Result

from gateway.app import build_house
from gateway.cli import app
from gateway.cli.opening import alone
from gateway.errors import Unavailable
from gateway.house import House
from gateway.log import Event, mark, readiness
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings
from tests.databases import migrated

Run = Callable[..., Result]


class Live(NamedTuple):
    house: House
    sequencer: Sequencer
    folder: Path

    def records(self) -> None:
        with self.house.store.write() as session:
            self.house.log.record(session, Event("sign_in", "alice", datetime.now(UTC)))

    def goes_on(self) -> bool:
        self.records()
        return self.sequencer.integrate_once() > 0 and readiness.frozen(self.house) == ""


def begins(folder: Path, name: str, **more: object) -> Live:
    settings = Settings(data_dir=folder / name, **more)  # type: ignore[arg-type]
    settings.data_dir.mkdir(mode=0o700)
    migrated(settings)
    house = build_house(settings, create_keys=True)
    made = Live(house, Sequencer(house), folder)
    made.records()
    made.sequencer.integrate_once()
    return made


def ends(live: Live) -> None:
    live.sequencer.stop()
    live.house.store.close()


@pytest.fixture
def aval() -> Run:
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Live]:
    """A gateway that serves, with its keys and its mark in a folder of their own, as in production."""
    monkeypatch.setenv("AVAL_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("AVAL_KEYS_DIR", str(tmp_path / "keys"))
    made = begins(tmp_path, "data")
    with alone(made.house):
        yield made
    ends(made)


def bytes_of(*folders: Path) -> dict[str, str]:
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def copied_with_one_waiting(live: Live, aval: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the gateway's data, made beside it, as the data folder that commands are told of."""
    live.records()
    copy = live.folder / "copy"
    copy.mkdir()
    assert aval("backup", copy / "aval.sqlite3").exit_code == 0
    monkeypatch.setenv("AVAL_DATA_DIR", str(copy))
    return copy


@pytest.mark.parametrize("newer", [False, True])
def test_asking_about_a_copy_writes_nothing_and_the_live_gateway_goes_on(
    live: Live, aval: Run, monkeypatch: pytest.MonkeyPatch, newer: bool
) -> None:
    """`newer`: the gateway has signed more than the copy holds, so the copy alone would be frozen."""
    copy = copied_with_one_waiting(live, aval, monkeypatch)
    if newer:
        live.sequencer.integrate_once()
    before = bytes_of(copy, live.house.keys.folder)
    done = aval("log", "restart")
    assert done.exit_code == 1 and ("--accept 2" if newer else "the log is not frozen") in done.output
    assert bytes_of(copy, live.house.keys.folder) == before
    assert live.goes_on()


def test_the_mark_of_a_running_gateway_is_not_signed_by_on_a_copy(
    live: Live, aval: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = copied_with_one_waiting(live, aval, monkeypatch)
    live.sequencer.integrate_once()
    live.records()
    before = bytes_of(live.house.keys.folder)
    serving = [sys.executable, "-m", "gateway", "serve", "--port", "0"]
    second = subprocess.run(serving, capture_output=True, text=True, timeout=60)
    assert second.returncode == 2 and "another gateway signs by the mark" in second.stderr
    restarted = aval("log", "restart", "--accept", "2")
    assert restarted.exit_code == 2 and "stop that one first" in restarted.output
    assert bytes_of(live.house.keys.folder) == before and not (copy / "log-ended").exists()
    assert live.goes_on()


def test_the_mark_is_free_when_its_gateway_has_ended(live: Live) -> None:
    path = live.folder / "mark"
    with mark.held(path), pytest.raises(Unavailable), mark.held(path):
        pass
    with mark.held(path):
        mark.write(path, mark.nothing("example.org/log"))
        with pytest.raises(Unavailable), mark.held(path):  # although the mark is another file now
            pass


def test_a_lock_that_cannot_be_taken_is_not_passed_over(live: Live) -> None:
    """Such as one that root has left, or a folder in its place: another gateway may hold the mark."""
    path = live.folder / "mark"
    lock = path.with_name("mark.lock")
    lock.mkdir()
    with pytest.raises(Unavailable, match=f"{lock}: cannot be locked"), mark.held(path):
        pass
    lock.rmdir()
    lock.symlink_to(live.folder / "missing" / "lock")
    with pytest.raises(Unavailable, match="remove it when no gateway runs"), mark.held(path):
        pass


def test_where_no_mark_can_be_written_the_gateway_starts_and_its_log_says_why(live: Live) -> None:
    """So that people can still stop what they share."""
    with mark.held(live.folder / "data" / "aval.sqlite3" / "mark"):
        assert live.goes_on()


def test_another_data_folder_is_not_named_beside_these_keys(live: Live, aval: Run, tmp_path: Path) -> None:
    done = aval("log", "restart", "--dir", tmp_path / "copy")
    assert done.exit_code == 2 and "No such option" in done.output


def test_a_mark_of_another_log_is_left_to_its_gateway(
    live: Live, aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AVAL_KEYS_DIR")
    other = begins(tmp_path, "other", public_url="http://other.localhost:8500")
    ends(other)
    monkeypatch.setenv("AVAL_DATA_DIR", str(tmp_path / "other"))
    monkeypatch.setenv("AVAL_MARK_FILE", str(live.house.settings.mark))
    before = mark.read(live.house.settings.mark)
    for accept in ((), ("--accept", 1)):
        done = aval("log", "restart", *accept)
        assert done.exit_code == 2 and "is of another log, localhost/log, and the database of other.loc" in done.output
        assert "AVAL_MARK_FILE" in done.output
    assert mark.read(live.house.settings.mark) == before and live.goes_on()
    assert not (tmp_path / "other" / "log-ended").exists()
    monkeypatch.setenv("AVAL_MARK_FILE", str(tmp_path / "lost"))
    assert aval("log", "restart", "--accept", 1).exit_code == 0, "as it says: with a file that is not there yet"
