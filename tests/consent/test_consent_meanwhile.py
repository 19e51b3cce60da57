"""What was stopped on a frozen log: nothing acknowledged is lost from the list, and the list never stops a stop."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.consent import meanwhile
from gateway.consent.actors import Actor, herself
from gateway.consent.meanwhile import Done
from gateway.settings import Settings

FIRST = Done("consent", "c1", "ended", herself("alice"), "withdrawn", datetime(2026, 11, 28, 10, 0, tzinfo=UTC))
SECOND = Done(
    "link", "c2", "paused", Actor("guardian", "alice", "guardian"), "", datetime(2026, 11, 28, 10, 0, 1, tzinfo=UTC)
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(mark_file=tmp_path / "mark")


def test_what_was_kept_is_there_in_order_until_it_is_forgotten(settings: Settings) -> None:
    assert meanwhile.kept(settings) == []
    meanwhile.keep(settings, FIRST)
    meanwhile.keep(settings, SECOND)
    assert meanwhile.kept(settings) == [FIRST, SECOND]
    assert meanwhile.path(settings).stat().st_mode & 0o777 == 0o600
    meanwhile.forget(settings)
    assert meanwhile.kept(settings) == []


def test_a_line_cut_off_by_a_crash_takes_no_other_with_it(settings: Settings) -> None:
    meanwhile.keep(settings, FIRST)
    with meanwhile.path(settings).open("ab") as file:
        file.write(b'\n{"what":"consent","id":"c3","act":"en')
    meanwhile.keep(settings, SECOND)
    assert meanwhile.kept(settings) == [FIRST, SECOND]


def test_where_it_cannot_be_written_she_still_stops(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    meanwhile.path(settings).mkdir()
    meanwhile.keep(settings, FIRST)
    assert "in its database only" in caplog.text and "c1" not in caplog.text
