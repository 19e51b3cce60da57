"""Files that are watched: read when they have changed and stand still, told once when they have a fault."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway import rereading
from gateway.errors import Unavailable
from gateway.rereading import NotTaken, Watched


class Lines:
    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def error(self, event: str, **more: Any) -> None:
        self.told.append(("error", more["faults"]))

    def info(self, event: str, **more: Any) -> None:
        self.told.append(("info", event))


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    made = Lines()
    monkeypatch.setattr(rereading, "logger", lambda: made)
    return made


class Part:
    """One file. `fails` raises while it is taken, `meanwhile` happens while it is read."""

    def __init__(self, path: Path) -> None:
        self.path, self.taken, self.reads = path, list[str](), 0
        self.fails: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self.watched = Watched("parts", lambda: [path], self.read)

    def read(self) -> Callable[[], None]:
        self.reads += 1
        text = self.path.read_text()
        self.meanwhile()
        if "fault" in text:
            raise NotTaken([text])
        return lambda: self.take(text)

    def take(self, text: str) -> None:
        if self.fails:
            raise self.fails
        self.taken.append(text)

    def looks(self, times: int = 1) -> list[str]:
        for _ in range(times):
            self.watched.look()
        return self.taken


@pytest.fixture
def part(tmp_path: Path, lines: Lines) -> Part:
    (tmp_path / "file").write_text("first")
    return Part(tmp_path / "file")


def test_a_file_is_read_once_it_has_stood_still_for_one_look_and_not_again(part: Part) -> None:
    assert part.looks() == [] and part.looks() == ["first"]
    assert part.looks(5) == ["first"] and part.reads == 1
    part.path.write_text("second")
    assert part.looks() == ["first"]
    part.path.write_text("third, a moment later")
    assert part.looks() == ["first"], "it still changes"
    assert part.looks() == ["first", "third, a moment later"] and part.reads == 2


def test_a_file_of_the_same_size_and_time_in_place_of_another_is_seen(part: Part) -> None:
    part.looks(2)
    at = part.path.stat().st_mtime
    other = part.path.with_name("other")
    other.write_text("FIRST")
    other.replace(part.path)
    os.utime(part.path, (at, at))
    assert part.looks(2) == ["first", "FIRST"]


def test_what_changes_while_it_is_read_is_not_taken(part: Part) -> None:
    part.meanwhile = lambda: part.path.write_text(f"changed {part.reads}")
    assert part.looks(2) == []
    part.meanwhile = lambda: None
    assert part.looks(2) == ["changed 1"]


def test_a_fault_is_told_once_for_each_change_and_what_was_there_goes_on(part: Part, lines: Lines) -> None:
    part.looks(2)
    part.path.write_text("a fault")
    assert part.looks(6) == ["first"] and part.reads == 2
    assert lines.told == [("error", ["a fault"])] and part.watched.fault() == "a fault"
    part.path.write_text("another fault")
    part.looks(4)
    assert lines.told[1:] == [("error", ["another fault"])]
    part.path.write_text("right again")
    assert part.looks(2) == ["first", "right again"] and part.watched.fault() == ""
    assert lines.told[2:] == [("info", "parts have no fault any more")]


def test_what_cannot_be_taken_now_is_tried_again_and_told_once(part: Part, lines: Lines) -> None:
    part.fails = Unavailable("the database is away")
    assert part.looks(5) == [] and lines.told == [("error", ["the database is away"])]
    part.fails = None
    assert part.looks() == ["first"] and part.watched.fault() == ""


def test_a_bug_in_the_reading_is_told_without_what_the_file_holds(part: Part, lines: Lines) -> None:
    part.fails = KeyError("a secret word")
    assert part.looks(5) == [] and lines.told == [("error", ["cannot be read: KeyError"])]


def test_a_file_that_is_gone_is_a_change(part: Part, lines: Lines) -> None:
    part.looks(2)
    part.path.unlink()
    assert part.looks(4) == ["first"]
    assert lines.told == [("error", ["cannot be read: FileNotFoundError"])]
