"""A log is called whole only where that was proved: `aval log verify` and `aval backup` say the same."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_run import Aval

from gateway.app import build_house
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings

Run = Callable[..., Aval]


@pytest.fixture
def signed(aval: Run, begun: Path) -> Path:
    """A data folder whose log was signed once."""
    assert aval("people", "add", "alice@example.org", "--name", "Alice", stdin="correct horse battery\n").code == 0
    house = build_house(Settings())
    sequencer = Sequencer(house)
    sequencer.integrate_once()
    sequencer.stop()
    house.store.close()
    return begun


def test_without_the_logs_key_nothing_is_called_whole(aval: Run, signed: Path, tmp_path: Path) -> None:
    assert "whole: signed up to 1" in aval("log", "verify").out
    (signed / "keys" / "log.pem").rename(tmp_path / "log.pem")
    done = aval("log", "verify")
    assert done.code == 2 and done.out.splitlines()[-1] == (
        "not proved whole: no fault was found, but not checked: signatures: the log's public key is not at hand"
    )
    assert json.loads(aval("log", "verify", "--json").out)["whole"] is None
    copied = aval("backup", tmp_path / "copy.sqlite3")
    assert copied.code == 1 and "not proved whole: signatures" in copied.err and not copied.out
    assert (tmp_path / "copy.sqlite3").exists()


def test_with_a_public_key_alone_it_says_what_was_not_opened(aval: Run, signed: Path, tmp_path: Path) -> None:
    (public,) = [line.split()[-1] for line in aval("keys", "list").out.splitlines() if line.startswith("log ")]
    copy = tmp_path / "copy" / "aval.sqlite3"
    copy.parent.mkdir()
    assert aval("backup", copy).code == 0
    (signed / "keys").rename(tmp_path / "keys")
    done = aval("log", "verify", "--dir", copy.parent, "--key", public)
    assert done.code == 0 and done.out.splitlines()[-1] == (
        "tree and signatures whole, payloads not opened: signed up to 1"
    )


def test_a_checkpoint_that_cannot_be_read_proves_nothing(aval: Run, signed: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_text("no checkpoint\n")
    done = aval("log", "verify", "--checkpoint", kept)
    assert done.code == 2 and "not proved whole: no fault was found, but not checked: a kept" in done.out


@pytest.mark.parametrize("served", [False, True])
@pytest.mark.parametrize("accept", [(), ("--accept", "6")])
def test_a_log_that_is_not_frozen_is_not_restarted_and_that_is_said_first(
    aval: Run, signed: Path, served: bool, accept: tuple[str, ...]
) -> None:
    house = build_house(Settings(data_dir=signed))
    if served:
        house.store.claim()
    try:
        done = aval("log", "restart", *accept)
    finally:
        house.store.close()
    assert done.code == 1 and done.err == "aval: the log is not frozen\n"
    assert not (signed / "log-ended").exists()
