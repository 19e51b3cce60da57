"""The example organisations' own data goes through every plan: nothing of it is an unknown shape."""

import json
from datetime import UTC, date, datetime

import pytest
from fhir.resources.R4B.bundle import Bundle
from format_documents import TYPES, bank, bundle, granted, plan, removals, sent

from examples.data import bank as harbour
from examples.data import energy as city
from examples.data import espi as green_button
from examples.data import health as meadow
from examples.data.people import PEOPLE
from gateway.formats.model import Account
from gateway.ground.calendar.instants import Window

TODAY = date(2026, 3, 1)
YEAR = Window(datetime(2025, 2, 28, 23, tzinfo=UTC), datetime(2026, 2, 28, 23, tzinfo=UTC))  # local midnights
ALICE = next(person for person in PEOPLE if person.key == "alice")


def refs(natives) -> tuple[Account, ...]:
    return tuple(Account(native, f"{number:_>22}") for number, native in enumerate(natives))


@pytest.mark.parametrize("dataset", ["energy.electricity.usage", "energy.electricity.summary", "energy.point"])
def test_city_energy(dataset, espi):
    points = city.POINTS[ALICE.energy]
    entries = list(green_button.entries(points, "native-subscription", TODAY))
    body = green_button.feed("http://city.example", "Batch/Subscription/native-subscription", "City", 0, entries)
    for without in removals(dataset, pairs=False):
        of = plan(granted(dataset, without, refs(point.id for point in points[:1])))
        found = of.cut(sent(of, "energy", "/Batch/Subscription/x"), TYPES["energy"], body, YEAR)
        espi(found.body)
        assert b"native-subscription" not in found.body and b"city.example" not in found.body
        assert not [point.id for point in points if point.id.encode() in found.body]
    if dataset == "energy.electricity.usage":
        full = plan(granted(dataset, (), refs(point.id for point in points[:1])))
        assert (
            full.cut(sent(full, "energy", "/Batch/Subscription/x"), TYPES["energy"], body, YEAR).counts.records == 8760
        )


def test_harbour_bank(open_banking):
    accounts = harbour.ACCOUNTS[ALICE.bank]
    kept = refs(account.id for account in accounts)
    held = {
        "bank.accounts": ("/accounts", "Account", harbour.accounts(ALICE), "OBReadAccount6"),
        "bank.balances": ("/balances", "Balance", _all(accounts, _balances), "OBReadBalance1"),
        "bank.transactions": ("/transactions", "Transaction", _all(accounts, _transactions), "OBReadTransaction6"),
    }
    for dataset, (path, member, records, schema) in held.items():
        for without in removals(dataset, pairs=False):
            of = plan(granted(dataset, without, kept[:1]))
            found = of.cut(sent(of, "bank", path), TYPES["bank"], bank(member, records), Window(None, None))
            open_banking(schema, found.body)
            assert "transaction.amount" in without or 0 < found.counts.records < len(records)
            assert not [a.id for a in accounts if a.id.encode() in found.body]


def _all(accounts, make):
    return [record for account in accounts for record in make(account)]


def _balances(account):
    return harbour.balances(account, TODAY)


def _transactions(account):
    return list(harbour.transactions(account, TODAY))[:60]


@pytest.mark.parametrize("dataset", ["health.person", "health.coverage", "health.claims"])
def test_meadow_health(dataset):
    path, records = {
        "health.person": ("/Patient", [meadow.patient(ALICE)]),
        "health.coverage": ("/Coverage", meadow.coverages(ALICE)),
        "health.claims": ("/ExplanationOfBenefit", list(meadow.claims(ALICE, TODAY))),
    }[dataset]
    native = meadow.patient_id(ALICE)
    for without in removals(dataset, pairs=False):
        of = plan(granted(dataset, without, refs([native])))
        found = of.cut(sent(of, "health", path), TYPES["health"], bundle(records), YEAR)
        Bundle.model_validate_json(found.body)
        assert found.counts.records > 0 and native.encode() not in found.body
        assert found.counts.records + found.counts.records_withheld == len(records)
        assert json.loads(found.body)["type"] == "searchset"
