"""`aval backup`: one checked file that holds all that was acknowledged, taken also from under a running gateway."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import ROOT, Aval, Gateway

from gateway.app import build_house
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings
from tests.databases import opened
from tests.ports import free_port

Run = Callable[..., Aval]


def added(aval: Run, name: str) -> None:
    done = aval("people", "add", f"{name.lower()}@example.org", "--name", name, stdin="correct horse battery\n")
    assert done.code == 0, done.err


@pytest.fixture
def database(aval: Run, folder: Path) -> Path:
    """With Alice, whose entry is signed."""
    added(aval, "Alice")
    house = build_house(Settings())
    sequencer = Sequencer(house)
    sequencer.integrate_once()
    sequencer.stop()
    house.store.close()
    return folder / "aval.sqlite3"


def names(path: Path) -> list[str]:
    with opened(path) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM person ORDER BY name")]


def test_the_copy_is_one_private_file_that_holds_everybody(aval: Run, database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    done = aval("backup", copy)
    assert done.code == 0 and "whole" in done.out and done.out.startswith(f"{copy}: "), done.err
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("copy*")] == [copy.name]
    assert names(copy) == ["Alice"]


def test_a_file_that_is_there_is_replaced_only_when_told(aval: Run, database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    copy.write_text("dear")
    done = aval("backup", copy)
    assert done.code == 2 and "--force" in done.err and copy.read_text() == "dear"
    assert aval("backup", copy, "--force").code == 0 and names(copy) == ["Alice"]


@pytest.mark.parametrize("name", ["aval.sqlite3", "aval.sqlite3-wal"])
def test_the_gateways_own_files_are_never_replaced(aval: Run, database: Path, name: str) -> None:
    before = database.read_bytes()
    assert aval("backup", database.with_name(name), "--force").code == 2
    assert database.read_bytes() == before and not database.with_name("aval.sqlite3-wal").exists()


def test_where_there_is_nothing_or_nowhere_to_copy_a_sentence_says_so(
    aval: Run, database: Path, folder: Path, tmp_path: Path
) -> None:
    nowhere = aval("backup", tmp_path / "missing" / "copy.sqlite3")
    assert nowhere.code == 2 and "no copy was made" in nowhere.err
    shutil.rmtree(folder)
    nothing = aval("backup", tmp_path / "copy.sqlite3")
    assert nothing.code == 2 and "no gateway has its data there" in nothing.err and not list(tmp_path.glob("copy*"))


def test_a_copy_that_cannot_be_checked_is_not_kept(aval: Run, database: Path, tmp_path: Path) -> None:
    Settings().mark.write_text("no mark")
    done = aval("backup", tmp_path / "copy.sqlite3")
    assert done.code == 2 and str(Settings().mark) in done.err and not list(tmp_path.glob("copy*"))


def test_a_damaged_database_gives_no_copy(aval: Run, database: Path, tmp_path: Path) -> None:
    with opened(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'logentry'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)
    done = aval("backup", tmp_path / "copy.sqlite3")
    assert done.code == 2 and not list(tmp_path.glob("copy*"))


def test_rows_that_refer_to_nothing_give_no_copy_and_are_named(aval: Run, database: Path, tmp_path: Path) -> None:
    with opened(database) as connection:
        connection.execute("INSERT INTO recoverycode VALUES ('k', 'nobody', '2026-01-01 00:00:00')")
    done = aval("backup", tmp_path / "copy.sqlite3")
    assert done.code == 2 and not list(tmp_path.glob("copy*"))
    assert "a row of table recoverycode refers to a person that is not there (person_id 'nobody')" in done.err
    assert "Another program has deleted rows: put back a copy" in done.err


def test_of_a_table_without_numbers_of_rows_the_same_is_told(aval: Run, database: Path, tmp_path: Path) -> None:
    with opened(database) as connection:
        connection.execute("INSERT INTO use VALUES ('gone', '', 'day', 0, 1), ('gone', '', 'day', 1, 1)")
    done = aval("backup", tmp_path / "copy.sqlite3")
    assert done.code == 2 and not list(tmp_path.glob("copy*"))
    assert "2 rows of table use refer to a consent that is not there (consent_id); no copy was made" in done.err
    assert "2 rows of table use refer to a consent" in aval("doctor").out


def test_a_log_that_was_tampered_with_is_copied_and_told(aval: Run, database: Path, tmp_path: Path) -> None:
    with opened(database) as connection:
        connection.execute("UPDATE logentry SET commitment = zeroblob(32)")
    done = aval("backup", tmp_path / "copy.sqlite3")
    assert done.code == 1 and "NOT whole" in done.err and names(tmp_path / "copy.sqlite3") == ["Alice"]


def test_a_copy_from_under_a_running_gateway_outlives_its_kill_and_can_be_put_back(
    aval: Run, database: Path, folder: Path, tmp_path: Path
) -> None:
    gateway = Gateway(folder, tmp_path / "first.log", free_port()).until_ready()
    copy = tmp_path / "copy.sqlite3"
    try:
        there = {path.name: path.stat().st_ino for path in folder.glob("aval.sqlite3*")}
        added(aval, "Bob")  # only in the write-ahead log
        command = [sys.executable, "-m", "gateway", "backup", str(copy)]
        made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert made.returncode == 0 and "whole" in made.stdout, made.stderr
        assert {path.name: path.stat().st_ino for path in folder.glob("aval.sqlite3*")} == there
        assert gateway.get("/readyz").status_code == 200
    finally:
        gateway.ends(signal.SIGKILL)
    for path in folder.glob("aval.sqlite3*"):
        path.unlink()
    shutil.move(copy, database)
    again = Gateway(folder, tmp_path / "again.log", free_port())
    assert again.until_alive().ends() == 0
    assert names(database) == ["Alice", "Bob"]
