"""Clear Budget: spending by month and category from the bank, with health refunds beside it.

A confidential client, and one request to two organisations: the person may share the bank and leave health out.
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from examples.apps.client import Declared, Json, Reader, Refused
from examples.apps.web import Site, serve
from examples.languages import words_of

AISP = "/open-banking/v4.0/aisp"
FHIR = "/v2/fhir"
PAGES = 200  # of one listing; a circle of links ends here
MANY = 6  # months shown

DECLARED = Declared.read(
    Path(__file__).with_name("clear-budget.toml"),
    period={"history": "P12M", "future": True},
    frequency={"times": 6, "per": "day"},
    valid_for="P6M",
    retention="P1M",
)

# first digits of the merchant category code (ISO 18245) → category; the longest that fits decides
CATEGORIES = {
    "54": "food",
    "5814": "eating_out",
    "5812": "eating_out",
    "41": "transport",
    "554": "transport",
    "7523": "transport",
    "49": "home",
    "48": "home",
    "65": "home",
    "63": "home",
    "52": "home",
    "59": "leisure",
    "78": "leisure",
    "79": "leisure",
    "581": "leisure",
    "5816": "leisure",
    "5912": "health",
    "80": "health",
    "56": "clothes",
    "82": "school",
}
ORDER = ("food", "eating_out", "transport", "home", "leisure", "health", "clothes", "school", "cash", "other")

WORDS = words_of(
    title=("Budget Clair", "Clear Budget"),
    promise=("Où va l’argent du foyer, mois par mois.", "Where the household's money goes, month by month."),
    how=(
        "Nous demandons vos opérations à Banque du Port et, si vous le voulez, vos remboursements à Santé des Prés. "
        "Vous choisissez dans Aval ce que vous partagez, et vous arrêtez quand vous voulez.",
        "We ask Harbour Bank for your transactions and, if you like, Meadow Health for your refunds. You choose in "
        "Aval what you share, and stop when you like.",
    ),
    spending=("Dépenses par mois et par catégorie, en euros", "Spending per month and category, in euros"),
    category=("Catégorie", "Category"),
    balances=("Soldes", "Balances"),
    refunds=("Remboursements de santé, en euros", "Health refunds, in euros"),
    not_shared=("Non partagé.", "Not shared."),
    account=("Compte", "Account"),
    payments=("paiements lus", "payments read"),
    food=("Courses", "Groceries"),
    eating_out=("Cafés et restaurants", "Eating out"),
    transport=("Transports", "Transport"),
    home=("Logement et abonnements", "Home and bills"),
    leisure=("Loisirs", "Leisure"),
    health=("Santé", "Health"),
    clothes=("Vêtements", "Clothes"),
    school=("École", "School"),
    cash=("Espèces", "Cash"),
    other=("Autres", "Other"),
)


def load(reader: Reader) -> Json:
    """The bank is needed; health adds to it, and its refusal is told beside what the bank gave."""
    accounts = _names(reader)
    rows = list(_listed(reader, f"{AISP}/transactions", "Transaction"))
    months, spending = spent(rows)
    found: Json = {"payments": len(rows), "months": months, "spending": spending, "balances": None, "refunds": None}
    if reader.granted("bank.balances"):
        found["balances"] = [
            {"account": accounts.get(row["AccountId"], "…"), "amount": _euros(_signed(row))}
            for row in _listed(reader, f"{AISP}/balances", "Balance")
            if row["Type"] == "ITBD"
        ]
    if reader.granted("health.claims"):
        try:
            found["refunds"] = refunded(_claims(reader))
        except Refused as refused:
            found["refunds_refused"] = refused.reason
    return found


def _names(reader: Reader) -> dict[str, str]:
    rows = _listed(reader, f"{AISP}/accounts", "Account")
    return {row["AccountId"]: row.get("Nickname") or row.get("Description") or row["AccountId"][:6] for row in rows}


def _listed(reader: Reader, path: str, member: str) -> Iterator[Json]:
    """The records of all pages of an Open Banking listing."""
    for _ in range(PAGES):
        answer = reader.get("harbour-bank", path).json()
        yield from answer["Data"].get(member, [])
        path = answer.get("Links", {}).get("Next", "")
        if not path:
            return


def _claims(reader: Reader) -> Iterator[Json]:
    path = f"{FHIR}/ExplanationOfBenefit?_count=50"
    for _ in range(PAGES):
        bundle = reader.get("meadow-health", path).json()
        yield from (entry["resource"] for entry in bundle.get("entry", []))
        path = next((link["url"] for link in bundle.get("link", []) if link["relation"] == "next"), "")
        if not path:
            return


def category(row: Json) -> str | None:
    """The category of a payment; None for what only moves between accounts, and for money that comes in."""
    if row["CreditDebitIndicator"] != "Debit":
        return None
    code = row.get("MerchantDetails", {}).get("MerchantCategoryCode", "")
    fitting = [prefix for prefix in CATEGORIES if code.startswith(prefix)] if code else []
    if fitting:
        return CATEGORIES[max(fitting, key=len)]
    kind = row.get("ProprietaryBankTransactionCode", {}).get("Code", "")
    return {"ATM": "cash", "TRF": None}.get(kind, "other")


def spent(rows: list[Json]) -> tuple[list[str], list[Json]]:
    """(months shown, oldest first; one line of whole euros for each category, with its share for the bar)."""
    sums: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for row in rows:
        name = category(row)
        if name:
            sums[name][row["BookingDateTime"][:7]] += float(row["Amount"]["Amount"])
    months = sorted({month for line in sums.values() for month in line})[-MANY:]
    totals = {name: sum(line[month] for month in months) for name, line in sums.items()}
    most = max(totals.values(), default=0) or 1
    return months, [
        {
            "name": name,
            "cells": [round(sums[name][month]) for month in months],
            "total": round(totals[name]),
            "width": round(totals[name] / most * 300, 1),
        }
        for name in ORDER
        if totals.get(name)
    ]


def refunded(claims: Iterator[Json]) -> list[Json]:
    """Refunds by month, newest first."""
    sums: dict[str, float] = defaultdict(float)
    for claim in claims:
        month = claim.get("billablePeriod", {}).get("start", "")[:7]
        sums[month] += claim.get("payment", {}).get("amount", {}).get("value", 0)
    newest = sorted((month for month in sums if month), reverse=True)[:MANY]
    return [{"month": month, "amount": _euros(sums[month])} for month in newest]


def _signed(row: Json) -> float:
    return float(row["Amount"]["Amount"]) * (1 if row["CreditDebitIndicator"] == "Credit" else -1)


def _euros(amount: float) -> str:
    return f"{amount:.2f} €"


SITE = Site("clear_budget", 8412, DECLARED, load, WORDS)

if __name__ == "__main__":
    serve(SITE)
