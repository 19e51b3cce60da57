"""A token that carries a part of what was agreed opens that part alone, whatever the agreement lets through."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.consent import deciding
from gateway.consent.actors import herself
from gateway.consent.rules import Act
from gateway.consent.tables import Consent
from tests.proxy.bank import BASE, FIELDS, NATIVE, Bank
from tests.proxy.raw import answer, transactions

ALL = {"history": "P13M", "from": None, "to": None, "future": True}


@pytest.fixture
def shared(bank: Bank) -> Bank:
    """Two types of data and two accounts."""
    world = bank.world
    refs = [bank.ref, world.ref(bank.app, bank.person, bank.id, "00099999")]
    items = [
        world.item(bank.id, "bank.transactions", [*FIELDS, "transaction.narrative"], refs),
        world.item(bank.id, "bank.accounts", ["account.kind"], refs),
    ]
    bank.consent = world.consent(bank.person, bank.app, items)
    bank.token = world.token(bank.consent, [bank.id], bank.app)
    bank.organisation.says(answer(transactions(NATIVE)))
    return bank


def part(bank: Bank, dataset: str = "bank.transactions", **members: Any) -> dict[str, Any]:
    place = f"{bank.world.settings.public_url}/data/{bank.id}"
    return {"type": "data_access", "locations": [place], "datatypes": [dataset], **members}


def lesser(bank: Bank, *parts: Any) -> str:
    return bank.world.token(bank.consent, [bank.id], bank.app, authorization_details=list(parts))


def test_only_the_type_of_data_that_the_token_names(shared: Bank) -> None:
    token = lesser(shared, part(shared))
    assert shared.reads(token=token).status == 200
    found = shared.reads(f"/data/{shared.id}{BASE}/accounts", token=token)
    assert (found.status, found.reason) == (403, "dataset")
    assert shared.reads(f"/data/{shared.id}{BASE}/accounts").reason != "dataset", "the whole token opens it"


def test_only_the_fields_that_the_token_names(shared: Bank) -> None:
    whole = shared.reads().json["Data"]["Transaction"][0]
    less = shared.reads(token=lesser(shared, part(shared, fields=FIELDS))).json["Data"]["Transaction"][0]
    assert whole.keys() - less.keys() == {"TransactionInformation"}
    assert shared.log()[-1]["fields_delivered"] == FIELDS
    assert shared.reads().json["Data"]["Transaction"][0] == whole, "the whole token is as good as before"


def test_only_the_accounts_that_the_token_names(shared: Bank) -> None:
    other = shared.world.ref(shared.app, shared.person, shared.id, "00099999")
    token = lesser(shared, part(shared, accounts=[other]))
    found = shared.reads(token=token)
    assert (found.status, found.reason) == (403, "account")
    shared.organisation.says(answer(transactions("00099999")))
    assert shared.reads(shared.path.replace(shared.ref, other), token=token).status == 200


def test_T30_of_an_account_that_she_removed_the_very_next_call_gets_nothing(shared: Bank) -> None:
    other = shared.world.ref(shared.app, shared.person, shared.id, "00099999")
    named = lesser(shared, part(shared, accounts=[other]))
    at_other = shared.path.replace(shared.ref, other)
    shared.organisation.says(answer(transactions("00099999")))
    assert [shared.reads(at_other, token=token).status for token in (shared.token, named)] == [200, 200]
    with shared.world.house.store.write() as session:
        consent = session.get_one(Consent, shared.consent)
        keep = frozenset({(shared.id, "bank.transactions"), (shared.id, "bank.accounts")})
        deciding.keep_only(
            session,
            shared.world.house.log,
            consent,
            herself(shared.person),
            keep,
            shared.world.clock(),
            frozenset({(shared.id, other)}),
        )
    assert [shared.reads(at_other, token=token).reason for token in (shared.token, named)] == ["account", "account"]
    shared.organisation.says(answer(transactions(NATIVE)))
    assert shared.reads().status == 200


def test_only_the_period_that_the_token_names(shared: Bank) -> None:
    short = {**ALL, "history": None, "from": "2020-01-01T00:00:00+00:00", "to": "2020-02-01T00:00:00+00:00"}
    shared.organisation.says(answer(transactions(NATIVE, day=_today())))
    assert len(shared.reads().json["Data"]["Transaction"]) == 1
    outside = shared.reads(token=lesser(shared, part(shared, period=short)))
    assert (outside.status, outside.reason) == (403, "period"), "nothing of it lies in what was agreed"
    week = {**ALL, "history": "P1W", "future": False}
    shared.organisation.says(answer(transactions(NATIVE, day=_before(30))))
    assert len(shared.reads().json["Data"]["Transaction"]) == 1
    assert shared.reads(token=lesser(shared, part(shared, period=week))).json["Data"]["Transaction"] == []


def test_a_longer_period_than_agreed_gives_no_more_than_agreed(shared: Bank) -> None:
    shared.organisation.says(answer(transactions(NATIVE, day=_before(800))))
    assert shared.reads().json["Data"]["Transaction"] == []
    long = lesser(shared, part(shared, period={**ALL, "history": "P9Y"}))
    assert shared.reads(token=long).json["Data"]["Transaction"] == []


def test_what_was_never_granted_is_not_given_by_being_named(shared: Bank) -> None:
    named = part(shared, fields=[*FIELDS, "transaction.balance"], accounts=[shared.ref, "00099999", "x"])
    assert shared.reads(token=lesser(shared, named)).json == shared.reads(token=lesser(shared, {
        **part(shared), "fields": FIELDS, "accounts": [shared.ref]})).json  # fmt: skip
    token = lesser(shared, part(shared, "bank.balances"))
    assert shared.reads(f"/data/{shared.id}{BASE}/balances", token=token).reason == "dataset"
    elsewhere = {**part(shared), "locations": ["https://elsewhere.example/data/x"]}
    assert shared.reads(token=lesser(shared, elsewhere)).status == 401


@pytest.mark.parametrize(
    "claim",
    [
        [], {}, "x", [1], [{"type": "other"}], [{}],
        [{"type": "data_access", "locations": ["x"], "datatypes": ["bank.transactions"], "frequency": []}],
        [{"type": "data_access", "locations": [], "datatypes": []}],
    ],
)  # fmt: skip
def test_a_part_that_is_not_understood_opens_nothing(shared: Bank, claim: Any) -> None:
    token = shared.world.token(shared.consent, [shared.id], shared.app, authorization_details=claim)
    assert shared.reads(token=token).status == 401
    place = part(shared)
    for wrong in ({"fields": "x"}, {"accounts": [1]}, {"period": {"history": "P1M"}}, {"unheard_of": 1}):
        assert shared.reads(token=lesser(shared, {**place, **wrong})).status == 401


def test_uses_of_parts_and_of_the_whole_are_counted_together(bank: Bank) -> None:
    bank.organisation.says(answer(transactions(NATIVE)))
    bank.agrees(frequency=[{"times": 2, "per": "year", "zone": "UTC"}])
    assert bank.reads(token=lesser(bank, part(bank, fields=["transaction.date"]))).status == 200
    assert bank.reads().status == 200
    assert bank.reads(token=lesser(bank, part(bank))).status == 429


def test_when_she_stops_it_the_part_stops_too(shared: Bank) -> None:
    token = lesser(shared, part(shared))
    assert shared.reads(token=token).status == 200
    shared.world.change(shared.consent, Act.PAUSED)
    assert shared.reads(token=token).reason == "paused"


def _today() -> str:
    return _before(0)


def _before(days: int) -> str:

    return (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
