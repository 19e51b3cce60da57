"""`aval log`: whole, tampered with, or not to be checked; each with its exit code."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cli_run import Aval

from gateway.app import build_house
from gateway.log import Event
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings
from tests.databases import opened

Run = Callable[..., Aval]


@pytest.fixture
def log(aval: Run, folder: Path) -> Path:
    """Two people, seven entries, two checkpoints."""
    for email, name in (("alice@example.org", "Alice Martin"), ("bob@example.org", "Bob Leroy")):
        assert aval("people", "add", email, "--name", name, stdin="correct horse battery\n").code == 0
    house = build_house(Settings())
    sequencer = Sequencer(house)
    for _ in range(2):
        with house.store.write() as session:
            for person, email in session.connection().exec_driver_sql("SELECT id, email FROM person").all():
                facts = {"client": "watt-coach", "client_name": "Watt Coach", "organisation": "city-energy"}
                facts |= {"datasets": ["energy.point"]} if email.startswith("alice") else {}
                house.log.record(session, Event("access", person, datetime.now(UTC), "app", facts))
        sequencer.integrate_once()
    sequencer.stop()
    house.store.close()
    return folder


def tampered(folder: Path, sql: str) -> None:
    with opened(folder / "aval.sqlite3") as connection:
        connection.execute(sql)


def test_a_whole_log_ends_0(aval: Run, log: Path) -> None:
    done = aval("log", "verify")
    assert done.code == 0 and done.out.endswith("whole: signed up to 6\n") and not done.err
    found = json.loads(aval("log", "verify", "--json").out)
    assert found["whole"] and found["entries"] == found["opened"] == 6 and found["findings"] == []


def test_a_tampered_log_ends_1_and_names_the_index(aval: Run, log: Path) -> None:
    tampered(log, "UPDATE logentry SET salt = zeroblob(32) WHERE id = 4")
    done = aval("log", "verify")
    assert done.code == 1 and "index 3: its payload does not fit its commitment" in done.out
    assert json.loads(aval("log", "verify", "--json").out)["findings"][0]["index"] == 3


def test_a_copy_elsewhere_is_checked_with_the_keys_at_home(aval: Run, log: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(log / "aval.sqlite3", copy / "aval.sqlite3")
    done = aval("log", "verify", "--dir", copy)
    assert done.code == 0 and "6 payloads opened" in done.out and "high-water mark is not at hand" in done.out
    shutil.copytree(log / "keys", copy / "keys")
    shutil.copy(Settings().mark, copy / "keys" / "log.high-water")
    done = aval("log", "verify", "--dir", copy)
    assert done.code == 0 and "high-water mark" not in done.out


def test_the_folder_in_use_is_checked_with_its_mark_however_it_is_named(aval: Run, log: Path) -> None:
    assert "high-water mark" not in aval("log", "verify", "--dir", log).out
    assert "high-water mark" not in aval("log", "verify", "--keys", log / "keys").out
    Settings().mark.unlink()
    for named in ((), ("--dir", log), ("--keys", log / "keys")):
        done = aval("log", "verify", *named)
        assert done.code == 1 and "the high-water mark is missing, and a tree was signed" in done.out


def test_without_the_sealing_key_the_tree_is_checked_and_the_rest_is_said(aval: Run, log: Path) -> None:
    (log / "keys" / "kek.hex").unlink()
    done = aval("log", "verify")
    assert done.code == 0 and "payloads were not opened" in done.out


def test_with_nothing_but_the_verifier_key_the_signatures_are_checked(aval: Run, log: Path, tmp_path: Path) -> None:
    [vkey] = [row["public"] for row in json.loads(aval("keys", "list", "--json").out) if row["for"] == "log"]
    shutil.move(log / "keys", tmp_path / "away")
    assert aval("log", "verify", "--key", vkey).code == 0
    without = aval("log", "verify")
    assert without.code == 2 and "public key is not at hand" in without.out
    assert aval("log", "verify", "--key", vkey[:-1]).code == 2


def test_a_kept_checkpoint_is_compared(aval: Run, log: Path, tmp_path: Path) -> None:
    with opened(log / "aval.sqlite3") as connection:
        [(note,)] = connection.execute("SELECT note FROM logcheckpoint WHERE size = 4").fetchall()
    kept = tmp_path / "kept.txt"
    kept.write_text(note)
    assert aval("log", "verify", "--checkpoint", kept).code == 0
    kept.write_text(note.replace("localhost", "elsewhere"))
    assert aval("log", "verify", "--checkpoint", kept).code == 2
    assert aval("log", "verify", "--checkpoint", tmp_path / "absent.txt").code == 2


@pytest.mark.parametrize("content", [None, b"", b"not a database, not at all, and long enough to look like one" * 9])
def test_what_is_no_log_ends_2(aval: Run, folder: Path, content: bytes | None) -> None:
    folder.mkdir()
    if content is not None:
        (folder / "aval.sqlite3").write_bytes(content)
    done = aval("log", "verify")
    assert done.code == 2 and done.err.startswith("aval: ") and "Traceback" not in done.err


def test_one_persons_log_is_read_in_sentences_and_she_can_see_that_it_was(aval: Run, log: Path) -> None:
    done = aval("log", "show", "--person", "alice@example.org")
    assert "Watt Coach read your" in done.out and "Bob" not in done.out
    assert "The operator of this service read your access log." in done.out.splitlines()[0]
    french = aval("log", "show", "--person", "alice@example.org", "--language", "fr", "--limit", "3").out.splitlines()
    assert len(french) == 3 and "Watt Coach a lu vos données" in french[-1]
    payloads = aval("log", "show", "--person", "alice@example.org", "--json").out.splitlines()
    assert json.loads(payloads[-1])["event"] == "registered"
    assert aval("log", "show", "--person", "mallory@example.org").code == 1
    assert aval("log", "show", "--person", "alice@example.org", "--language", "de").code == 2


def test_a_copy_is_shown_as_it_lies_there_and_the_reading_is_recorded_here(
    aval: Run, log: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    assert aval("backup", copy / "aval.sqlite3").code == 0
    before = (copy / "aval.sqlite3").read_bytes()
    shown = aval("log", "show", "--person", "alice@example.org", "--dir", copy)
    assert shown.code == 0 and len(shown.out.splitlines()) == 3 and "read your access log" not in shown.out
    assert [path.name for path in copy.iterdir()] == ["aval.sqlite3"]
    assert (copy / "aval.sqlite3").read_bytes() == before
    here = aval("log", "show", "--person", "alice@example.org", "--json").out.splitlines()
    assert [json.loads(line)["event"] for line in here[:3]] == ["log_read", "log_read", "access"]
    assert len(aval("log", "show", "--person", "alice@example.org", "--dir", log).out.splitlines()) == 6


@pytest.mark.parametrize("content", [b"", b"not a database, not at all, and long enough to look like one" * 9])
def test_what_is_no_copy_of_a_log_is_not_shown(aval: Run, log: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "aval.sqlite3").write_bytes(content)
    done = aval("log", "show", "--person", "alice@example.org", "--dir", tmp_path)
    assert done.code == 2 and done.err.startswith(f"aval: {tmp_path}/aval.sqlite3: ") and not done.out


def test_a_copy_of_another_gateway_holds_nothing_of_this_ones_people(aval: Run, log: Path, tmp_path: Path) -> None:
    shutil.copy(log / "aval.sqlite3", tmp_path / "aval.sqlite3")
    tampered(tmp_path, "UPDATE logentry SET person_id = 'x' || person_id")
    done = aval("log", "show", "--person", "alice@example.org", "--dir", tmp_path)
    assert done.code == 1 and "only a copy of this gateway's own data" in done.err and not done.out
