"""What was stopped on a frozen log: nothing acknowledged is lost from the list, and the list never stops a stop."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.consent import meanwhile
from gateway.consent.actors import Actor, herself
from gateway.consent.meanwhile import Done
from gateway.ground.keys import KeyRing
from gateway.log import Log

FIRST = Done("consent", "c1", "ended", herself("alice"), "withdrawn", datetime(2026, 11, 28, 10, 0, tzinfo=UTC))
SECOND = Done(
    "link", "c2", "paused", Actor("guardian", "alice", "guardian"), "", datetime(2026, 11, 28, 10, 0, 1, tzinfo=UTC)
)


@pytest.fixture
def log(tmp_path: Path, keys: KeyRing) -> Log:
    made = Log(keys, tmp_path / "mark")
    made.frozen = "a tree of 9 was signed; the database only knows one of 3"
    return made


def test_what_was_kept_is_there_in_order_until_it_is_forgotten(log: Log) -> None:
    assert meanwhile.kept(log) == []
    meanwhile.keep(log, FIRST)
    meanwhile.keep(log, SECOND)
    assert meanwhile.kept(log) == [FIRST, SECOND]
    assert meanwhile.path(log).stat().st_mode & 0o777 == 0o600
    meanwhile.forget(log)
    assert meanwhile.kept(log) == []


def test_on_a_log_that_is_whole_nothing_is_kept(log: Log) -> None:
    log.frozen = ""
    meanwhile.keep(log, FIRST)
    assert not meanwhile.path(log).exists()


def test_a_line_cut_off_by_a_crash_takes_no_other_with_it(log: Log) -> None:
    meanwhile.keep(log, FIRST)
    with meanwhile.path(log).open("ab") as file:
        file.write(b'\n{"what":"consent","id":"c3","act":"en')
    meanwhile.keep(log, SECOND)
    assert meanwhile.kept(log) == [FIRST, SECOND]


def test_where_it_cannot_be_written_she_still_stops(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    meanwhile.path(log).mkdir()
    meanwhile.keep(log, FIRST)
    assert "in its database only" in caplog.text and "c1" not in caplog.text
