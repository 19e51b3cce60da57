"""The operator's verbs, from the command line to the rows and back."""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from cli_run import APPS, ORGANISATIONS, Aval

from gateway.cli import demo_setup
from gateway.ground.store import migrate

Run = Callable[..., Aval]
PASSWORD = "correct horse battery\n"


@pytest.fixture
def organisations(aval: Run) -> None:
    for port, name in enumerate(("city-energy", "harbour-bank", "meadow-health"), 8401):
        done = aval("organisations", "add", ORGANISATIONS / f"{name}.toml", "--base-url", f"http://localhost:{port}")
        assert done.out == f"{name}: added\n", done.err


def rows(done: Aval) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(done.out)
    return found


# ---- organisations


def test_an_organisation_is_added_once_and_changed_when_its_file_does(aval: Run, organisations: None) -> None:
    same = aval("organisations", "add", ORGANISATIONS / "city-energy.toml", "--base-url", "http://localhost:8401")
    assert same.out == "city-energy: unchanged\n"
    other = aval("organisations", "add", ORGANISATIONS / "city-energy.toml", "--base-url", "http://localhost:9401")
    assert other.out.startswith("city-energy: changed\n")
    listed = {row["id"]: row for row in rows(aval("organisations", "list", "--json"))}
    assert listed["city-energy"]["base_url"] == "http://localhost:9401" and len(listed) == 3


def test_everything_wrong_with_a_declaration_is_told_and_nothing_is_kept(aval: Run, tmp_path: Path) -> None:
    text = (ORGANISATIONS / "city-energy.toml").read_text()
    file = tmp_path / "wrong.toml"
    file.write_text(text.replace('sector = "energy"', 'sector = "enrgy"').replace("website", "web_site"))
    done = aval("organisations", "add", file)
    assert done.code == 1 and not done.out
    begun, *faults = done.err.splitlines()
    assert begun.startswith("aval: a new gateway was begun at ") and len(faults) > 1
    assert all(line.startswith(f"aval: {file}: ") for line in faults)
    assert "did you mean energy?" in done.err and "web_site" in done.err
    assert "No organisation yet" in aval("organisations", "list").out


def test_an_organisation_is_suspended_with_a_reason_and_resumed(aval: Run, organisations: None) -> None:
    assert aval("organisations", "suspend", "city-energy", "--reason", "Certificate expired.").code == 0
    assert "suspended (Certificate expired.)" in aval("organisations", "list").out
    assert aval("organisations", "resume", "city-energy").code == 0
    assert "suspended" not in aval("organisations", "list").out
    assert aval("organisations", "suspend", "city-energy").code == 2  # a reason is owed
    assert aval("organisations", "resume", "nobody").code == 2


def test_the_addresses_of_an_organisations_data_are_shown(aval: Run, organisations: None) -> None:
    """An app's developer cannot guess them: they are the organisation's own paths below ours."""
    told = aval("organisations", "show", "harbour-bank")
    assert "http://localhost:8400/data/harbour-bank/open-banking/v4.0/aisp/balances\n" in told.out, told.err
    for organisation in ("city-energy", "harbour-bank", "meadow-health"):
        listed = {row["id"]: row for row in rows(aval("organisations", "list", "--json"))}[organisation]
        shown = rows(aval("organisations", "show", organisation, "--json"))
        assert {row["type of data"] for row in shown} == set(cast(list[str], listed["datasets"]))
        assert all(str(row["address"]).startswith(f"http://localhost:8400/data/{organisation}/") for row in shown)
    nobody = aval("organisations", "show", "nobody")
    assert nobody.code == 2 and "aval organisations list" in nobody.err


# ---- beside a demo


