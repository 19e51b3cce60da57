"""A refusal says what the app may ask the person for: what it has registered, and was not given."""

from typing import Any

import pytest

from gateway.consent.rules import Act
from tests.proxy.bank import BASE, FIELDS, Bank

ACCOUNTS = f"{BASE}/accounts"
REASON = {"fr": "Pour vous.", "en": "For you."}
RECIPIENT = {"name": "Bills Ltd", "role": "printing", "country": "FR"}


def declared(bank: Bank, dataset: str, *fields: str) -> dict[str, Any]:
    row = {"organisation": bank.id, "dataset": dataset, "fields": list(fields), "reason": REASON}
    return {**row, "necessity": "optional"}


@pytest.fixture
def asking(bank: Bank) -> Bank:
    """An app that proves who it is, and has registered for more than Alice gives it."""
    rows = [
        declared(bank, "bank.transactions", *FIELDS, "transaction.narrative"),
        declared(bank, "bank.accounts", "account.kind"),
        declared(bank, "bank.balances", "balance.amount"),
    ]
    bank.world.app(bank.app, data=rows, method="client_secret_basic")
    return bank


def test_what_is_missing_may_be_asked_for(asking: Bank) -> None:
    found = asking.reads(f"/data/{asking.id}{ACCOUNTS}")
    assert (found.status, found.reason) == (403, "dataset")
    said = found.json["requestable"]
    assert (said["grant_id"], said["grant_management_action"]) == (asking.consent, "merge")
    assert said["data"] == [
        {"datatypes": ["bank.transactions"], "fields": ["transaction.narrative"]},
        {"datatypes": ["bank.accounts"], "fields": ["account.kind"]},
        {"datatypes": ["bank.balances"], "fields": ["balance.amount"]},
    ], "all that is registered, where the address alone does not say which it lacks"


def test_what_the_app_did_not_register_is_not_offered(asking: Bank) -> None:
    rows = [declared(asking, "bank.transactions", *FIELDS)]
    asking.world.app(asking.app, data=rows, method="client_secret_basic")
    found = asking.reads(f"/data/{asking.id}{ACCOUNTS}")
    assert (found.status, found.reason) == (403, "dataset") and "requestable" not in found.json


def test_a_public_app_is_offered_nothing(asking: Bank) -> None:
    asking.world.app(asking.app, data=[declared(asking, "bank.accounts", "account.kind")])
    assert "requestable" not in asking.reads(f"/data/{asking.id}{ACCOUNTS}").json


def test_another_purpose_is_another_agreement(asking: Bank) -> None:
    asking.world.app(asking.app, data=[declared(asking, "energy.gas.usage", "gas.value")], method="client_secret_basic")
    assert "requestable" not in asking.reads(f"/data/{asking.id}{ACCOUNTS}").json


@pytest.mark.parametrize("act", [Act.PAUSED, Act.ENDED])
def test_what_is_paused_or_over_is_not_asked_for_so(asking: Bank, act: Act) -> None:
    asking.world.change(asking.consent, act, "withdrawn" if act is Act.ENDED else "")
    found = asking.reads(f"/data/{asking.id}{ACCOUNTS}")
    assert found.status == 403 and "requestable" not in found.json


def test_a_processor_is_not_told_what_she_did_not_give_to_the_app(bank: Bank) -> None:
    rows = [
        {"organisation": bank.id, "dataset": name, "fields": fields, "reason": REASON, "necessity": "optional"}
        for name, fields in (
            ("bank.transactions", [*FIELDS, "transaction.narrative"]),
            ("bank.balances", ["balance.amount"]),
        )
    ]
    bills = f"{bank.app}-bills"
    recipients = [{**RECIPIENT, "client_id": bills}]
    bank.world.app(bills)
    bank.world.app(bank.app, data=rows, method="client_secret_basic", recipients=recipients)
    items = [bank.world.item(bank.id, "bank.transactions", FIELDS, [bank.ref])]
    bank.consent = bank.world.consent(bank.person, bank.app, items, recipients=recipients)
    token = bank.world.token(bank.consent, [bank.id], bills, act={"sub": bills}, grant_client=bank.app)
    found = bank.reads(f"/data/{bank.id}{BASE}/accounts", token=token)
    assert (found.status, found.reason) == (403, "dataset")
    assert "requestable" not in found.json, "its requests are for agreements of its own: what it is told is the app's"
