"""`aval doctor`: each thing that is wrong is named, with what to do about it."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cli_run import ORGANISATIONS, Aval

from gateway.app import build_house
from gateway.ground.keys import KeyRing
from gateway.log import mark
from gateway.log.mark import Mark
from gateway.log.sequencer import Sequencer
from gateway.settings import Settings, shipped_policies
from tests.databases import opened

Run = Callable[..., Aval]


def found(aval: Run) -> dict[str, dict[str, str]]:
    return {row["name"]: row for row in map(json.loads, aval("doctor", "--json").out.splitlines())}


@pytest.fixture
def database(aval: Run, folder: Path) -> Path:
    aval("people", "add", "alice@example.org", "--name", "Alice Martin", stdin="correct horse battery\n")
    return folder / "aval.sqlite3"


def change(database: Path, sql: str, *values: object) -> None:
    with opened(database) as connection:
        connection.execute(sql, values)


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(aval: Run, folder: Path) -> None:
    done = aval("doctor")
    assert done.code == 0 and "`aval serve` makes" in done.out and not folder.exists()


def test_before_the_first_start_nobody_is_sent_to_look_for_keys_that_never_were(aval: Run, folder: Path) -> None:
    assert aval("migrate").code == 0
    keys = found(aval)["keys"]
    assert keys["status"] == "warn" and "makes them at its first start" in keys["do"], keys
    assert not (folder / "keys").exists()


def test_a_healthy_gateway_has_only_oks(aval: Run, database: Path) -> None:
    checks = found(aval)
    assert {row["status"] for row in checks.values()} == {"ok"}, checks
    assert set(checks) == {
        *(
            "python",
            "data plane",
            "sqlite",
            "mark",
            "settings",
            "public_url",
            "data_dir",
            "keys",
            "token keys",
            "policies",
            "schema",
            "clock",
            "log",
        )
    }


def test_key_files_that_others_can_read_fail(aval: Run, database: Path, folder: Path) -> None:
    (folder / "keys" / "log.pem").chmod(0o640)
    done = aval("doctor")
    assert done.code == 1 and f"chmod 600 {folder / 'keys' / 'log.pem'}" in done.out


def test_a_missing_key_fails(aval: Run, database: Path, folder: Path) -> None:
    (folder / "keys" / "root.hex").unlink()
    assert found(aval)["keys"]["status"] == "fail"


def test_all_keys_gone_from_a_database_in_use_fails(aval: Run, database: Path, folder: Path) -> None:
    (folder / "keys").rename(folder / "elsewhere")
    assert found(aval)["keys"]["status"] == "fail"


def test_unsafe_production_settings_fail_each_with_its_reason(aval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_MODE", "production")
    checks = found(aval)
    assert {name for name, row in checks.items() if row["status"] == "fail"} >= {
        "settings.public_url",
        "settings.keys_dir",
        "settings.operator_contact",
    }


def test_an_address_that_is_not_where_the_gateway_listens_warns(aval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_PORT", "8499")
    assert found(aval)["public_url"]["status"] == "warn"
    monkeypatch.setenv("AVAL_PUBLIC_URL", "https://gateway.example")
    assert "AVAL_TRUSTED_PROXIES" in found(aval)["public_url"]["do"]
    monkeypatch.setenv("AVAL_TRUSTED_PROXIES", '["127.0.0.1/32"]')
    assert found(aval)["public_url"]["status"] == "ok"


def test_a_schema_of_another_version_fails(aval: Run, database: Path) -> None:
    change(database, "UPDATE alembic_version SET version_num = '0000'")
    check = found(aval)["schema"]
    assert check["status"] == "fail" and "A newer gateway made it" in check["do"] and "migrate" not in check["do"]


def test_a_schema_that_can_be_brought_to_this_version_is_told_how(
    aval: Run, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.ground.store.migrate.HEAD", "9999")
    assert found(aval)["schema"]["do"] == "aval migrate"


@pytest.mark.parametrize("size, status", [("16m", "fail"), ("200m", "warn")])
def test_a_disk_that_is_nearly_full_is_told(aval: Run, database: Path, folder: Path, size: str, status: str) -> None:
    """A file system of its own."""
    small = folder.parent / "small"
    small.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", small]).returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        shutil.copytree(folder, small / "data")
        os.environ["AVAL_DATA_DIR"] = str(small / "data")  # as the fixture set it, which also takes it back
        check = found(aval)["disk"]
    finally:
        subprocess.run(["umount", small], check=True)
    assert check["status"] == status and "MB left" in check["found"]


def test_a_file_that_is_no_database_fails(aval: Run, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "aval.sqlite3").write_bytes(b"not a database, and long enough to be looked at" * 99)
    done = aval("doctor")
    assert done.code == 1 and "FAIL  schema" in done.out


def test_rows_that_refer_to_rows_that_are_gone_are_named(aval: Run, database: Path) -> None:
    at = "2026-01-01 00:00:00"
    change(database, "INSERT INTO recoverycode VALUES ('k', 'nobody', ?), ('l', 'neither', ?)", at, at)
    check = found(aval)["references"]
    assert check["status"] == "fail"
    assert check["found"] == (
        "2 rows of table recoverycode refer to a person that is not there (person_id, one of them 'nobody')"
    )
    assert check["do"].startswith("Another program has deleted rows: put back a copy")
    change(database, "DELETE FROM recoverycode")
    assert "references" not in found(aval)


def test_a_frozen_log_fails(aval: Run, database: Path) -> None:
    mark.write(Settings().mark, Mark(9, bytes(32), "localhost/log"))
    check = found(aval)["log"]
    assert check["status"] == "fail" and check["found"].startswith("frozen: a tree was signed")
    assert check["do"].startswith("put the newest database back") and "`aval log restart`" in check["do"]
    assert str(Settings().mark) in check["do"], "no beat was ever made here: it may be a new installation"


def beat() -> None:
    house = build_house(Settings())
    sequencer = Sequencer(house)
    sequencer.integrate_once()
    sequencer.stop()
    house.store.close()


def test_a_log_that_was_lost_is_not_taken_for_a_new_installation(aval: Run, database: Path) -> None:
    beat()
    change(database, "DELETE FROM logcheckpoint")
    check = found(aval)["log"]
    assert check["status"] == "fail" and check["do"].startswith("put the newest database back; where that cannot")


def test_a_mark_that_is_looked_for_elsewhere_says_to_move_it(
    aval: Run, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat()
    assert found(aval)["log"]["status"] == "ok"
    monkeypatch.setenv("AVAL_MARK_FILE", str(tmp_path / "elsewhere"))
    check = found(aval)["log"]
    assert check["status"] == "fail" and str(tmp_path / "elsewhere") in check["found"]
    assert "AVAL_MARK_FILE" in check["do"] and "move the mark" in check["do"]


def test_another_public_url_is_said_and_nothing_is_to_be_done(
    aval: Run, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beat()
    assert found(aval)["log"]["found"] == "1 entries signed as localhost/log"
    monkeypatch.setenv("AVAL_PUBLIC_URL", "https://elsewhere.example")
    check = found(aval)["log"]
    assert check["status"] == "ok" and not check["do"]
    assert check["found"].endswith("public_url was another host when it began, and it keeps its name")
    assert aval("log", "verify").code == 0 and "localhost/log+" in aval("keys", "list").out


def test_another_key_of_the_log_is_said_once_with_the_file_to_put_back(
    aval: Run, database: Path, folder: Path, tmp_path: Path
) -> None:
    beat()
    KeyRing(tmp_path / "other", create=True)
    shutil.copy(tmp_path / "other" / "log.pem", folder / "keys" / "log.pem")
    told = [row for row in map(json.loads, aval("doctor", "--json").out.splitlines()) if row["status"] == "fail"]
    assert (
        [row["name"] for row in told] == ["keys"] and "log.pem" in told[0]["found"] and "put the key" in told[0]["do"]
    )


def test_a_mark_that_would_come_back_with_the_data_is_told(
    aval: Run, database: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert found(aval)["mark"]["status"] == "ok"
    monkeypatch.setenv("AVAL_MARK_FILE", str(folder / "mark"))
    check = found(aval)["mark"]
    assert check["status"] == "warn" and "is not noticed" in check["found"] and "AVAL_MARK_FILE" in check["do"]
    monkeypatch.setenv("AVAL_MODE", "production")
    checks = found(aval)
    assert checks["mark"]["status"] == "fail" and checks["settings.mark_file"]["status"] == "fail"


def test_of_a_mark_that_is_a_link_the_folder_it_points_to_is_looked_at(
    aval: Run, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "another-disk"
    there.mkdir()
    (tmp_path / "link").symlink_to(there / "mark")
    monkeypatch.setenv("AVAL_MARK_FILE", str(tmp_path / "link"))
    monkeypatch.setattr(os, "access", lambda path, *_, **__: Path(path) != there)
    assert found(aval)["mark"]["found"] == f"{there} cannot be written"


def test_a_mark_on_the_file_system_of_the_data_is_told_in_production(
    aval: Run, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVAL_MODE", "production")
    check = found(aval)["mark"]
    assert check["status"] == "warn" and "same file system" in check["found"] and "AVAL_MARK_FILE" in check["do"]
    if Path("/dev/shm").stat().st_dev != database.stat().st_dev:
        monkeypatch.setenv("AVAL_MARK_FILE", "/dev/shm/mark-of-a-test")
        assert found(aval)["mark"]["status"] == "ok"


def test_a_clock_that_was_ahead_once_fails_until_the_next_start_with_the_right_one(aval: Run, database: Path) -> None:
    def lives(clock: Callable[[], datetime]) -> dict[str, str]:
        house = replace(build_house(Settings()), clock=clock)
        sequencer = Sequencer(house)
        sequencer.integrate_once()
        sequencer.stop()
        house.store.close()
        return found(aval)["clock"]

    ahead = lives(lambda: datetime.now(UTC) + timedelta(days=3653))
    assert ahead["status"] == "fail" and "is before the log was signed last" in ahead["found"]
    assert "if it is right and was wrong then, start the gateway" in ahead["do"]
    assert lives(lambda: datetime.now(UTC))["status"] == "ok"
    said = aval("log", "verify")
    assert said.code == 0 and "checkpoint 2: the time goes back, from" in said.out


def test_a_clock_before_the_last_entry_fails(aval: Run, database: Path) -> None:
    later = int((time.time() + 3600) * 1000)
    change(database, "INSERT INTO logcheckpoint VALUES (1, zeroblob(32), ?, '', zeroblob(32))", later)
    assert found(aval)["clock"]["status"] == "fail"


def test_organisations_that_do_not_answer_or_are_suspended_warn(aval: Run, database: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as closed:
        ports = {"harbour-bank": listening.getsockname()[1], "meadow-health": closed.getsockname()[1]}
        closed.close()
        for name, port in ports.items():
            aval("organisations", "add", ORGANISATIONS / f"{name}.toml", "--base-url", f"http://localhost:{port}")
        checks = found(aval)
        assert checks["organisation harbour-bank"]["status"] == "ok"
        assert "cannot be reached" in checks["organisation meadow-health"]["found"]
        aval("organisations", "suspend", "meadow-health", "--reason", "Quiet.")
        assert found(aval)["organisation meadow-health"]["do"] == "aval organisations resume meadow-health"


def test_policies_that_do_not_parse_fail(aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVAL_POLICIES_DIR", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "energy.toml").write_text("sector = ")
    check = found(aval)["policies"]
    assert check["status"] == "fail" and "energy.toml" in check["found"]


@pytest.mark.parametrize("command", ["doctor", "serve"])
def test_policies_by_which_no_call_could_be_judged_fail_at_the_start(
    aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    policies = shutil.copytree(shipped_policies(), tmp_path / "policies")
    monkeypatch.setenv("AVAL_POLICIES_DIR", str(policies))
    path = policies / "datasets" / "bank.toml"
    text = path.read_text()
    path.write_text(text.replace('"Balance/AccountId", ', "").replace('"Balance/DateTime", ', ""))
    done = aval(command)
    assert done.code == (1 if command == "doctor" else 2)
    told = " ".join((done.out + done.err).split())
    for member in ("Balance/AccountId", "Balance/DateTime"):
        assert f"datasets/bank.toml: bank.balances: field: find: '{member}' must stand in a field" in told
    path.write_text(text)
    assert found(aval)["policies"]["status"] == "ok"