def test_beside_a_demo_a_command_says_how_to_work_on_that_one(
    aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AVAL_DATA_DIR")
    running, ended = demo_setup.prepare(Path(".demo", "port-9400"), 0), demo_setup.prepare(Path(".demo"), 0)
    demo_setup.stop(ended)
    try:
        url, own = running.url("gateway"), tmp_path / ".demo" / "port-9400" / "gateway"
        hint = f"aval: a demo runs at {url}; to work on that one: export AVAL_DATA_DIR={own} AVAL_PUBLIC_URL={url}"
        assert aval("migrate").code == 0
        assert aval("people", "list").err.splitlines()[0] == hint
        assert aval("apps", "list").err.splitlines() == [hint]
        monkeypatch.setenv("AVAL_DATA_DIR", str(tmp_path / ".aval"))
        assert aval("apps", "list").err == "", "whoever names a folder means that one"
        monkeypatch.setenv("AVAL_DATA_DIR", str(own))
        assert aval("migrate").err == f"aval: the demo of this folder runs at {url}: export AVAL_PUBLIC_URL={url}\n"
        monkeypatch.setenv("AVAL_PUBLIC_URL", url)
        assert aval("people", "list").code == 0, "it begins that one"
        assert aval("apps", "list").err == ""
        checks = [json.loads(line) for line in aval("doctor", "--json").out.splitlines()]
        [address] = [check for check in checks if check["name"] == "public_url"]
        assert address["status"] == "ok", "the line that the demo prints is all that is needed"
    finally:
        demo_setup.stop(running)
    monkeypatch.delenv("AVAL_DATA_DIR")
    assert aval("apps", "list").err == "", "it has been stopped"


# ---- apps


def test_a_recipient_that_is_no_app_here_is_warned_of(aval: Run, organisations: None, tmp_path: Path) -> None:
    named = 'recipients = [{{ name = "Clear Data", role = "processor", country = "FR", client_id = "{}" }}]'
    files = []
    for at, names in enumerate(("clear-budgte", "clear-budget")):
        files.append(tmp_path / f"{at}.toml")
        text = (APPS / "watt-coach.toml").read_text().replace('logo = "watt-coach.svg"\n', "")
        files[at].write_text(text.replace("recipients = []", named.format(names)))
    warned = aval("apps", "add", files[0])
    assert warned.code == 0 and warned.out == "watt-coach: registered\n"
    (told,) = [line for line in warned.err.splitlines() if "recipients" in line]
    assert told.startswith(f"aval: {files[0]}: recipients[") and "no app here is clear-budgte yet" in told
    together = aval("apps", "add", files[1], APPS / "clear-budget.toml")
    assert together.code == 0 and "recipients" not in together.err, "in whatever order the files are named"


def test_an_apps_secret_is_told_once(aval: Run, organisations: None, folder: Path) -> None:
    first = aval("apps", "add", APPS / "clear-budget.toml")
    assert first.code == 0, first.err
    [secret] = [line.split()[-1] for line in first.out.splitlines() if "client_secret:" in line]
    again = aval("apps", "add", APPS / "clear-budget.toml")
    assert again.code == 0 and "client_secret" not in again.out
    assert secret not in aval("apps", "list").out and secret.encode() not in (folder / "aval.sqlite3").read_bytes()
    renewed = aval("apps", "renew-secret", "clear-budget")
    assert "client_secret:" in renewed.out and secret not in renewed.out
    aval("apps", "add", APPS / "watt-coach.toml")
    public = aval("apps", "renew-secret", "watt-coach")
    assert public.code == 2 and public.err == "aval: watt-coach is a public client and has no secret\n"


def test_an_app_that_names_what_is_not_there_is_refused(aval: Run, begun: Path) -> None:
    done = aval("apps", "add", APPS / "watt-coach.toml")
    assert done.code == 1 and "data[0].organisation: 'city-energy' is not known" in done.err
    assert "No app yet" in aval("apps", "list").out


def test_a_copied_declaration_without_its_logo_says_what_to_do(aval: Run, organisations: None, tmp_path: Path) -> None:
    copy = tmp_path / "my-app.toml"
    text = (APPS / "watt-coach.toml").read_text()
    copy.write_text(text)
    done = aval("apps", "add", copy)
    assert done.code == 1 and "put it beside the declaration, or leave the key out" in done.err
    copy.write_text(text.replace('logo = "watt-coach.svg"\n', ""))
    assert aval("apps", "add", copy).out == "watt-coach: registered\n"


def test_an_app_is_suspended_and_resumed(aval: Run, organisations: None) -> None:
    aval("apps", "add", APPS / "watt-coach.toml")
    aval("apps", "suspend", "watt-coach", "--reason", "Being checked.")
    [row] = rows(aval("apps", "list", "--json"))
    assert row["status"] == "suspended (Being checked.)"
    aval("apps", "resume", "watt-coach")
    assert rows(aval("apps", "list", "--json"))[0]["status"] == "active"


def test_an_app_gets_the_redirect_addresses_of_the_command_line(aval: Run, organisations: None, folder: Path) -> None:
    done = aval("apps", "add", APPS / "watt-coach.toml", "--redirect-uri", "http://localhost:9411/callback")
    assert done.code == 0, done.err
    assert b"localhost:9411/callback" in b"".join(path.read_bytes() for path in folder.glob("aval.sqlite3*"))


# ---- people


def test_people_are_added_with_a_password_from_standard_input(aval: Run) -> None:
    done = aval("people", "add", "alice@example.org", "--name", "Alice Martin", stdin=PASSWORD)
    assert done.out == "alice@example.org: added\n", done.err
    [row] = rows(aval("people", "list", "--json"))
    assert row["name"] == "Alice Martin" and "password" not in row
    twice = aval("people", "add", "alice@example.org", "--name", "Alice Martin", stdin=PASSWORD)
    assert twice.code == 1 and "already has an account" in twice.err


@pytest.mark.parametrize("password", ["short\n", "alice martin\n", "\n"])
def test_a_weak_password_is_refused(aval: Run, password: str) -> None:
    done = aval("people", "add", "alice@example.org", "--name", "Alice Martin", stdin=password)
    assert done.code == 1 and "password" in done.err
    assert not password.strip() or password.strip() not in done.err
    assert "Nobody yet" in aval("people", "list").out


def test_a_child_has_a_guardian(aval: Run) -> None:
    aval("people", "add", "alice@example.org", "--name", "Alice Martin", stdin=PASSWORD)
    child = ("chloe@example.org", "--name", "Chloé Petit", "--birth-date", "2018-05-17")
    done = aval("people", "add", *child, "--guardian", "alice@example.org", stdin=PASSWORD)
    assert done.code == 0, done.err
    listed = {row["email"]: row for row in rows(aval("people", "list", "--json"))}
    assert listed["chloe@example.org"]["guardian"] == "alice@example.org"
    assert aval("people", "guardian", "chloe@example.org", "--by", "").code == 0
    assert aval("people", "guardian", "chloe@example.org", "--by", "alice@example.org").code == 0
    assert aval("people", "guardian", "alice@example.org", "--by", "chloe@example.org").code == 1
    assert aval("people", "guardian", "nobody@example.org", "--by", "alice@example.org").code == 1


# ---- keys, schema


def test_keys_are_listed_by_their_public_names_only(aval: Run, folder: Path) -> None:
    assert aval("keys", "list").code == 2
    aval("migrate")
    aval("organisations", "list")
    done = aval("keys", "list", "--json")
    listed = rows(done)
    assert [row["for"] for row in listed] == ["tokens", "log", "sealing", "derived secrets"]
    assert [row["place"].endswith("(600)") for row in listed] == [False, True, True, True]
    for path in (folder / "keys").iterdir():
        for line in path.read_text().splitlines():
            assert line.startswith("-----") or line not in done.out


def test_days_are_those_of_the_zone_of_the_gateway(aval: Run, folder: Path) -> None:
    aval("migrate")
    aval("organisations", "list")
    evening = datetime(2026, 10, 31, 23, 30, tzinfo=UTC)  # in Paris it is the first of November
    os.utime(folder / "keys" / "log.pem", (evening.timestamp(),) * 2)
    [made] = [row["made"] for row in rows(aval("keys", "list", "--json")) if row["for"] == "log"]
    assert made == "2026-11-01"
    aval("people", "add", "alice@example.org", "--name", "Alice Martin", stdin=PASSWORD)
    with closing(sqlite3.connect(folder / "aval.sqlite3")) as database, database:
        database.execute("UPDATE person SET created_at = ?", ("2026-10-31 23:30:00.000000",))
    [listed] = rows(aval("people", "list", "--json"))
    assert listed["since"] == "2026-11-01"


def test_migrate_says_what_it_did(aval: Run, folder: Path) -> None:
    database = folder / "aval.sqlite3"
    assert aval("migrate").out == f"{database}: made, empty, with schema {migrate.HEAD} of this version\n"
    assert aval("migrate").out == f"{database}: has schema {migrate.HEAD} of this version; nothing to do\n"
    assert aval("people", "list").code == 0


def test_keys_that_are_lost_are_not_replaced_over_sealed_data(aval: Run, organisations: None, folder: Path) -> None:
    (folder / "keys" / "kek.hex").unlink()
    done = aval("organisations", "list")
    assert done.code == 2 and "put the key files back" in done.err
    assert not (folder / "keys" / "kek.hex").exists()


# ---- keys


@pytest.fixture
def another(aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The keys of another gateway."""
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("AVAL_DATA_DIR", str(tmp_path / "another"))
        assert aval("people", "add", "bob@example.org", "--name", "Bob Leroy", stdin=PASSWORD).code == 0
    return tmp_path / "another" / "keys"


@pytest.mark.parametrize("name", ["kek.hex", "root.hex", "log.pem"])
def test_a_key_of_another_gateway_is_refused_by_name_and_its_own_taken_again(
    aval: Run, folder: Path, another: Path, name: str
) -> None:
    assert aval("people", "add", "alice@example.org", "--name", "Alice Martin", stdin=PASSWORD).code == 0
    file = folder / "keys" / name
    own = file.read_bytes()
    file.write_bytes((another / name).read_bytes())
    for command in (("serve",), ("people", "list")):
        done = aval(*command)
        assert done.code == 2 and f"{file}: holds another key than this database was used with" in done.err
    doctor = aval("doctor")
    assert doctor.code == 1 and f"{file} holds another key" in doctor.out
    file.write_bytes(own)
    assert aval("people", "list").code == 0 and aval("doctor").code == 0


def test_the_first_command_says_that_it_began_a_gateway_and_no_other_does(aval: Run, folder: Path) -> None:
    assert aval("migrate").err == "", "it makes no keys"
    assert not (folder / "keys").exists()
    first = aval("people", "add", "alice@example.org", "--name", "Alice Martin", stdin=PASSWORD)
    told = f"a new gateway was begun at {folder / 'aval.sqlite3'} with the keys in {folder / 'keys'}"
    assert first.code == 0 and first.err == f"aval: {told}\n"
    assert aval("people", "list").err == "" and aval("migrate").err == ""


def test_migrate_pins_the_keys_that_are_there(aval: Run, folder: Path, another: Path) -> None:
    shutil.copytree(another, folder / "keys")
    assert "a new gateway was begun" in aval("migrate").err
    (folder / "keys" / "kek.hex").write_text("00" * 32)
    assert aval("people", "list").code == 2 and aval("serve").code == 2


@pytest.mark.parametrize("lost", ["kek.hex", "root.hex", "*"])
def test_keys_once_pinned_are_not_made_anew_although_nothing_was_sealed(
    aval: Run, folder: Path, begun: Path, lost: str
) -> None:
    for path in (folder / "keys").glob(lost):
        path.unlink()
    left = sorted(path.name for path in (folder / "keys").iterdir())
    for command in (("serve",), ("people", "list"), ("organisations", "add", ORGANISATIONS / "city-energy.toml")):
        done = aval(*command)
        assert done.code == 2 and "copy the keys folder of the machine that began" in done.err, command
        assert "as nothing is kept under them yet, begin with an empty database" in done.err
    assert sorted(path.name for path in (folder / "keys").iterdir()) == left
    assert aval("doctor").code == 1


def test_another_folder_of_keys_is_refused_before_the_first_entry(aval: Run, begun: Path, another: Path) -> None:
    keys = begun / "keys"
    own = keys.rename(begun / "own")
    shutil.copytree(another, keys)
    done = aval("serve")
    assert done.code == 2 and done.err.count("holds another key than this database was used with") == 3
    assert f"copy the keys folder of the machine that began to {keys}" in done.err
    shutil.rmtree(keys)
    own.rename(keys)
    assert aval("people", "list").code == 0


def test_a_folder_that_a_crash_left_half_made_goes_on(aval: Run, folder: Path, begun: Path, tmp_path: Path) -> None:
    """Nothing is pinned before all three are on the disk."""
    half = tmp_path / "half"
    (half / "keys").mkdir(parents=True, mode=0o700)
    shutil.copy(folder / "keys" / "log.pem", half / "keys" / "log.pem")
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("AVAL_DATA_DIR", str(half))
        assert aval("people", "add", "bob@example.org", "--name", "Bob Leroy", stdin=PASSWORD).code == 0
        assert aval("doctor").code == 0
    assert (half / "keys" / "log.pem").read_bytes() == (folder / "keys" / "log.pem").read_bytes()


def test_beside_a_demo_on_postgres_the_line_names_the_file_with_the_password(
    aval: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AVAL_DATA_DIR")
    (tmp_path / "a word").touch(mode=0o600)
    monkeypatch.setenv("AVAL_DATABASE_PASSWORD_FILE", "a word")
    running = demo_setup.prepare(Path(".demo"), 0, "postgresql://aval@127.0.0.1:1/aval")
    monkeypatch.delenv("AVAL_DATABASE_PASSWORD_FILE")
    try:
        url, own = running.url("gateway"), tmp_path / ".demo" / "gateway"
        database = "AVAL_DATABASE_URL=postgresql://aval@127.0.0.1:1/aval"
        file = f"AVAL_DATABASE_PASSWORD_FILE='{tmp_path}/a word'"
        shown = f"export AVAL_DATA_DIR={own} AVAL_PUBLIC_URL={url} {database} {file}"
        assert aval("apps", "list").err.splitlines()[0].endswith(shown)
        monkeypatch.setenv("AVAL_DATA_DIR", str(own))
        monkeypatch.setenv("AVAL_PUBLIC_URL", url)
        assert aval("apps", "list").err.splitlines()[0].endswith(f"export AVAL_PUBLIC_URL={url} {database} {file}")
        monkeypatch.setenv("AVAL_DATABASE_URL", "postgresql://aval@127.0.0.1:1/aval")
        assert aval("apps", "list").err.splitlines()[0].endswith(f"export AVAL_PUBLIC_URL={url} {file}")
        monkeypatch.setenv("AVAL_DATABASE_PASSWORD_FILE", str(tmp_path / "a word"))
        assert "export" not in aval("apps", "list").err
    finally:
        demo_setup.stop(running)
