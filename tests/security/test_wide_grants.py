"""A wide agreement: many organisations, every type of data, every account. Its token is as short as any."""

from pathlib import Path
from typing import Any

import pytest
from security_world import BASE, ORGANISATIONS, Bank, World, detail

from gateway.ground.keys import access
from gateway.organisations import declare
from tests.tokens import claims

ALL = ["bank.accounts", "bank.transactions", "bank.balances"]
BANKS = [f"bank-number-{number}" for number in range(1, 9)]
ACCOUNTS = [f"native-{number}" for number in range(1, 5)]


def banks_of_alice(world: World, folder: Path) -> str:
    """Eight banks, at each of which she has four accounts, and an app that may ask all of them."""
    alice, bank = world.person("Alice"), Bank(world.clock)
    source = (ORGANISATIONS / "harbour-bank.toml").read_text()
    for name in BANKS:
        path = folder / f"{name}.toml"
        path.write_text(source.replace("harbour-bank", name))
        with world.house.store.write() as session:
            declare.add(session, world.house, declare.read(path, world.house.catalogue), world.clock.now)
        world.organisations.responders[name] = bank
        bank.customer(world.link(alice, name, ACCOUNTS), ACCOUNTS, "a-word")
    fields = {dataset: list(world.house.catalogue.datasets[dataset].fields) for dataset in ALL}
    world.app("budget", [{"organisation": name, "dataset": d, "fields": fields[d]} for name in BANKS for d in ALL])
    return alice


def agreed(world: World, alice: str) -> dict[str, Any]:
    return world.agreed(world.browser(alice), "budget", [detail(name, ALL) for name in BANKS])


def test_an_agreement_with_eight_banks_is_read_at_each_of_them(world: World, tmp_path: Path) -> None:
    body = agreed(world, banks_of_alice(world, tmp_path))
    assert len(body["authorization_details"]) == len(BANKS) * len(ALL)
    assert all(len(granted["accounts"]) == len(ACCOUNTS) for granted in body["authorization_details"])
    for name in BANKS:
        answer = world.read(body["access_token"], f"/data/{name}{BASE}/balances")
        assert answer.status_code == 200, answer.text
        assert len(answer.json()["Data"]["Balance"]) == len(ACCOUNTS)
    assert world.read(body["access_token"], f"/data/harbour-bank{BASE}/balances").status_code == 403


def test_a_token_says_which_agreement_and_where_and_nothing_of_what_was_agreed(world: World, tmp_path: Path) -> None:
    body = agreed(world, banks_of_alice(world, tmp_path))
    said = claims(body["access_token"])
    assert said["grant_id"] == body["grant_id"] and said["grant_version"] == 1
    assert [address.rpartition("/")[2] for address in said["aud"]] == BANKS
    assert "authorization_details" not in said and "account" not in str(said)


def test_a_token_that_its_own_audience_would_not_read_is_never_made(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refresh = agreed(world, banks_of_alice(world, tmp_path))["refresh_token"]
    monkeypatch.setattr(access, "LIMIT", 500)
    assert world.refresh(refresh, "budget").status_code == 500
    monkeypatch.undo()
    body = world.refresh(refresh, "budget").json()  # nothing was spent
    assert 500 < len(body["access_token"]) <= access.LIMIT
