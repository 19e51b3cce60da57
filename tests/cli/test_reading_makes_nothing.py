"""A command that only reads, or that needs what is there already, makes no gateway where there is none."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import APPS, Aval

from gateway.cli import demo_setup

Run = Callable[..., Aval]
READING: list[tuple[str | Path, ...]] = [
    ("apps", "list"),
    ("apps", "add", APPS / "watt-coach.toml"),
    ("apps", "suspend", "watt-coach", "--reason", "Checked."),
    ("apps", "resume", "watt-coach"),
    ("apps", "renew-secret", "watt-coach"),
    ("apps", "preview", "watt-coach", "--request", "request.json", "--out", "page.html"),
    ("organisations", "list"),
    ("organisations", "show", "city-energy"),
    ("organisations", "suspend", "city-energy", "--reason", "Checked."),
    ("organisations", "resume", "city-energy"),
    ("people", "list"),
    ("people", "guardian", "chloe@example.org", "--by", ""),
    ("log", "show", "--person", "alice@example.org"),
    ("log", "restart"),
    ("log", "verify"),
    ("keys", "list"),
    ("backup", "copy.sqlite3"),
]


@pytest.mark.parametrize("command", READING, ids=lambda command: " ".join(map(str, command[:2])))
def test_where_there_is_no_gateway_it_is_said_and_nothing_is_made(
    aval: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str | Path, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    named = aval(*command)
    assert named.code == 2 and not named.out
    assert named.err.startswith(f"aval: {folder}: no gateway has its data there (named by AVAL_DATA_DIR)")
    monkeypatch.delenv("AVAL_DATA_DIR")
    unnamed = aval(*command)
    assert unnamed.code == 2 and "AVAL_DATA_DIR is not set" in unnamed.err and "aval serve" in unnamed.err
    assert not list(tmp_path.iterdir())


def test_a_folder_named_on_the_command_line_is_told_as_such(aval: Run, tmp_path: Path) -> None:
    done = aval("log", "verify", "--dir", tmp_path / "mistyped")
    assert done.code == 2 and f"{tmp_path / 'mistyped'}: no gateway" in done.err and "by --dir" in done.err
    done = aval("log", "show", "--person", "alice@example.org", "--dir", tmp_path / "mistyped")
    assert done.code == 2 and f"{tmp_path / 'mistyped'}/aval.sqlite3: there is no such copy" in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [("apps", "list"), ("keys", "list"), ("log", "verify"), ("doctor",), ("migrate",)])
def test_beside_a_demo_its_folder_is_told_before_anything_else(
    aval: Run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AVAL_DATA_DIR")
    running = demo_setup.prepare(Path(".demo"), 0)
    try:
        told = aval(*command).err.splitlines()[0]
    finally:
        demo_setup.stop(running)
    assert f"export AVAL_DATA_DIR={tmp_path / '.demo' / 'gateway'} AVAL_PUBLIC_URL={running.url('gateway')}" in told
    assert command == ("migrate",) or not (tmp_path / ".aval").exists()


def test_what_is_all_right_comes_without_advice(aval: Run, begun: Path) -> None:
    """`aval doctor`: what is to be done stands below a warning or a failure, never in a line that says "ok"."""
    lines = aval("doctor").out.splitlines()
    assert any(line.startswith("ok    mark: ") for line in lines)
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("ok"):
            assert "takes both back" not in line and "; compiled" not in line and "→" not in below


def test_the_folder_one_stands_in_may_be_named(
    aval: Run, folder: Path, begun: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("AVAL_DATA_DIR", ".")
    assert aval("people", "list").out == "Nobody yet: aval people add ADDRESS --name NAME\n"
