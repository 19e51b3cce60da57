"""`aval log restart`: it says what would be accepted, and does nothing that was not said."""

import errno
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from gateway.app import build_house
from gateway.cli import app
from gateway.consent.rules import Act
from gateway.log import Event
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings
from tests.databases import copied, migrated, opened

Run = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder with two entries signed of which one was lost with the newest database."""
    settings = Settings(data_dir=tmp_path / "data")
    (tmp_path / "data").mkdir(mode=0o700)
    migrated(settings)
    house = build_house(settings, create_keys=True)
    sequencer = Sequencer(house)
    for second in (False, True):
        with house.store.write() as session:
            house.log.record(session, Event("sign_in", "alice", datetime.now(UTC)))
        sequencer.integrate_once()
        if not second:
            copied(settings.database, tmp_path / "copy")
    sequencer.stop()
    house.store.close()
    copied(tmp_path / "copy", settings.database)
    return settings.data_dir


@pytest.fixture
def aval(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("AVAL_DATA_DIR", str(folder))
    return lambda *words: CliRunner().invoke(app, list(words))


def test_without_a_number_it_only_says_what_would_be_accepted(aval: Run, folder: Path) -> None:
    done = aval("log", "restart")
    assert done.exit_code == 1
    assert "is frozen" in done.output and "signed: 2 entries; the database holds 1" in done.output
    assert "put the newest database back" in done.output and "--accept 1" in done.output
    assert not (folder / "log-ended").exists()


def test_another_number_than_the_databases_is_refused(aval: Run, folder: Path) -> None:
    assert aval("log", "restart", "--accept", "2").exit_code == 1
    assert not (folder / "log-ended").exists()


def test_what_was_accepted_goes_on_under_another_name(aval: Run, folder: Path) -> None:
    done = aval("log", "restart", "--accept", "1")
    assert done.exit_code == 0, done.output
    assert "localhost/log has ended" in done.output and "localhost/log/2 begins" in done.output
    assert "suspended" in done.output, "that is missing as well"
    assert (folder / "log-ended" / "1" / "statement.note").exists()
    again = aval("log", "restart")
    assert again.exit_code == 1 and "the log is not frozen" in again.output
    assert "whole" in aval("log", "verify").output


def test_where_the_disk_is_full_it_says_so_and_the_same_command_goes_on(
    aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, lines: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("gateway.log.restart._write", full)
        done = aval("log", "restart", "--accept", "1")
    assert done.exit_code == 2
    assert "checkpoints.jsonl: No space left on device; the restart of localhost/log was broken off" in done.output
    done = aval("log", "restart", "--accept", "1")
    assert done.exit_code == 0, done.output
    assert {path.name for path in (folder / "log-ended").iterdir()} == {"1", "1-2"}
    assert (folder / "log-ended" / "1-2" / "statement.note").exists()


@pytest.mark.parametrize("asked", [False, True])
def test_broken_off_before_the_mark_the_same_command_goes_on(
    aval: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    """`asked`: how to go on is asked before, and the number that is told then is another."""

    def full(path: Path, _: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("gateway.log.mark.write", full)
        done = aval("log", "restart", "--accept", "1")
    assert done.exit_code == 2 and "the restart of localhost/log was broken off" in done.output
    accept = "1"
    if asked:
        done = aval("log", "restart")
        assert done.exit_code == 1 and "localhost/log has ended, and localhost/log/2 has begun with 2" in done.output
        accept = done.output.split()[-1]
        assert "only the mark of localhost/log/2 is missing" in done.output and accept == "2"
    done = aval("log", "restart", "--accept", accept)
    assert done.exit_code == 0, done.output
    assert "localhost/log has ended" in done.output and "localhost/log/2 begins with these 2 entries" in done.output
    assert {path.name for path in (folder / "log-ended").iterdir()} == {"1"}
    assert "the log is not frozen" in aval("log", "restart").output


def test_pauses_by_a_restart_that_is_over_are_not_taken_for_those_of_this_one(aval: Run, folder: Path) -> None:
    assert aval("log", "restart", "--accept", "1").exit_code == 0
    with opened(folder / "aval.sqlite3") as connection:  # one of its pauses; its new log has no checkpoint yet
        connection.execute(
            "INSERT INTO consentevent (consent_id, seq, type, at, actor, reason, version, prev_sha256, sha256)"
            " VALUES ('c', 1, ?, '2026-01-01 00:00:00', 'operator', '', 0, '', '')",
            (Act.PAUSED,),
        )
    Settings(data_dir=folder).mark.unlink()
    done = aval("log", "restart")
    assert "the database holds 2, 0 of them signed\n" in done.output and "--accept 2" in done.output, done.output


def test_not_beside_a_running_gateway(aval: Run, folder: Path) -> None:
    house = build_house(Settings(data_dir=folder))
    house.store.claim()
    done = aval("log", "restart", "--accept", "1")
    house.store.close()
    assert done.exit_code == 2 and "another gateway already serves" in done.output
    assert not (folder / "log-ended").exists()


def test_not_as_long_as_the_mark_cannot_be_read(aval: Run, folder: Path) -> None:
    marked = Settings(data_dir=folder).mark
    marked.unlink()
    marked.mkdir()
    done = aval("log", "restart", "--accept", "1")
    assert done.exit_code == 2 and f"{marked}: cannot be read" in done.output
    assert not (folder / "log-ended").exists()
