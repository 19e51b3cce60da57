"""`aval serve` while files of its policies and keys change: what it says to everybody, in its log and of its health."""

import base64
import hashlib
import json
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cli_run import APPS, ORGANISATIONS, Aval, Gateway

from gateway.ground.keys import KeyRing
from gateway.settings import shipped_policies
from tests.ports import free_port

Run = Callable[..., Aval]
PATIENCE = 60  # a busy machine is no fault
NOT_TAKEN = "changed {} are not taken; those before go on"


def until(true: Callable[[], bool], gateway: Gateway) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end and gateway.process.poll() is None, gateway.log.read_text()
        time.sleep(0.05)


def lines(gateway: Gateway, event: str) -> list[dict[str, object]]:
    return [line for line in gateway.lines() if line["event"] == event]


def made(folder: Path) -> KeyRing:
    return KeyRing(folder, create=True)


def put(source: Path, target: Path) -> None:
    """As it should be done: complete under its name at once."""
    draft = target.with_suffix(".new")
    draft.write_bytes(source.read_bytes())
    draft.chmod(0o600)
    draft.rename(target)


def kids(gateway: Gateway) -> set[str]:
    return {key["kid"] for key in gateway.get("/jwks.json").json()["keys"]}


def parts(gateway: Gateway) -> dict[str, str]:
    answer = gateway.get("/readyz")
    assert answer.status_code == 200, "what goes on can serve"
    found: dict[str, str] = answer.json()["checks"]
    return found


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    return shutil.copytree(shipped_policies(), tmp_path / "policies")


@pytest.fixture
def gateway(aval: Run, folder: Path, policies: Path, tmp_path: Path) -> Iterator[Gateway]:
    port = free_port()
    os.environ["AVAL_PUBLIC_URL"] = f"http://localhost:{port}"
    assert aval("migrate").code == 0
    assert aval("organisations", "add", ORGANISATIONS / "city-energy.toml").code == 0
    assert aval("apps", "add", APPS / "watt-coach.toml", "--redirect-uri", "http://localhost:1/callback").code == 0
    served = Gateway(folder, tmp_path / "serve.log", port, AVAL_POLICIES_DIR=str(policies))
    try:
        yield served.until_ready()
    finally:
        del os.environ["AVAL_PUBLIC_URL"]
        assert served.ends() == 0


