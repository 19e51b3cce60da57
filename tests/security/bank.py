"""A bank that gives everything it has, whatever it is asked: two accounts, old and new transactions, planted words."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from fortress import Fort, Reply

BASE = "/open-banking/v4.0/aisp"
JSON = "application/json"
AGES = (0.01, 1.0, 30.0, 200.0, 500.0, 900.0)  # days; the last two lie outside of thirteen months
INSIDE = 4
FIELDS = ["transaction.date", "transaction.amount", "transaction.type"]
APP: list[dict[str, Any]] = [
    {"organisation": "harbour-bank", "dataset": "bank.accounts", "fields": ["account.kind"], "necessity": "required"},
    {"organisation": "harbour-bank", "dataset": "bank.transactions", "fields": FIELDS},
    {"organisation": "harbour-bank", "dataset": "bank.balances", "fields": ["balance.amount"]},
]


def natives(person: str) -> tuple[str, str]:
    return f"native-{person[:6]}-one", f"native-{person[:6]}-two"


class Bank:
    """Subject → accounts. Everything of one person bears a word of hers, so that a mix-up shows."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.customers: dict[str, tuple[str, ...]] = {}
        self.words: dict[str, str] = {}

    def customer(self, subject: str, accounts: Sequence[str], word: str) -> None:
        self.customers[subject], self.words[subject] = tuple(accounts), word

    def __call__(self, subject: str, path: str, query: str) -> Reply:
        kind = {"accounts": "Account", "balances": "Balance", "transactions": "Transaction"}
        name = path.rsplit("/", 1)[-1]
        member = kind.get(name, "Account")
        rows = [row for account in self.customers[subject] for row in self._rows(member, account, self.words[subject])]
        body = {"Data": {member: rows}, "Links": {"Self": f"https://bank.example{path}"}, "Meta": {"TotalPages": 1}}
        return 200, JSON, json.dumps(body).encode()

    def _rows(self, member: str, account: str, word: str) -> list[dict[str, Any]]:
        if member == "Account":
            held = {"SchemeName": "IBAN", "Identification": f"IBAN-{word}", "Name": f"holder-{word}"}
            return [{"AccountId": account, "Currency": "EUR", "Nickname": f"nickname-{word}", "Account": [held]}]
        if member == "Balance":
            at = self._clock().isoformat()
            money = {"Amount": "10.00", "Currency": "EUR"}
            return [{"AccountId": account, "CreditDebitIndicator": "Credit", "Type": "x", "DateTime": at,
                     "Amount": money}]  # fmt: skip
        return [self._transaction(account, word, age) for age in AGES]

    def _transaction(self, account: str, word: str, age: float) -> dict[str, Any]:
        at = (self._clock() - timedelta(days=age)).isoformat(timespec="seconds")
        return {
            "AccountId": account,
            "TransactionId": f"id-{word}",
            "TransactionReference": f"reference-{word}",
            "CreditDebitIndicator": "Debit",
            "Status": "BOOK",
            "BookingDateTime": at,
            "Amount": {"Amount": f"{age}", "Currency": "EUR"},
            "TransactionInformation": f"narrative-{word}",
            "AddressLine": f"address-{word}",
            "MerchantDetails": {"MerchantName": f"merchant-{word}"},
            "CreditorAccount": {"SchemeName": "IBAN", "Identification": f"creditor-{word}", "Name": f"name-{word}"},
            "CardInstrument": {"CardSchemeName": "VISA", "Identification": f"card-{word}"},
            "Balance": {"CreditDebitIndicator": "Credit", "Type": "x",
                        "Amount": {"Amount": "777.77", "Currency": "EUR"}},
            "SupplementaryData": {"free": f"free-{word}"},
        }  # fmt: skip


def settle(fort: Fort) -> Bank:
    bank = Bank(fort.clock)
    fort.organisations.responders["harbour-bank"] = bank
    fort.app("budget", APP)
    return bank


def moves_in(fort: Fort, bank: Bank, person: str, word: str | None = None) -> None:
    """She links the bank, where she has two accounts."""
    accounts = natives(person)
    subject = fort.link(person, "harbour-bank", accounts)
    bank.customer(subject, accounts, word or person)


def with_alice(fort: Fort, word: str | None = None) -> tuple[Bank, str]:
    """A bank, an app, and Alice, who has linked the bank."""
    bank, alice = settle(fort), fort.person("Alice")
    moves_in(fort, bank, alice, word)
    return bank, alice


def transactions(ref: str) -> str:
    return f"/data/harbour-bank{BASE}/accounts/{ref}/transactions"