def purposes(gateway: Gateway) -> list[str]:
    """What the gateway says may be asked for."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(b"v" * 43).digest()).rstrip(b"=").decode()
    detail: dict[str, Any] = {
        "type": "data_access",
        "locations": [f"{gateway.url}/data/city-energy"],
        "datatypes": ["energy.electricity.usage"],
        "actions": ["read"],
        "purpose": "none-such",
        "period": {"history": "P1M", "future": False},
        "valid_for": "P1M",
        "retention": "P1M",
    }
    form = {
        "client_id": "watt-coach",
        "response_type": "code",
        "redirect_uri": "http://localhost:1/callback",
        "state": "s",
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        "authorization_details": json.dumps([detail]),
    }
    answer = httpx2.post(f"{gateway.url}/par", data=form, timeout=10).json()
    assert answer["error"] == "invalid_authorization_details" and answer["term"] == "purpose", answer
    return str(answer["allowed"]).split()


def test_policies_are_taken_when_they_are_right_and_not_when_they_are_wrong(gateway: Gateway, policies: Path) -> None:
    text = (policies / "purposes" / "energy-advice.toml").read_text()
    assert "solar-advice" not in purposes(gateway)
    began = time.monotonic()
    (policies / "purposes" / "solar.toml").write_text(text.replace("energy-advice", "solar-advice"))
    until(lambda: "solar-advice" in purposes(gateway), gateway)
    assert time.monotonic() - began < 5  # within a second on a machine that has nothing else to do
    assert lines(gateway, "policies taken")

    (policies / "purposes" / "solar.toml").write_text(
        text.replace("energy-advice", "moon-advice").replace("P36M", "36M")
    )
    until(lambda: bool(lines(gateway, NOT_TAKEN.format("policies"))), gateway)
    time.sleep(1.5)
    [told] = lines(gateway, NOT_TAKEN.format("policies"))
    assert told["level"] == "error" and "purposes/solar.toml: caps: history: " in str(told["faults"])
    assert "solar-advice" in purposes(gateway) and "moon-advice" not in purposes(gateway)
    assert parts(gateway)["policies"] == "degraded"

    (policies / "purposes" / "solar.toml").unlink()
    until(lambda: "solar-advice" not in purposes(gateway), gateway)
    assert lines(gateway, "policies have no fault any more") and parts(gateway)["policies"] == "ok"


def test_policies_by_which_no_bank_call_could_be_judged_are_not_taken(gateway: Gateway, policies: Path) -> None:
    path = policies / "datasets" / "bank.toml"
    text = path.read_text()
    path.write_text(text.replace('"Transaction/BookingDateTime", ', ""))
    until(lambda: bool(lines(gateway, NOT_TAKEN.format("policies"))), gateway)
    [told] = lines(gateway, NOT_TAKEN.format("policies"))
    assert "datasets/bank.toml: bank.transactions: field: find: 'Transaction/BookingDateTime'" in str(told["faults"])
    path.write_text(text)
    until(lambda: parts(gateway)["policies"] == "ok", gateway)


def test_a_token_key_comes_and_goes_by_command(gateway: Gateway, aval: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    [old] = kids(gateway)
    next_ = json.loads(aval("keys", "rotate", "--json").out)["keys"][0]["kid"]
    until(lambda: kids(gateway) == {old, next_}, gateway)
    assert not lines(gateway, "another key signs"), "it has not settled"
    monkeypatch.setenv("AVAL_KEY_SETTLE_SECONDS", "0")
    assert aval("keys", "rotate").code == 0
    until(lambda: bool(lines(gateway, "another key signs")), gateway)
    assert [line["kid"] for line in lines(gateway, "another key signs")] == [next_[:12]]
    assert kids(gateway) == {old, next_}, "what the old one has signed is not over"

    [ended] = json.loads(aval("keys", "rotate", "--emergency", "--json").out)["keys"]
    assert set(ended["ended"]) == {old, next_}
    until(lambda: kids(gateway) == {ended["kid"]}, gateway)
    assert not any(word in gateway.log.read_text() for word in ("PRIVATE", "BEGIN"))


def test_a_token_key_whose_row_was_tampered_with_is_not_accepted_and_told_once(
    gateway: Gateway, aval: Run, folder: Path
) -> None:
    [old] = kids(gateway)
    next_ = json.loads(aval("keys", "rotate", "--json").out)["keys"][0]["kid"]
    until(lambda: kids(gateway) == {old, next_}, gateway)
    with closing(sqlite3.connect(folder / "aval.sqlite3")) as database, database:
        database.execute(
            "UPDATE signingkey SET sealed = (SELECT sealed FROM signingkey WHERE kid = ?) WHERE kid = ?", (old, next_)
        )
    until(lambda: kids(gateway) == {old}, gateway)
    time.sleep(1.5)
    [told] = lines(gateway, "token keys are not accepted")
    assert next_[:12] in str(told["faults"]) and parts(gateway)["keys"] == "degraded"
    assert aval("doctor").code == 1 and f"FAIL  token keys: {next_}" in aval("doctor").out
    assert "cannot be opened" in aval("keys", "list").out


def test_a_file_of_a_token_key_is_not_read_any_more(gateway: Gateway, folder: Path, aval: Run) -> None:
    before = kids(gateway)
    (folder / "keys" / "token-0002.pem").write_text("whatever")
    (folder / "keys" / "token-0002.pem").chmod(0o600)
    time.sleep(1.5)
    assert kids(gateway) == before and parts(gateway)["keys"] == "ok"
    assert "token-0002.pem is not used any more" in aval("doctor").out


@pytest.mark.parametrize("name", ["kek.hex", "root.hex", "log.pem"])
def test_a_key_that_is_for_good_never_changes(gateway: Gateway, folder: Path, tmp_path: Path, name: str) -> None:
    other = made(tmp_path / "other")
    mine = shutil.copy(folder / "keys" / name, tmp_path / "mine")
    put(other.folder / name, folder / "keys" / name)
    until(lambda: bool(lines(gateway, NOT_TAKEN.format("keys"))), gateway)
    told = str(lines(gateway, NOT_TAKEN.format("keys"))[-1]["faults"])
    assert f"{folder / 'keys' / name}: never changes; put back the one before" in told
    assert parts(gateway)["keys"] == "degraded"
    put(mine, folder / "keys" / name)
    until(lambda: parts(gateway)["keys"] == "ok", gateway)
    (folder / "keys" / name).chmod(0o644)
    until(lambda: "others can read it; chmod 600" in gateway.log.read_text(), gateway)
    assert not any(word in gateway.log.read_text() for word in ("PRIVATE", "BEGIN"))


@pytest.mark.postgres
def test_both_of_two_processes_take_them(
    folder: Path, database: str, policies: Path, tmp_path: Path, aval: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = Gateway(
        folder,
        tmp_path / "serve.log",
        free_port(),
        *("--processes", "2"),
        AVAL_DATABASE_URL=database,
        AVAL_POLICIES_DIR=str(policies),
    )

    def by(event: str) -> set[str]:
        return {str(line["process"]) for line in lines(served, event)}

    try:
        until(lambda: bool(lines(served, "all processes serve")), served)
        [old] = kids(served)
        monkeypatch.setenv("AVAL_DATABASE_URL", database)
        new = json.loads(aval("keys", "rotate", "--json").out)["keys"][0]["kid"]
        until(lambda: by("token keys taken") == {"1", "2"}, served)
        for _ in range(20):  # each on a connection of its own
            assert kids(served) == {old, new}
        assert {str(line["process"]) for line in served.lines() if line.get("path") == "/jwks.json"} == {"1", "2"}
        text = (policies / "purposes" / "energy-advice.toml").read_text()
        (policies / "purposes" / "solar.toml").write_text(text.replace("energy-advice", "solar-advice"))
        until(lambda: by("policies taken") == {"1", "2"}, served)
        (policies / "purposes" / "solar.toml").write_text("code = ")
        until(lambda: by(NOT_TAKEN.format("policies")) == {"1", "2"}, served)
    finally:
        assert served.ends() == 0
